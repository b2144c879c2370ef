"""propagate and its kin: against loops of spmm, their gradients, and what they refuse."""

import pytest
import torch

from gnnlib import ops
from gnnlib.ops import reference
from tests.graphs import GRAPHS
from tests.ops.cases import (
    DTYPES,
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

SQUARE = [*GRAPHS]


def _scales(csr, dtype=torch.float64) -> dict:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    draw = [values(csr.num_dst, dtype=wide) * 0.4 for _ in range(2)]
    return {"row_scale": draw[0], "col_scale": draw[1]}


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", SQUARE)
def test_steps_agree_with_the_reference(name, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        scales = _scales(csr, dtype)
        for shape, weight in (((5,), None), ((3, 2), values(csr.num_edges, dtype=dtype) * 0.4)):
            x = values(csr.num_src, *shape, dtype=dtype)
            base, last = (csr.ptr, csr.col), tuple(scales.values())
            for steps in (0, 1, 2, 5):
                label = (dtype, shape, steps)
                named = {"eid": csr.eid, **scales}
                out = ops.propagate(*base, x, steps, weight, alpha=0.3, **named)
                of = (*base, csr.eid, weight)
                assert_close(out, reference.propagate(*of, x, steps, 0.3, *last), label)
                powers = ops.propagate_powers(*base, x, steps, weight, **named)
                assert_close(powers, reference.propagate_powers(*of, x, steps, *last), label)
                out = ops.propagate_horner(*base, powers, weight, **named)
                assert_close(out, reference.propagate_horner(*of, powers, *last), label)


def test_the_input_is_not_written_into_nor_returned():
    csr = make_csr("unsorted")
    for steps in (0, 1, 2, 3):
        x = values(5, 3)
        before = x.clone()
        out = ops.propagate(csr.ptr, csr.col, x, steps, alpha=0.5)
        assert torch.equal(x, before)
        assert out.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("name", ["unsorted", "no_edges", "one_loop", "repeated_edges"])
def test_gradients(name):
    csr = make_csr(name)
    weight, scales = values(csr.num_edges) * 0.4, _scales(csr)
    named = {"eid": csr.eid, "transpose": csr.transpose, **scales}
    for w in (None, weight):
        x = values(csr.num_src, 2, grad=True)
        check_gradients(
            lambda x, w=w: ops.propagate(csr.ptr, csr.col, x, 3, w, alpha=0.2, **named), x
        )
        check_gradients(lambda x, w=w: ops.propagate_powers(csr.ptr, csr.col, x, 2, w, **named), x)
        terms = values(csr.num_src, 3, 2, grad=True)
        check_gradients(lambda x, w=w: ops.propagate_horner(csr.ptr, csr.col, x, w, **named), terms)


def test_gradients_where_both_scales_are_one_tensor_and_the_transpose_is_not_given():
    csr = make_csr("unsorted")
    scale = values(5) * 0.4
    x = values(5, 2, grad=True)
    named = {"eid": csr.eid, "row_scale": scale, "col_scale": scale}
    check_gradients(lambda x: ops.propagate(csr.ptr, csr.col, x, 2, alpha=0.2, **named), x)


def test_vmap_gives_what_a_loop_gives():
    csr = make_csr("unsorted")
    check_vmap(lambda x: ops.propagate(csr.ptr, csr.col, x, 2, alpha=0.5), (1,), values(5, 3, 2))
    check_vmap(lambda x: ops.propagate_powers(csr.ptr, csr.col, x, 2), (0,), values(3, 5, 2))
    check_vmap(lambda x: ops.propagate_horner(csr.ptr, csr.col, x), (0,), values(4, 5, 3, 2))


def test_steps_compile_into_one_graph():
    def f(ptr, col, t_ptr, t_row, t_pos, x):
        back: dict = {"transpose": (t_ptr, t_row, t_pos)}
        powers = ops.propagate_powers(ptr, col, x, 2, **back)
        out = ops.propagate_horner(ptr, col, powers, **back)
        return ops.propagate(ptr, col, out, 3, alpha=0.1, **back)

    cases = []
    for name in ("power_law", "unsorted"):
        csr = make_csr(name)
        x = values(csr.num_src, 3, grad=True)
        cases.append((csr.ptr, csr.col, *csr.transpose, x))
    check_compile(f, *cases)


def test_every_bit_is_the_same_on_any_number_of_threads():
    csr = random_csr(3000, 3000, 40_000, torch.int32)
    x = torch.randn(3000, 40, requires_grad=True)

    def run():
        out = ops.propagate(csr.ptr, csr.col, x, 3, alpha=0.1, eid=csr.eid)
        return out, *torch.autograd.grad(out.square().sum(), x)

    check_threads(run)


def test_autocast_runs_the_steps_in_the_lower_precision():
    csr = make_csr("power_law", torch.int32)
    x = values(csr.num_src, 16, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = ops.propagate(csr.ptr, csr.col, x, 2, alpha=0.5)
    assert out.dtype == torch.bfloat16
    assert torch.autograd.grad(out.float().sum(), x)[0].dtype == torch.float32


def test_bad_arguments_are_refused():
    csr = make_csr("unsorted")
    x, weight = values(5, 3), values(7, grad=True)
    of = (csr.ptr, csr.col)
    text = "weight must not require a gradient: a step for each gradient is `spmm`'s"
    refused(text, ops.propagate, *of, x, 2, weight)
    refused(r"propagate: the number of steps must be 0 or more, got -1", ops.propagate, *of, x, -1)
    text = r"propagate: x must have one row per node: ptr has 5, got x of shape \(6, 3\)"
    refused(text, ops.propagate, *of, values(6, 3), 2)
    text = r"propagate_horner: x must be \[N, K \+ 1, …\] with K of 0 or more, got shape \(5, 3\)"
    refused(text, ops.propagate_horner, *of, x)
    text = r"propagate: row_scale must have shape \(5\), got \(4\)"
    refused(text, ops.propagate, *of, x, 2, row_scale=values(4))
