"""Segment reduce, softmax and expand: against plain torch, their corners, gradients and doors."""

from collections.abc import Callable

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

REDUCES = ("sum", "mean", "max", "min", "mul", "std")
INF, NAN = float("inf"), float("nan")


def _by_row(csr, x, reduce):
    """The reduction one row at a time, in float64."""
    of_row = {
        "sum": lambda t: t.sum(0),
        "mean": lambda t: t.mean(0),
        "max": lambda t: t.amax(0),
        "min": lambda t: t.amin(0),
        "mul": lambda t: t.prod(0),
        "std": lambda t: t.std(0, correction=0),
    }[reduce]
    out = torch.full((csr.num_dst,) + x.shape[1:], float(reduce == "mul"), dtype=torch.float64)
    for i, edges in enumerate(csr.edge.split(csr.ptr.diff().tolist()) if csr.num_dst else ()):
        if edges.numel():
            out[i] = of_row(x[edges].double())
    return out


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_segment_reduce_agrees_with_plain_torch(name, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        for shape in ((), (3,), (2, 5)):
            x = values(csr.num_edges, *shape, dtype=dtype) * 0.99
            for reduce in REDUCES:
                out = ops.segment_reduce(csr.ptr, x, eid=csr.eid, reduce=reduce)
                assert out.dtype == dtype
                assert_close(out, _by_row(csr, x, reduce).to(dtype), (dtype, shape, reduce))
                graded = x.clone().requires_grad_()  # the same with a gradient recorded
                again = ops.segment_reduce(csr.ptr, graded, eid=csr.eid, reduce=reduce)
                assert torch.equal(again, out), (dtype, shape, reduce)


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_softmax_and_expand_agree_with_the_reference(name, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        for shape in ((), (1,), (4,), (2, 3), (0,)):
            scores = 5 * values(csr.num_edges, *shape, dtype=dtype)
            out = ops.segment_softmax(csr.ptr, scores, eid=csr.eid)
            assert_close(out, reference.segment_softmax(csr.ptr, csr.eid, scores), (dtype, shape))
            grad = values(csr.num_edges, *shape, dtype=dtype)
            of = (csr.ptr, csr.eid, out, grad)
            backward = torch.ops.gnnlib.segment_softmax_backward(*of)
            assert_close(backward, reference.segment_softmax_backward(*of), (dtype, shape))
            for kind in (dtype, torch.int64, torch.bool):
                x = values(csr.num_dst, *shape).mul(4).to(kind)
                rows = ops.segment_expand(csr.ptr, x, csr.num_edges, eid=csr.eid)
                expected = reference.segment_expand(csr.ptr, csr.eid, x, csr.num_edges)
                assert torch.equal(rows, expected), (kind, shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_softmax_of_infinite_and_missing_scores(dtype):
    rows = [[-INF, 0.0, 1.0], [0.0, -INF, -INF], [-INF, -INF, -INF], [INF, 0.0, 1.0]]
    rows += [[NAN, 0.0, 1.0], [0.0, 1.0, NAN], [NAN, -INF, 0.0], [-200.0, 0.0, -90.0]]
    rows += [[1e4, -1e4, 1e4], [-6e4, -6e4, -6e4]]
    for heads in (1, 3, 40):
        scores = torch.tensor(rows, dtype=dtype).flatten().unsqueeze(1).repeat(1, heads)
        ptr = torch.arange(0, scores.shape[0] + 1, 3)
        out = ops.segment_softmax(ptr, scores)
        expected = torch.softmax(scores.double().reshape(-1, 3, heads), 1).reshape(-1, heads)
        assert_close(out, expected.to(dtype), (dtype, heads))
        assert_close(out, reference.segment_softmax(ptr, None, scores), (dtype, heads))
        assert (out[0] == 0).all()


def test_softmax_with_gradients_ignores_masked_scores():
    ptr = torch.tensor([0, 3])
    scores = torch.tensor([-INF, 0.5, 1.0], requires_grad=True)
    ops.segment_softmax(ptr, scores).square().sum().backward()
    assert scores.grad is not None
    assert scores.grad[0] == 0
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_the_first_of_equals_takes_the_gradient(reduce):
    csr = make_csr("unsorted")
    x = torch.ones(csr.num_edges, 20, requires_grad=True)
    ops.segment_reduce(csr.ptr, x, eid=csr.eid, reduce=reduce).sum().backward()
    assert x.grad is not None
    assert x.grad[:, 0].nonzero().flatten().tolist() == [0, 2, 5, 6]
    assert (x.grad == x.grad[:, :1]).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduce", ["mean", "std"])
def test_a_long_segment_in_half_precision_neither_overflows_nor_drifts(reduce, dtype):
    x = torch.tensor([200.0, 300.0], dtype=dtype).repeat(1000).requires_grad_()
    out = ops.segment_reduce(torch.tensor([0, 2000]), x, reduce=reduce)
    assert out.tolist() == [{"mean": 250.0, "std": 50.0}[reduce]]
    (grad,) = torch.autograd.grad(out.sum() * 2000, x)
    expected = torch.ones(2000) if reduce == "mean" else torch.tensor([-1.0, 1.0]).repeat(1000)
    assert_close(grad, expected.to(dtype))


@pytest.mark.parametrize("reduce", ["mean", "std"])
def test_a_segment_of_one_value_has_its_mean_and_no_deviation(reduce):
    x = torch.tensor([0.1, 0.1, 0.1, 7.0, 3.0, 3.0], requires_grad=True)
    out = ops.segment_reduce(torch.tensor([0, 3, 4, 4, 6]), x, reduce=reduce)
    expected = [0.1, 7.0, 0.0, 3.0] if reduce == "mean" else [0.0] * 4
    assert_close(out, torch.tensor(expected))
    (grad,) = torch.autograd.grad(out.sum(), x)
    share = [1 / 3] * 3 + [1.0, 0.5, 0.5] if reduce == "mean" else [0.0] * 6
    assert_close(grad, torch.tensor(share))


def test_std_of_nan_is_nan():
    x = torch.tensor([1.0, NAN, 2.0, 2.0])
    out = ops.segment_reduce(torch.tensor([0, 2, 4]), x, reduce="std")
    assert out.isnan().tolist() == [True, False]


# gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients_of_segment_reduce(name, reduce):
    csr = make_csr(name)
    # The deviation of one value has a corner at 0: such values enter it as constants.
    lone = torch.zeros(csr.num_edges, dtype=torch.bool)
    lone[csr.edge] = csr.ptr.diff()[csr.row] == 1
    if reduce == "std" and lone.all():
        pytest.skip("no segment of two values")
    for shape in ((), (2,)):
        x = values(csr.num_edges, *shape, grad=True)

        def f(x, lone=lone):
            if reduce == "std":
                x = torch.where(lone.reshape(-1, *(1,) * (x.dim() - 1)), x.detach(), x)
            return ops.segment_reduce(csr.ptr, x, eid=csr.eid, reduce=reduce)

        check_gradients(f, x)


@pytest.mark.parametrize("zeros", [[0], [0, 4], [1, 2, 3, 4]])
def test_gradients_of_mul_hold_where_factors_are_zero(zeros):
    csr = make_csr("unsorted")
    x = values(csr.num_edges, 2)
    x[zeros] = 0
    x[5, 1] = 0
    x.requires_grad_()
    check_gradients(lambda x: ops.segment_reduce(csr.ptr, x, eid=csr.eid, reduce="mul"), x)


@pytest.mark.parametrize("name", SMALL)
def test_gradients_of_softmax_and_expand(name):
    csr = make_csr(name)
    for shape in ((), (2,)):
        scores, x = values(csr.num_edges, *shape, grad=True), values(csr.num_dst, *shape, grad=True)
        check_gradients(lambda s: ops.segment_softmax(csr.ptr, s, eid=csr.eid), scores)
        check_gradients(
            lambda x: ops.segment_expand(csr.ptr, x, csr.num_edges, eid=csr.eid).sin(), x
        )


# transforms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", [*REDUCES, "softmax", "expand"])
def test_vmap_gives_what_a_loop_gives(reduce):
    csr = make_csr("unsorted" if reduce != "std" else "complete")
    rows = csr.num_dst if reduce == "expand" else csr.num_edges

    def f(x):
        if reduce == "softmax":
            return ops.segment_softmax(csr.ptr, x, eid=csr.eid)
        if reduce == "expand":
            return ops.segment_expand(csr.ptr, x, csr.num_edges, eid=csr.eid)
        return ops.segment_reduce(csr.ptr, x, eid=csr.eid, reduce=reduce)

    check_vmap(f, (0,), values(3, rows))
    check_vmap(f, (1,), values(rows, 3, 2))
    check_vmap(f, (-1,), values(rows, 2, 2, 3))


def test_vmap_over_the_structure_is_refused():
    ptr = torch.tensor([[0, 1, 2], [0, 2, 2]])
    functions: list[Callable] = [ops.segment_reduce, ops.segment_softmax]
    for f in (*functions, lambda ptr, x: ops.segment_expand(ptr, x, 2)):
        with pytest.raises(NotImplementedError, match="cannot map over the graph structure"):
            torch.func.vmap(f, (0, None))(ptr, values(2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_softmax_under_autocast_is_float32_also_over_a_hub(dtype):
    num_edges = 100_000
    ptr = torch.tensor([0, num_edges, num_edges + 3])
    scores = torch.randn(num_edges + 3, dtype=torch.float64).to(dtype).requires_grad_()
    expected = torch.cat([part.double().softmax(0) for part in scores.split([num_edges, 3])])
    with torch.autocast("cpu", dtype):
        out = ops.segment_softmax(ptr, scores)
        assert ops.segment_softmax(ptr, scores.double()).dtype == torch.float64
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), expected, rtol=1e-2, atol=0)
    assert abs(out[:num_edges].double().sum().item() - 1) < 1e-2
    (grad,) = torch.autograd.grad(out[0] * num_edges, scores)
    assert grad.dtype == dtype
    assert abs(grad[0].item() / (expected[0] * num_edges).item() - 1) < 1e-2
    in_half = ops.segment_softmax(ptr, scores.detach())  # without autocast the sum is still wide
    torch.testing.assert_close(in_half.double(), expected, rtol=1e-2, atol=1e-6)


def test_segment_ops_compile_into_one_graph():
    def f(ptr, eid, x):
        out = ops.segment_reduce(ptr, x, eid=eid)
        for reduce in REDUCES[1:]:
            out = out + ops.segment_reduce(ptr, x, eid=eid, reduce=reduce)
        back = ops.segment_expand(ptr, out, x.shape[0], eid=eid)
        return back * ops.segment_softmax(ptr, x, eid=eid)

    cases = []
    for name in ("complete", "power_law"):
        csr = make_csr(name)
        cases.append((csr.ptr, csr.eid, values(csr.num_edges, 3, grad=True)))
    check_compile(f, *cases)


@pytest.mark.parametrize("reduce", [*REDUCES, "softmax", "expand"])
def test_results_and_gradients_do_not_depend_on_the_threads(reduce):
    csr = random_csr(700, 700, 90_000, torch.int32)  # above the serial threshold
    rows = csr.num_dst if reduce == "expand" else csr.num_edges
    x = values(rows, 12, dtype=torch.float32, grad=True)

    def run():
        if reduce == "softmax":
            out = ops.segment_softmax(csr.ptr, x, eid=csr.eid)
        elif reduce == "expand":
            out = ops.segment_expand(csr.ptr, x, csr.num_edges, eid=csr.eid)
        else:
            out = ops.segment_reduce(csr.ptr, x, eid=csr.eid, reduce=reduce)
        return out, *torch.autograd.grad(out.square().sum(), x)

    check_threads(run)


# the door ----------------------------------------------------------------------------------------


def test_segment_ops_name_the_argument_that_is_wrong():
    csr = make_csr("unsorted")
    ptr, eid, x = csr.ptr, csr.eid, values(7, 2)
    assert eid is not None
    reduce, softmax, expand = ops.segment_reduce, ops.segment_softmax, ops.segment_expand

    refused(r"reduce must be one of 'std', .*; got 'stdev'", reduce, ptr, x, reduce="stdev")
    refused(r"x must have rows, got .*", reduce, ptr, x[0, 0])
    refused(r"x must have rows, got .*", expand, ptr, x[0, 0], 7)
    refused(r"x and eid must have one entry per edge: .* \(6, 2\)", reduce, ptr, x[:6], eid=eid)
    for kind in REDUCES:
        for leaf in (x, x.clone().requires_grad_()):
            refused(r"\w+: ptr must run .* edges 6, got 0 to 7", reduce, ptr, leaf[:6], reduce=kind)
            refused(r"\w+: ptr must be int32 .* float32", reduce, ptr.float(), leaf, reduce=kind)
        refused(r"\w+: x must be float32, .* got int64", reduce, ptr, x.long(), reduce=kind)

    refused(r"segment_softmax: ptr must run .* edges 6, got 0 to 7", softmax, ptr, x[:6])
    refused(r"segment_softmax: scores must have one row .*", softmax, ptr, x, eid=eid[:5])
    refused(r"segment_softmax: scores must be float32, .* int64", softmax, ptr, x.long())
    refused(r"segment_softmax: scores must be \[E\] or .* scalar", softmax, ptr, x[0, 0])
    refused(r"segment_softmax: eid and ptr must have one dtype, .*", softmax, ptr, x, eid=eid.int())

    refused(r"segment_expand: x must have shape \(5, 2\), got \(7, 2\)", expand, ptr, x, 7)
    refused(r"segment_expand: ptr must run .* edges 8, got 0 to 7", expand, ptr, x[:5], 8)
    refused(r"segment_expand: eid must have num_edges=7 .* 6", expand, ptr, x[:5], 7, eid=eid[:6])
    soft = torch.ops.gnnlib.segment_softmax_backward
    refused(r"segment_softmax_backward: grad and out .*", soft, ptr, eid, x, x.float())
    refused(r"segment_softmax_backward: grad must have shape .*", soft, ptr, eid, x, x[:, :1])
