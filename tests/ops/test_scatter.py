"""gather_rows, scatter and scatter_add_: against plain torch, their gradients and their doors."""

import pytest
import torch

from gnnlib import ops
from gnnlib.ops import reference
from tests.ops.cases import (
    DTYPES,
    assert_close,
    check_compile,
    check_gradients,
    check_threads,
    check_vmap,
    refused,
    values,
)

REDUCES = ("sum", "mean", "max", "min", "mul")
# index, num_rows: unsorted with gaps; one row; nothing; nothing into nothing; a hub.
PLACES = {
    "unsorted": ([3, 0, 3, 5, 0, 3, 1], 7),
    "one_row": ([0, 0, 0], 1),
    "none": ([], 4),
    "empty": ([], 0),
    "each": ([4, 2, 0, 1, 3], 5),
    "hub": ([2] * 400 + [0, 6, 2], 8),
}


@pytest.mark.parametrize("name", PLACES)
def test_scatter_and_gather_agree_with_the_reference(name):
    place, num_rows = PLACES[name]
    for dtype, kind in DTYPES:
        index = torch.tensor(place, dtype=kind)
        for shape in ((), (3,), (2, 17), (0,)):
            x = values(len(place), *shape, dtype=dtype)
            for reduce in REDUCES:
                out = ops.scatter(x, index, num_rows, reduce)
                graded = ops.scatter(x.clone().requires_grad_(), index, num_rows, reduce)
                assert torch.equal(out, graded.detach()), (dtype, shape, reduce)
                if reduce in ("max", "min"):
                    expected, arg = reference.scatter_arg(x, index, num_rows, reduce)
                    got = torch.ops.gnnlib.scatter_arg(x, index, num_rows, reduce)[1]
                    assert torch.equal(got, arg)
                    assert torch.equal(out, expected)
                else:
                    expected = reference.scatter(x, index, num_rows, reduce)
                    assert_close(out, expected, (dtype, shape, reduce))
            wide = torch.float64 if dtype == torch.float64 else torch.float32
            total = values(num_rows, *shape, dtype=wide)
            expected = total.clone()
            reference.scatter_add_(expected, x.to(wide), index)
            ops.scatter_add_(total, x, index)
            assert_close(total, expected)
            for rows in (out, out.mul(4).long(), out.gt(0)):
                assert torch.equal(ops.gather_rows(rows, index), rows[index.long()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_narrow_rows_are_reduced_as_wide_ones_are(dtype, reduce):
    # Another way to the same bits: few values are added one by one, many behind a sort.
    x, index = torch.randn(3000, 20, dtype=dtype), torch.randint(100, (3000,))
    wide = ops.scatter(x, index, 120, reduce)
    for width in (1, 2, 3, 4, 5):
        assert torch.equal(ops.scatter(x[:, :width], index.int(), 120, reduce), wide[:, :width])


def test_operands_need_not_be_contiguous():
    index = torch.stack([torch.tensor(PLACES["unsorted"][0])] * 2, 1)[:, 0]
    x = values(3, 7).T
    for reduce in REDUCES:
        assert torch.equal(
            ops.scatter(x, index, 7, reduce), ops.scatter(x.contiguous(), index, 7, reduce)
        )
    assert torch.equal(ops.gather_rows(x, index), x[index])


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_the_first_of_equals_takes_the_gradient(reduce):
    index = torch.tensor(PLACES["unsorted"][0])
    x = torch.ones(7, 20, requires_grad=True)
    ops.scatter(x, index, 7, reduce).sum().backward()
    assert x.grad is not None
    assert x.grad[:, 0].nonzero().flatten().tolist() == [0, 1, 3, 6]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_long_mean_in_half_precision_neither_overflows_nor_drifts(dtype):
    x = torch.full((2001,), 200.0, dtype=dtype, requires_grad=True)
    out = ops.scatter(x, torch.zeros(2001, dtype=torch.long), 1, "mean")
    assert out.tolist() == [200.0]
    (grad,) = torch.autograd.grad(out.sum() * 2001, x)
    assert_close(grad, torch.ones(2001, dtype=dtype))


@pytest.mark.parametrize("name", ["unsorted", "one_row", "none"])
@pytest.mark.parametrize("reduce", [*REDUCES, "gather"])
def test_gradients(name, reduce):
    place, num_rows = PLACES[name]
    index = torch.tensor(place, dtype=torch.long)
    for shape in ((), (2,)):
        if reduce == "gather":
            x = values(num_rows, *shape, grad=True)
            check_gradients(lambda x: ops.gather_rows(x, index).sin(), x)
        else:
            x = values(len(place), *shape, grad=True)
            check_gradients(lambda x: ops.scatter(x, index, num_rows, reduce), x)


@pytest.mark.parametrize("zeros", [[0], [0, 2], [0, 1, 2, 4]])
def test_gradients_of_mul_hold_where_factors_are_zero(zeros):
    index = torch.tensor(PLACES["unsorted"][0])
    x = values(7, 2)
    x[zeros] = 0
    check_gradients(lambda x: ops.scatter(x, index, 7, "mul"), x.requires_grad_())


@pytest.mark.parametrize("reduce", [*REDUCES, "gather"])
def test_vmap_gives_what_a_loop_gives(reduce):
    index = torch.tensor(PLACES["unsorted"][0])

    def f(x):
        return ops.gather_rows(x, index) if reduce == "gather" else ops.scatter(x, index, 7, reduce)

    check_vmap(f, (0,), values(3, 7))
    check_vmap(f, (1,), values(7, 3, 2))
    check_vmap(f, (-1,), values(7, 2, 2, 3))


def test_vmap_over_the_index_is_refused():
    index, x = torch.zeros(2, 3, dtype=torch.long), values(3)
    for f in (ops.gather_rows, lambda x, index: ops.scatter(x, index, 3)):
        with pytest.raises(NotImplementedError, match="cannot map over the graph structure"):
            torch.func.vmap(f, (None, 0))(x, index)


def test_scatter_and_gather_compile_into_one_graph():
    def f(x, index):
        out = ops.scatter(x, index, x.shape[0])
        for reduce in REDUCES[1:]:
            out = out + ops.scatter(x, index, x.shape[0], reduce)
        return ops.gather_rows(out, index)

    cases = [(values(n, 3, grad=True), torch.randint(n, (n,))) for n in (20, 31)]
    check_compile(f, *cases)


@pytest.mark.parametrize("reduce", [*REDUCES, "gather", "add_"])
def test_results_and_gradients_do_not_depend_on_the_threads(reduce):
    index = torch.randint(600, (90_000,), dtype=torch.int32)  # above the serial threshold
    x = values(600 if reduce == "gather" else 90_000, 12, dtype=torch.float32, grad=True)
    start = values(600, 12, dtype=torch.float32)

    def run():
        if reduce == "add_":
            out = start.clone()
            ops.scatter_add_(out, x.detach(), index)
            return (out,)
        out = (
            ops.gather_rows(x, index) if reduce == "gather" else ops.scatter(x, index, 600, reduce)
        )
        return out, *torch.autograd.grad(out.square().sum(), x)

    check_threads(run)


def test_scatter_and_gather_name_the_argument_that_is_wrong():
    index, x = torch.tensor([1, 0, 2]), values(3, 2)
    gather, scatter, add_ = ops.gather_rows, ops.scatter, ops.scatter_add_
    for kind in (torch.int32, torch.int64):
        for bad, value in ((3, 3), (-1, -1)):
            wrong = torch.tensor([1, 0, bad], dtype=kind)
            text = rf"index must be below 3 and not negative: position 2 is {value}"
            refused(rf"gather_rows: {text}", gather, x, wrong)
            refused(rf"scatter_add_: {text}", add_, x.clone(), x, wrong)
            for reduce in REDUCES:
                for leaf in (x, x.clone().requires_grad_()):
                    refused(rf"scatter(_arg)?: {text}", scatter, leaf, wrong, 3, reduce)
    refused(r"gather_rows: index must be int32 or int64, got float32", gather, x, index.float())
    refused(r"gather_rows: index must have one dimension, got .*\(1, 3\)", gather, x, index[None])
    refused(r"gather_rows: x must have rows, got a scalar", gather, x[0, 0], index)

    refused(r"reduce must be one of 'mean', .*; got 'meen'", scatter, x, index, 3, "meen")
    for reduce in REDUCES:
        for leaf in (x, x.clone().requires_grad_()):
            refused(
                r"scatter\w*: x must have one row per index: index has 3, x shape \(2, 2\)",
                scatter,
                leaf[:2],
                index,
                3,
                reduce,
            )
            refused(
                r"scatter\w*: index must be int32 .* got float32",
                scatter,
                leaf,
                index.float(),
                3,
                reduce,
            )
            refused(
                r"scatter\w*: num_rows must not be negative, got -1",
                scatter,
                leaf,
                index,
                -1,
                reduce,
            )
        refused(r"\w+: x must be float32, .* got int64", scatter, x.long(), index, 3, reduce)

    refused(r"scatter_add_: out must be contiguous", add_, values(2, 3).T, x, index)
    refused(
        r"scatter_add_: out must have shape \(\*, 2\), got \(3, 3\)", add_, values(3, 3), x, index
    )
    refused(
        r"scatter_add_: out must be float64 .* got float32 with x float64",
        add_,
        x.float(),
        x,
        index,
    )
    refused(r"scatter_add_: x must have one row per index: .*", add_, x, x[:2], index)


def test_scatter_add_takes_rows_at_any_address():
    index, x = torch.tensor([1, 0, 1]), values(3, 4, dtype=torch.float32)
    whole = torch.ones(1 + 3 * 4)
    out = whole[1:].view(3, 4)  # contiguous, but not where a row could be read at once
    ops.scatter_add_(out, x, index)
    assert_close(out, torch.ones(3, 4).index_add(0, index, x))
    assert whole[0] == 1
