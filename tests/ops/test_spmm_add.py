"""spmm_add: every form against the reference, its gradients, and what it refuses."""

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

REDUCES = ("sum", "mean", "max", "min")
# Which of y and edge are there, and whether edge is one number an edge.
FORMS = {
    "x": (False, None),
    "x+y": (True, None),
    "x+edge": (False, "rows"),
    "x+number": (False, "number"),
    "x+y+edge": (True, "rows"),
    "x+y+number": (True, "number"),
}


def _operands(csr, form, shape=(3,), dtype=torch.float64, grad=False):
    with_y, edge = FORMS[form]
    y = values(csr.num_dst, *shape, dtype=dtype, grad=grad) if with_y else None
    edge_shape = shape if edge == "rows" else ()
    e = values(csr.num_edges, *edge_shape, dtype=dtype, grad=grad) if edge else None
    return values(csr.num_src, *shape, dtype=dtype, grad=grad), y, e


def _expected(csr, x, y, edge, alpha, act, reduce):
    message = reference._sums(csr.ptr, csr.col, csr.eid, x, y, edge, alpha)
    message = message.relu() if act else message
    if reduce in ("max", "min"):
        return reference.spmm_arg(csr.ptr, None, None, None, message.to(x.dtype), reduce)[0]
    out = reference.spmm(csr.ptr, None, None, None, message, reduce, None, None)
    return out.to(x.dtype)


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_spmm_add_is_the_reduced_sum_of_gathered_rows(name, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        for form in FORMS:
            for shape in ((3,), (20,), (2, 3), (), (0,)):
                x, y, edge = _operands(csr, form, shape, dtype)
                for reduce in REDUCES:
                    for act, alpha in ((None, 1.0), ("relu", -0.5)):
                        out = ops.spmm_add(
                            csr.ptr, csr.col, x, y, edge,
                            eid=csr.eid, alpha=alpha, act=act, reduce=reduce,
                        )  # fmt: skip
                        expected = _expected(csr, x, y, edge, alpha, act, reduce)
                        assert_close(out, expected, (dtype, form, shape, reduce, act))


@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("form", FORMS)
def test_gradients(form, reduce, act):
    for name in SMALL:
        csr = make_csr(name)
        leaves = [t for t in _operands(csr, form, (2,), grad=True) if t is not None]

        def f(*leaves, csr=csr):
            rest = list(leaves[1:])
            with_y, edge = FORMS[form]
            y = rest.pop(0) if with_y else None
            e = rest.pop(0) if edge else None
            return ops.spmm_add(
                csr.ptr, csr.col, leaves[0], y, e,
                eid=csr.eid, alpha=-1.5, act=act, reduce=reduce, transpose=csr.transpose,
            )  # fmt: skip

        check_gradients(f, *leaves)
        if name == "unsorted":  # once also each alone
            for n in range(len(leaves)):

                def alone(leaf, n=n, leaves=leaves, f=f):
                    return f(*(leaf if m == n else t.detach() for m, t in enumerate(leaves)))

                check_gradients(alone, leaves[n])


def test_gradients_where_both_ends_are_one_tensor():
    csr = make_csr("self_loops")
    for reduce in REDUCES:
        x = values(csr.num_src, 2, grad=True)

        def f(x, reduce=reduce):
            return ops.spmm_add(csr.ptr, csr.col, x, x, act="relu", reduce=reduce)

        check_gradients(f, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients_in_other_dtypes_follow_gathered_float64(reduce, act, dtype):
    csr = make_csr("directed_random", torch.int32)
    rows = [t.to(dtype) for t in (values(30, 9), values(30, 9), values(150, 9))]
    weights = values(30, 9)
    gradients = []
    for fused in (True, False):
        x, y, edge = leaves = [(t if fused else t.double()).clone().requires_grad_() for t in rows]
        if fused:
            out = ops.spmm_add(csr.ptr, csr.col, *leaves, eid=csr.eid, act=act, reduce=reduce)
        else:
            message = y[csr.row] + x[csr.col.long()] + edge[csr.edge]
            message = message.relu() if act else message
            out = ops.segment_reduce(csr.ptr, message, reduce=reduce)
        gradients.append(torch.autograd.grad((out.double() * weights).sum(), leaves))
        assert out.dtype == x.dtype and all(g.dtype == x.dtype for g in gradients[-1])
    if dtype != torch.float32 and reduce in ("max", "min"):
        return  # rounded messages may tie
    for found, wanted in zip(*gradients, strict=True):
        error = (found.double() - wanted).abs().amax() / wanted.abs().amax()
        assert error <= {torch.float32: 1e-5}.get(dtype, 0.02)


@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("number", [False, True])
def test_the_first_of_equals_in_the_users_order_takes_the_gradient(number, reduce, act):
    for dtype, index in DTYPES:
        csr = make_csr("unsorted", index)
        x = torch.ones(5, 20, dtype=dtype, requires_grad=True)
        shape = (7,) if number else (7, 20)
        edge = torch.ones(*shape, dtype=dtype, requires_grad=True)
        out = ops.spmm_add(csr.ptr, csr.col, x, None, edge, eid=csr.eid, act=act, reduce=reduce)
        out.sum().backward()
        assert x.grad is not None and edge.grad is not None
        assert x.grad[:, 0].tolist() == [1, 0, 1, 1, 1]  # sources of the first edges into 0 … 3
        won = torch.tensor([1, 0, 1, 0, 0, 1, 1], dtype=dtype)
        assert torch.equal(edge.grad.reshape(7, -1).sum(1), won * 20)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_nan_and_infinity_propagate(dtype):
    inf, nan = float("inf"), float("nan")
    rows = [[nan, 1.0, 2.0], [1.0, 2.0, nan], [inf, -inf, 0.0], [inf, 1.0, inf], [-inf, -inf, 1.0]]
    x = torch.tensor(rows, dtype=dtype).flatten().unsqueeze(1).repeat(1, 19).requires_grad_()
    ptr, col = torch.arange(0, 16, 3), torch.arange(15)
    for edge in (torch.zeros(15, dtype=dtype), torch.zeros_like(x)):
        for act in (None, "relu"):
            for reduce in REDUCES:
                out = ops.spmm_add(ptr, col, x, None, edge, act=act, reduce=reduce)
                message = x.relu() if act else x
                expected = ops.segment_reduce(ptr, message, reduce=reduce)
                torch.testing.assert_close(out, expected, equal_nan=True)
                if reduce in ("sum", "mean"):
                    grads = [torch.autograd.grad(of.sum(), x)[0] for of in (out, expected)]
                    torch.testing.assert_close(*grads, equal_nan=True)


def test_operands_need_not_be_contiguous():
    csr = make_csr("directed_random", torch.int32)
    x, y, edge = values(4, 30).T, values(30, 8)[:, ::2], values(4, 150).T
    for act in (None, "relu"):
        for reduce in REDUCES:
            options = {"eid": csr.eid, "act": act, "reduce": reduce}
            out = ops.spmm_add(csr.ptr, csr.col, x, y, edge, **options)
            dense = (x.contiguous(), y.contiguous(), edge.contiguous())
            assert torch.equal(out, ops.spmm_add(csr.ptr, csr.col, *dense, **options))


@pytest.mark.parametrize("act", [None, "relu"])
@pytest.mark.parametrize("reduce", REDUCES)
def test_vmap_gives_what_a_loop_gives(reduce, act):
    csr = make_csr("unsorted")

    def f(x, y, edge):
        return ops.spmm_add(csr.ptr, csr.col, x, y, edge, eid=csr.eid, act=act, reduce=reduce)

    check_vmap(f, (0, None, None), values(3, 5, 2), values(5, 2), values(7, 2))
    check_vmap(f, (None, 1, 0), values(5, 2), values(5, 3, 2), values(3, 7, 2))
    check_vmap(f, (1, None, None), values(5, 3, 2), values(5, 2), values(7))
    check_vmap(f, (None, None, 1), values(5, 2, 2), values(5, 2, 2), values(7, 3))


def test_autocast_changes_no_dtype():
    csr = make_csr("power_law", torch.int32)
    x, y = values(60, 8, dtype=torch.float32), values(60, 8, dtype=torch.float32)
    for reduce in REDUCES:
        expected = ops.spmm_add(csr.ptr, csr.col, x, y, reduce=reduce)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(ops.spmm_add(csr.ptr, csr.col, x, y, reduce=reduce), expected)


def test_spmm_add_compiles_into_one_graph():
    def f(ptr, col, eid, t_ptr, t_row, t_pos, x, edge, number):
        out = 0
        for reduce in REDUCES:
            for act in (None, "relu"):
                where = {"eid": eid, "transpose": (t_ptr, t_row, t_pos)}
                options = {**where, "act": act, "reduce": reduce, "alpha": 0.5}
                out = out + ops.spmm_add(ptr, col, x, x, edge, **options)
                out = out + ops.spmm_add(ptr, col, x, None, number, **options)
        return out

    cases = []
    for name in ("directed_random", "power_law"):
        csr = make_csr(name)
        rows = [values(n, 2, 3, grad=True) for n in (csr.num_src, csr.num_edges)]
        cases.append((*csr[:3], *csr.transpose, *rows, values(csr.num_edges, grad=True)))
    check_compile(f, *cases)


@pytest.mark.parametrize("form", ["x+y+edge", "x+y+number"])
@pytest.mark.parametrize("reduce", REDUCES)
def test_results_and_gradients_do_not_depend_on_the_threads(reduce, form):
    csr = random_csr(400, 300, 70_000, torch.int32)  # × 16 features: above the serial threshold
    x, y, edge = leaves = _operands(csr, form, (16,), torch.float32, grad=True)

    def run():
        options = {"eid": csr.eid, "act": "relu", "reduce": reduce}
        out = ops.spmm_add(csr.ptr, csr.col, x, y, edge, **options)
        found = torch.autograd.grad(out.square().sum(), [t for t in leaves if t is not None])
        return out, *found

    check_threads(run)


def test_spmm_add_names_the_argument_that_is_wrong():
    csr = make_csr("unsorted")
    x, edge = values(5, 3), values(7, 3)

    def f(x=x, y=None, edge=edge, eid=csr.eid, **options):
        return ops.spmm_add(csr.ptr, csr.col, x, y, edge, eid=eid, **options)

    refused(r"reduce must be one of 'max', .*; got 'maxx'", f, reduce="maxx")
    refused(r"reduce must be one of .*; got 'mul'", f, reduce="mul")
    refused(r"act must be None or 'relu', got 'tanh'", f, act="tanh")
    refused(r"x must have rows, got a tensor without dimensions", f, x=x.sum())
    refused(r"y must have the features of x: x has shape \(5, 3\), got y of .*", f, y=values(5, 2))
    refused(r"edge must have the features of x or be \[num_edges\]: .*", f, edge=values(7, 1))
    for leaf in (x, x.clone().requires_grad_()):
        for reduce in REDUCES:
            options = {"x": leaf, "reduce": reduce}
            number = edge[:6, 0]
            refused(r"\w+: edge must have shape \(7\), got \(6\)", f, edge=number, **options)
            refused(r"\w+: edge must have shape \(7, 3\), .*", f, edge=edge[:6], **options)
            refused(r"\w+: edge and x must have .*", f, edge=edge.float(), **options)
            refused(r"\w+: eid must have one (id|entry) per .*|.* one entry .*", f,
                    eid=csr.edge[:5], **options)  # fmt: skip
    refused(r"spmm_add: y must have shape \(5, 3\), got \(4, 3\)", f, y=values(4, 3))
    refused(r"spmm_add: x must be float32, .* got int64", f, x=x.long(), edge=None)
