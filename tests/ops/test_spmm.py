"""spmm: every reducer against the reference, its corners, its gradients, and what it refuses."""

import pytest
import torch

from gnnlib import ops
from gnnlib.ops import reference
from tests.ops.cases import (
    DTYPES,
    NAMES,
    SMALL,
    assert_close,
    check_compile,
    check_gradients,
    check_threads,
    check_vmap,
    make_csr,
    random_csr,
    refused,
    values,
)

REDUCES = ("sum", "mean", "max", "min", "mul")
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_spmm_agrees_with_the_reference(name, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        scales = (values(csr.num_dst, dtype=wide), values(csr.num_src, dtype=wide))
        shapes = [((5,), None), ((3, 2), (-1,)), ((3, 2), (-1, 3)), ((7, 5), (-1, 7))]
        shapes += [((5,), (-1, 5)), ((9, 13), (-1, 9))]
        for shape, weight_shape in [*shapes, ((3, 2), (-1, 3, 2))]:
            x = values(csr.num_src, *shape, dtype=dtype)
            weight = weight_shape and values(csr.num_edges, *weight_shape[1:], dtype=dtype)
            for reduce in REDUCES:
                label = (dtype, index, shape, weight_shape, reduce)
                out = ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce=reduce)
                if reduce in ("max", "min"):
                    of = (csr.ptr, csr.col, csr.eid, weight, x, reduce)
                    expected, arg = reference.spmm_arg(*of)
                    assert torch.equal(torch.ops.gnnlib.spmm_arg(*of)[1], arg), label
                    assert torch.equal(out, expected), label
                    continue
                of = (csr.ptr, csr.col, csr.eid, weight, x, reduce)
                assert_close(out, reference.spmm(*of, None, None), label)
                row_scale, col_scale = scales
                out = ops.spmm(
                    csr.ptr,
                    csr.col,
                    x,
                    weight,
                    eid=csr.eid,
                    reduce=reduce,
                    row_scale=row_scale,
                    col_scale=col_scale,
                )
                if reduce != "mul" or dtype == wide:  # mul rounds x · col_scale to a half type
                    assert_close(out, reference.spmm(*of, row_scale, col_scale), label)


@pytest.mark.parametrize("reduce", REDUCES)
def test_scales_multiply_the_source_before_and_the_result_after(reduce):
    csr = make_csr("power_law")
    x, weight = values(csr.num_src, 3), values(csr.num_edges)
    row_scale, col_scale = values(csr.num_dst), values(csr.num_src)
    scales: dict = {"row_scale": row_scale, "col_scale": col_scale}
    out = ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce=reduce, **scales)
    inner = ops.spmm(csr.ptr, csr.col, x * col_scale[:, None], weight, eid=csr.eid, reduce=reduce)
    assert_close(out, inner * row_scale[:, None])


@pytest.mark.parametrize("reduce", REDUCES)
def test_operands_need_not_be_contiguous(reduce):
    csr = make_csr("directed_random", torch.int32)
    x, weight = values(3, 4, csr.num_src).movedim(2, 0), values(3, csr.num_edges).T
    col = torch.stack([csr.col, csr.col], 1)[:, 0]
    eid = torch.stack([csr.edge.int(), csr.edge.int()], 1)[:, 1]
    ptr = csr.ptr.repeat_interleave(2)[::2]
    out = ops.spmm(ptr, col, x, weight, eid=eid, reduce=reduce)
    dense = (x.contiguous(), weight.contiguous())
    assert torch.equal(out, ops.spmm(csr.ptr, csr.col, *dense, eid=csr.eid, reduce=reduce))


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_rows_without_values_stay_empty(reduce, shape):
    csr = make_csr("unsorted")
    x = values(csr.num_src, *shape, grad=True)
    weight = values(csr.num_edges, *shape[: len(shape) - 1], grad=True)
    out = ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce=reduce)
    assert out.shape == (csr.num_dst, *shape)
    leaves = (x, weight)
    grads = torch.autograd.grad(out.sum(), leaves, create_graph=True)
    total = grads[0].sum() + grads[1].sum()
    again = torch.autograd.grad(total, leaves, allow_unused=True)
    for leaf, grad, second in zip(leaves, grads, again):
        assert grad.shape == leaf.shape and not grad.any()
        assert second is None or (second.shape == leaf.shape and not second.any())


def test_a_row_without_edges_gives_zero_and_one_for_mul():
    csr = make_csr("isolated_nodes")
    empty = csr.ptr.diff() == 0
    for reduce in REDUCES:
        out = ops.spmm(csr.ptr, csr.col, values(csr.num_src, 3), reduce=reduce)
        assert (out[empty] == (1 if reduce == "mul" else 0)).all()


@pytest.mark.parametrize("width", [1, 5, 40])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduce", ["max", "min"])
def test_the_first_of_equals_in_the_users_order_takes_the_gradient(reduce, weighted, width):
    for dtype, index in DTYPES:
        csr = make_csr("unsorted", index)
        x = torch.ones(csr.num_src, width, dtype=dtype, requires_grad=True)
        weight = torch.ones(csr.num_edges, dtype=dtype, requires_grad=True) if weighted else None
        out = ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce=reduce)
        out.sum().backward()
        first = torch.tensor([2, 5, 6, 0])  # the first edges into 0, 1, 2, 3 of "unsorted"
        source = torch.tensor([2, 3, 0, 4])
        assert x.grad is not None
        assert x.grad[:, 0].tolist() == torch.bincount(source, minlength=csr.num_src).tolist()
        assert (x.grad == x.grad[:, :1]).all()
        if weight is not None:
            assert weight.grad is not None
            assert (weight.grad.nonzero().flatten() == first.sort().values).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [1, 2, 7, 16, 130])
def test_nan_and_infinity_propagate(dtype, width):
    # Rows: a NaN in each place; infinities; NaN beside infinity; nothing but −inf.
    rows = [[NAN, 1.0, 2.0], [1.0, NAN, 2.0], [1.0, 2.0, NAN], [NAN, 1.0, NAN], [INF, -INF, 0.0]]
    rows += [[INF, INF, 1.0], [-INF, -INF, 1.0], [INF, NAN, -INF], [-INF, -INF, -INF]]
    x = torch.tensor(rows, dtype=dtype).flatten().unsqueeze(1).repeat(1, width)
    ptr = torch.arange(0, x.shape[0] + 1, 3)
    col = torch.arange(x.shape[0])
    for weight in (None, torch.full((x.shape[0],), -2.0, dtype=dtype)):
        for reduce in REDUCES:
            got = ops.spmm(ptr, col, x, weight, reduce=reduce)
            if reduce in ("max", "min"):
                want, arg = reference.spmm_arg(ptr, col, None, weight, x, reduce)
                assert torch.equal(
                    torch.ops.gnnlib.spmm_arg(ptr, col, None, weight, x, reduce)[1], arg
                )
            else:
                want = reference.spmm(ptr, col, None, weight, x, reduce, None, None)
            assert_close(got, want, (reduce, weight is not None))
    assert ops.spmm(ptr, col, x, reduce="max")[-1].eq(-INF).all()


@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("bad", [(NAN,), (INF, -INF), (-INF, NAN, INF)])
def test_what_is_not_finite_in_one_feature_changes_no_other(reduce, bad):
    csr = make_csr("power_law")
    x = values(csr.num_src, 37, dtype=torch.float32)
    clean = ops.spmm(csr.ptr, csr.col, x, reduce=reduce)
    for feature in range(x.shape[1]):
        spoilt = x.clone()
        for row, value in enumerate(bad):
            spoilt[csr.col[csr.num_edges // 2 + row], feature] = value
        got = torch.ops.gnnlib.spmm_arg(csr.ptr, csr.col, None, None, spoilt, reduce)
        want = reference.spmm_arg(csr.ptr, csr.col, None, None, spoilt, reduce)
        assert torch.equal(got[1], want[1])
        assert_close(got[0], want[0])
        rest = torch.arange(x.shape[1]) != feature
        assert torch.equal(got[0][:, rest], clean[:, rest])


@pytest.mark.cpu
@pytest.mark.parametrize("heads", [None, 8])
def test_many_weights_in_the_order_of_the_user(heads):
    # So many that they are put in order first: the same sums, to the bit, as if they had been.
    generator = torch.Generator().manual_seed(0)
    num_nodes, num_edges = 1 << 16, 600_000
    ptr = torch.randint(num_edges + 1, (num_nodes + 1,), generator=generator).sort().values.int()
    ptr[0], ptr[-1] = 0, num_edges
    col = torch.randint(num_nodes, (num_edges,), generator=generator).int()
    eid = torch.randperm(num_edges, generator=generator).int()
    x = torch.randn(num_nodes, *((heads, 8) if heads else (64,)), generator=generator)
    weight = torch.randn(num_edges, *((heads,) if heads else ()), generator=generator)
    for reduce in ("sum", "max"):
        got = ops.spmm(ptr, col, x, weight, eid=eid, reduce=reduce)
        assert torch.equal(got, ops.spmm(ptr, col, x, weight[eid.long()], reduce=reduce))


def test_a_value_that_did_not_win_leaves_no_trace_in_the_gradient():
    ptr, col = torch.tensor([0, 2, 4]), torch.tensor([0, 1, 2, 1])
    x = torch.tensor([[1.0], [-INF], [2.0]], requires_grad=True)
    weight = torch.tensor([2.0, 1.0, 3.0, INF], requires_grad=True)
    ops.spmm(ptr, col, x, weight, reduce="max").sum().backward()
    assert x.grad is not None and weight.grad is not None
    assert x.grad.tolist() == [[2.0], [0.0], [3.0]]
    assert weight.grad.tolist() == [1.0, 0.0, 2.0, 0.0]


# gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients_of_x_and_weight(name, reduce):
    csr = make_csr(name)
    sizes = {None: (2,), 1: (2, 2), 2: (2, 2), 3: (2, 2)}
    for weight_dim, shape in sizes.items():
        x = values(csr.num_src, *shape, grad=True)
        weight = values(csr.num_edges, *shape[: (weight_dim or 1) - 1], grad=True)

        def f(x, weight=None, csr=csr):
            back = csr.transpose
            args = {"eid": csr.eid, "reduce": reduce, "transpose": lambda: back}
            return ops.spmm(csr.ptr, csr.col, x, weight, **args)

        if weight_dim is None:
            check_gradients(f, x)
        elif name != "unsorted":
            check_gradients(f, x, weight)
        else:  # once also each alone: the other is then a constant, and less is kept
            rows, factors = x.detach(), weight.detach()
            check_gradients(lambda x, f=f, weight=factors: f(x, weight), x)
            check_gradients(lambda weight, f=f, x=rows: f(x, weight), weight)


@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients_with_scales_that_are_constants_or_variables(reduce):
    csr = make_csr("unsorted")
    x, weight = values(csr.num_src, 2, grad=True), values(csr.num_edges, grad=True)
    row_scale, col_scale = values(csr.num_dst), values(csr.num_src)

    def f(x, weight, row_scale=row_scale, col_scale=col_scale):
        scales: dict = {"row_scale": row_scale, "col_scale": col_scale}
        return ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce=reduce, **scales)

    check_gradients(f, x, weight)
    variables = (row_scale.clone().requires_grad_(), col_scale.clone().requires_grad_())
    check_gradients(f, x, weight, *variables)


@pytest.mark.parametrize("zeros", [[0], [0, 3], [0, 2, 3, 4]])
def test_gradients_of_mul_hold_where_factors_are_zero(zeros):
    csr = make_csr("unsorted")
    x, weight = values(csr.num_src, 2), values(csr.num_edges)
    x[zeros], weight[[1, 5]] = 0, 0
    variables = (x.requires_grad_(), weight.requires_grad_())

    def f(x, weight):
        return ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce="mul")

    check_gradients(f, *variables)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients_in_half_precision_follow_float32(reduce, dtype):
    csr = make_csr("directed_random", torch.int32)
    x, weight = values(csr.num_src, 3, 8, dtype=dtype), values(csr.num_edges, 3, dtype=dtype)
    gradients = []
    for t in (dtype, torch.float32):
        leaves = [x.to(t).requires_grad_(), weight.to(t).requires_grad_()]
        out = ops.spmm(csr.ptr, csr.col, *leaves, eid=csr.eid, reduce=reduce)
        gradients.append(torch.autograd.grad(out.sum(), leaves))
        assert all(g.dtype == t for g in gradients[-1])
    if reduce in ("max", "min"):  # the rounded messages may tie and choose another winner
        return
    for half, full in zip(*gradients):
        scale = full.abs().amax()
        assert ((half.float() - full).abs() <= 0.03 * scale).all()


# transforms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", REDUCES)
def test_vmap_gives_what_a_loop_gives(reduce):
    csr = make_csr("unsorted")
    e, n = csr.num_edges, csr.num_src

    def f(x, weight):
        return ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, reduce=reduce)

    def scaled(x, row_scale, col_scale):
        scales: dict = {"row_scale": row_scale, "col_scale": col_scale}
        return ops.spmm(csr.ptr, csr.col, x, eid=csr.eid, reduce=reduce, **scales)

    check_vmap(lambda x: f(x, None), (0,), values(3, n, 2))
    check_vmap(lambda x: f(x, None), (1,), values(n, 3, 2))
    check_vmap(lambda x: f(x, None), (-1,), values(n, 2, 2, 3))
    check_vmap(f, (0, None), values(3, n, 2), values(e))
    check_vmap(f, (None, 0), values(n, 2), values(3, e))
    check_vmap(f, (None, 1), values(n, 2, 2), values(e, 3))
    check_vmap(f, (2, 1), values(n, 2, 3), values(e, 3))
    check_vmap(f, (0, None), values(3, n, 2, 2), values(e, 2))
    check_vmap(f, (None, 2), values(n, 2, 2), values(e, 2, 3))
    check_vmap(f, (1, 0), values(n, 3, 2, 2), values(3, e, 2))
    check_vmap(f, (0, 0), values(3, n, 2, 0), values(3, e, 2))
    check_vmap(f, (0, 1), values(3, n, 2), values(e, 3, 2))
    check_vmap(f, (0, None), values(3, n, 2), values(e, 2))
    check_vmap(scaled, (None, 0, 1), values(n, 2), values(3, csr.num_dst), values(n, 3))


def test_vmap_over_the_structure_is_refused():
    csr = make_csr("unsorted")
    col, x = torch.stack([csr.col, csr.col]), values(csr.num_src, 2)
    with pytest.raises(NotImplementedError, match="cannot map over the graph structure"):
        torch.func.vmap(lambda col: ops.spmm(csr.ptr, col, x))(col)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_casts_x_and_weight_and_leaves_float64(dtype):
    csr = make_csr("power_law", torch.int32)
    x = values(csr.num_src, 8, dtype=torch.float32).requires_grad_()
    weight = values(csr.num_edges, dtype=torch.float32).requires_grad_()
    scale = values(csr.num_src, dtype=torch.float32)
    expected = ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, col_scale=scale)
    with torch.autocast("cpu", dtype):
        out = ops.spmm(csr.ptr, csr.col, x, weight, eid=csr.eid, col_scale=scale)
        wide = ops.spmm(csr.ptr, csr.col, x.double())
    assert out.dtype == dtype
    assert wide.dtype == torch.float64
    assert ((out - expected).abs() <= 0.02 * expected.abs().amax()).all()
    for gradient in torch.autograd.grad(out.float().sum(), (x, weight)):
        assert gradient.dtype == torch.float32


def test_spmm_compiles_into_one_graph():
    def f(ptr, col, eid, t_ptr, t_row, t_pos, x, weight, scale):
        where = {"eid": eid, "transpose": (t_ptr, t_row, t_pos)}
        out = ops.spmm(ptr, col, x, weight, row_scale=scale, col_scale=scale, **where)
        for reduce in REDUCES[1:]:
            out = out + ops.spmm(ptr, col, x, weight, reduce=reduce, **where)
        return out

    cases = []
    for name in ("directed_random", "power_law"):
        csr = make_csr(name)
        x, weight = values(csr.num_src, 2, 3, grad=True), values(csr.num_edges, 2, grad=True)
        cases.append((*csr[:3], *csr.transpose, x, weight, values(csr.num_src, grad=True)))
    check_compile(f, *cases)


# determinism -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", REDUCES)
def test_results_and_gradients_do_not_depend_on_the_threads(reduce):
    csr = random_csr(400, 300, 70_000, torch.int32)  # × 16 features: above the serial threshold
    leaves = [values(300, 2, 8, dtype=torch.float32), values(70_000, 2, dtype=torch.float32)]
    leaves = [t.requires_grad_() for t in leaves]

    def run():
        out = ops.spmm(csr.ptr, csr.col, *leaves, eid=csr.eid, reduce=reduce)
        return out, *torch.autograd.grad(out.square().sum(), leaves)

    check_threads(run)


# the door ----------------------------------------------------------------------------------------


def test_spmm_names_the_argument_that_is_wrong():
    csr = make_csr("unsorted")
    ptr, col, eid = csr.ptr, csr.col, csr.edge
    x, weight = values(5, 2, 3), values(7)

    refused(r"reduce must be one of 'max', .*; got 'maxx'", ops.spmm, ptr, col, x, reduce="maxx")
    refused(r"x must be \[num_src, F\].*\(5,\)", ops.spmm, ptr, col, x[:, 0, 0])
    refused(r"spmm: x must be float32, .* got int64", ops.spmm, ptr, col, x.long())
    for reduce in REDUCES:
        for leaf in (x, x.clone().requires_grad_()):

            def f(ptr=ptr, col=col, x=leaf, weight=None, eid=None, reduce=reduce):
                return ops.spmm(ptr, col, x, weight, eid=eid, reduce=reduce)

            refused(r"\w+: ptr must run from 0 to .* edges 6, got 0 to 7", f, col=col[:6])
            refused(r"\w+: ptr must run from 0 to .* edges 7, got 1 to 7", f, ptr + (ptr == 0))
            refused(r"\w+: ptr must have num_dst \+ 1 entries, got none", f, ptr[:0])
            refused(r"\w+: ptr must be int32 or int64, got float32", f, ptr.float())
            refused(r"\w+: ptr must have one dimension, got shape \(1, 6\)", f, ptr[None])
            refused(r"\w+: col and ptr must have one dtype, got int32 and int64", f, ptr, col.int())
            refused(r"\w+: eid and ptr must have one dtype, .*", f, weight=weight, eid=eid.int())
            refused(r".*eid must have one (id|entry) per.*5.*", f, weight=weight, eid=eid[:5])
            refused(r"\w+: weight must have shape \(7\), got \(6\)", f, weight=weight[:6], eid=eid)
            refused(r"\w+: weight must have shape \(7, 2\), .*", f, weight=values(7, 3))
            refused(r"\w+: weight and x must have one dtype, got .*", f, weight=weight.float())
    text = (
        r"spmm: weight must be \[E\], \[E, H\] with x \[num_src, H, D\], or have the features of x;"
    )
    text += r" got \(7, 2, 3\) with x of shape \(5, 2\)"
    refused(text, ops.spmm, ptr, col, x[:, 0, :2], values(7, 2, 3))
    text = r"spmm: weight must have shape \(7, 3\), got \(7, 2\)"
    refused(text, ops.spmm, ptr, col, x[:, 0], values(7, 2))
    refused(
        r"spmm: row_scale must have shape \(5\), got \(3\)",
        ops.spmm,
        ptr,
        col,
        x,
        row_scale=values(3),
    )
    refused(r"spmm: col_scale must .*\(6\)", ops.spmm, ptr, col, x, col_scale=values(6))
    refused(
        r"spmm: row_scale must be float64 .* got float32 with x float64",
        ops.spmm,
        ptr,
        col,
        x,
        row_scale=values(5).float(),
    )
