"""spmm_multi: against one reduction at a time, its gradients, and what it refuses."""

import itertools

import pytest
import torch

from gnnlib import ops
from tests.ops.cases import (
    DTYPES,
    NAMES,
    SMALL,
    TOLERANCE,
    check_compile,
    check_gradients,
    check_threads,
    check_vmap,
    make_csr,
    random_csr,
    refused,
    values,
)

ALL = ["sum", "mean", "max", "min", "std"]


def one_at_a_time(csr, x, reduces):
    rows = ops.gather_rows(x, csr.col)
    return torch.stack([ops.segment_reduce(csr.ptr, rows, reduce=name) for name in reduces], 1)


@pytest.mark.parametrize("name", NAMES)
def test_all_reductions_agree_with_one_at_a_time(name):
    for dtype, index in DTYPES:
        csr = make_csr(name, index)
        for width in (1, 7, 33):
            x = values(csr.num_src, width, dtype=dtype)
            for reduces in (ALL, ["std", "max"], ["min"], ["mean", "sum"]):
                out = ops.spmm_multi(csr.ptr, csr.col, x, reduces)
                assert out.shape == (csr.num_dst, len(reduces), width)
                tolerance = TOLERANCE[dtype] * 4
                expected = one_at_a_time(csr, x, reduces)
                torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)


def test_the_deviation_of_large_numbers_is_that_of_their_differences():
    x = torch.tensor([[1e7], [1e7 + 2], [1e7 + 4]], dtype=torch.float64).float()
    out = ops.spmm_multi(torch.tensor([0, 3]), torch.tensor([0, 1, 2]), x, ["std"])
    assert out.item() == pytest.approx((8 / 3) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_gradients(name):
    csr = make_csr(name)
    x = values(csr.num_src, 3, grad=True)
    # Distinct values: extremes have a gradient only where they do not tie.
    with torch.no_grad():
        x += torch.rand(x.shape, dtype=torch.float64) * 0.1
    for reduces in (ALL, ["std"], ["max", "mean"]):
        if name == "repeated_edges" and "std" in reduces:
            continue  # a row of one source alone is constant, where the deviation has a kink
        check_gradients(
            lambda x, r=reduces: ops.spmm_multi(csr.ptr, csr.col, x, r, transpose=csr.transpose), x
        )


def test_gradients_are_those_of_one_at_a_time():
    csr = random_csr(40, 30, 300, torch.int32)
    x = values(30, 37, grad=True)
    weight = values(40, 5, 37)
    for reduces in itertools.permutations(ALL, 3):
        w = weight[:, : len(reduces)]
        ours = torch.autograd.grad((ops.spmm_multi(csr.ptr, csr.col, x, reduces) * w).sum(), x)[0]
        theirs = torch.autograd.grad((one_at_a_time(csr, x, reduces) * w).sum(), x)[0]
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_a_constant_row_has_no_deviation_and_no_gradient():
    x = torch.ones(3, 2, requires_grad=True)
    out = ops.spmm_multi(torch.tensor([0, 3, 3]), torch.tensor([0, 1, 2]), x, ["std", "mean"])
    out[:, 0].sum().backward()
    assert x.grad is not None
    assert not out[:, 0].any() and not x.grad.any()


def test_vmap_gives_what_a_loop_gives():
    csr = make_csr("unsorted")
    check_vmap(lambda x: ops.spmm_multi(csr.ptr, csr.col, x, ALL), (1,), values(5, 3, 2))
    check_vmap(lambda x: ops.spmm_multi(csr.ptr, csr.col, x, ["std"]), (0,), values(3, 5, 2))


def test_it_compiles_into_one_graph():
    def f(ptr, col, t_ptr, t_row, t_pos, x):
        return ops.spmm_multi(ptr, col, x, ALL, transpose=(t_ptr, t_row, t_pos))

    cases = []
    for name in ("power_law", "unsorted"):
        csr = make_csr(name)
        cases.append((csr.ptr, csr.col, *csr.transpose, values(csr.num_src, 3, grad=True)))
    check_compile(f, *cases)


def test_every_bit_is_the_same_on_any_number_of_threads():
    csr = random_csr(3000, 3000, 40_000, torch.int32)
    x = torch.randn(3000, 40, requires_grad=True)

    def run():
        out = ops.spmm_multi(csr.ptr, csr.col, x, ALL)
        return out, *torch.autograd.grad(out.square().sum(), x)

    check_threads(run)


def test_autocast_and_operands_that_are_not_contiguous():
    csr = make_csr("power_law", torch.int32)
    x = values(3, csr.num_src, dtype=torch.float32).T
    out = ops.spmm_multi(csr.ptr, csr.col, x, ALL)
    assert torch.equal(out, ops.spmm_multi(csr.ptr, csr.col, x.contiguous(), ALL))
    with torch.autocast("cpu", torch.bfloat16):
        assert ops.spmm_multi(csr.ptr, csr.col, x, ALL).dtype == torch.bfloat16


def test_bad_arguments_are_refused():
    csr = make_csr("unsorted")
    x = values(5, 2)
    refused(r"reduces must be one of .*; got 'mul'", ops.spmm_multi, csr.ptr, csr.col, x, ["mul"])
    text = r"reduces must name one reduction or more, each once; got \['sum', 'sum'\]"
    refused(text, ops.spmm_multi, csr.ptr, csr.col, x, ["sum", "sum"])
    text = r"x must be \[num_src, F\], got x of shape \(5, 2, 1\)"
    refused(text, ops.spmm_multi, csr.ptr, csr.col, x.unsqueeze(-1), ["sum"])
