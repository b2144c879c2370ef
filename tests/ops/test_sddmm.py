"""sddmm: every kind against the reference, its gradients, and what it refuses."""

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

OPS = ("dot", "add", "sub", "mul", "copy")


def _ends(csr, op, heads, dtype=torch.float64, grad=False):
    """Rows of the two ends in the form that `op` takes."""
    shape = (() if heads is None else (heads,)) + ((3,) if op == "dot" else ())
    a = None if op == "copy" else values(csr.num_dst, *shape, dtype=dtype, grad=grad)
    return a, values(csr.num_src, *shape, dtype=dtype, grad=grad)


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_sddmm_agrees_with_the_reference(name, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        for op in OPS:
            for heads in (None, 1, 4, 0):
                a, b = _ends(csr, op, heads, dtype)
                out = ops.sddmm(csr.ptr, csr.col, a, b, eid=csr.eid, op=op)
                expected = reference.sddmm(csr.ptr, csr.col, csr.eid, a, b, op)
                assert out.shape == (csr.num_edges,) + (() if heads is None else (heads,))
                assert_close(out, expected, (dtype, op, heads))


def test_dot_over_no_features_is_zero():
    csr = make_csr("unsorted")
    assert ops.sddmm(csr.ptr, csr.col, values(5, 0), values(5, 0)).tolist() == [0.0] * 7


def test_operands_need_not_be_contiguous():
    csr = make_csr("directed_random")
    a, b = values(4, csr.num_dst, 3).transpose(0, 1), values(3, 4, csr.num_src).movedim(2, 0)
    out = ops.sddmm(csr.ptr, csr.col, a, b.mT, eid=csr.eid)
    again = ops.sddmm(csr.ptr, csr.col, a.contiguous(), b.mT.contiguous(), eid=csr.eid)
    assert torch.equal(out, again)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("op", OPS)
def test_gradients(name, op):
    csr = make_csr(name)
    for heads in (None, 2):
        a, b = _ends(csr, op, heads, grad=True)

        def f(a, b):
            return ops.sddmm(csr.ptr, csr.col, a, b, eid=csr.eid, op=op, transpose=csr.transpose)

        if a is None:
            check_gradients(lambda b, f=f: f(None, b), b)
        elif name != "unsorted":
            check_gradients(f, a, b)
        else:  # once also each alone
            check_gradients(lambda a, f=f, b=b: f(a, b.detach()), a)
            check_gradients(lambda b, f=f, a=a: f(a.detach(), b), b)


def test_gradients_where_both_ends_are_one_tensor():
    csr = make_csr("self_loops")
    for op in ("dot", "mul"):
        x = values(csr.num_src, 2, grad=True)
        check_gradients(lambda x, op=op: ops.sddmm(csr.ptr, csr.col, x, x, eid=csr.eid, op=op), x)


@pytest.mark.parametrize("op", OPS)
def test_vmap_gives_what_a_loop_gives(op):
    csr = make_csr("unsorted")

    def f(a, b):
        return ops.sddmm(csr.ptr, csr.col, a, b, eid=csr.eid, op=op)

    if op == "copy":
        check_vmap(lambda b: f(None, b), (1,), values(5, 3))
        check_vmap(lambda b: f(None, b), (0,), values(3, 5, 2))
        return
    last = (2,) if op == "dot" else ()
    check_vmap(f, (0, None), values(3, 5, *last), values(5, *last))
    check_vmap(f, (None, 1), values(5, *last), values(5, 3, *last))
    check_vmap(f, (1, 0), values(5, 3, 4, *last), values(3, 5, 4, *last))
    check_vmap(f, (None, -1), values(5, 4, *last), values(5, 4, *last, 3))


def test_autocast_casts_both_ends():
    csr = make_csr("power_law", torch.int32)
    a = values(csr.num_dst, 2, 16, dtype=torch.float32).requires_grad_()
    b = values(csr.num_src, 2, 16, dtype=torch.float32)
    expected = ops.sddmm(csr.ptr, csr.col, a, b, eid=csr.eid)
    with torch.autocast("cpu", torch.bfloat16):
        out = ops.sddmm(csr.ptr, csr.col, a, b, eid=csr.eid)
    assert out.dtype == torch.bfloat16
    assert ((out - expected).abs() <= 0.02 * expected.abs().amax()).all()
    assert torch.autograd.grad(out.float().sum(), a)[0].dtype == torch.float32


def test_sddmm_compiles_into_one_graph():
    def f(ptr, col, eid, t_ptr, t_row, t_pos, a, b):
        where = {"eid": eid, "transpose": (t_ptr, t_row, t_pos)}
        out = ops.sddmm(ptr, col, a, b, **where)
        for op in ("add", "sub", "mul"):
            out = out + ops.sddmm(ptr, col, a[..., 0], b[..., 0], op=op, **where)
        out = out + ops.sddmm(ptr, col, None, b[..., 1], op="copy", **where)
        return out * ops.sddmm(ptr, col, a, a, **where)

    cases = []
    for name in ("directed_random", "power_law"):
        csr = make_csr(name)
        a, b = values(csr.num_dst, 2, 3, grad=True), values(csr.num_src, 2, 3, grad=True)
        cases.append((*csr[:3], *csr.transpose, a, b))
    check_compile(f, *cases)


@pytest.mark.parametrize("op", OPS)
def test_results_and_gradients_do_not_depend_on_the_threads(op):
    csr = random_csr(500, 400, 300_000, torch.int32)  # above the serial threshold
    a, b = _ends(csr, op, 4, torch.float32, grad=True)
    leaves = [t for t in (a, b) if t is not None]

    def run():
        out = ops.sddmm(csr.ptr, csr.col, a, b, eid=csr.eid, op=op)
        return out, *torch.autograd.grad(out.square().sum(), leaves)

    check_threads(run)


def test_sddmm_names_the_argument_that_is_wrong():
    csr = make_csr("unsorted")
    ptr, col, eid = csr.ptr, csr.col, csr.edge
    a = values(5, 2, 3)

    def f(ptr=ptr, col=col, a=a, b=a, eid=eid, op="dot"):
        return ops.sddmm(ptr, col, a, b, eid=eid, op=op)

    refused(r"op must be one of 'dot', .*; got 'dots'", f, op="dots")
    for op, other in (("dot", None), ("copy", a)):
        with pytest.raises(TypeError, match="a must be None for op='copy' and a tensor otherwise"):
            ops.sddmm(ptr, col, other, a, op=op)
    refused(
        r"sddmm: ptr must run from 0 to the number of edges 6, got 0 to 7", f, col=col[:6], eid=None
    )
    refused(r"sddmm: col and ptr must have one dtype, got int32 and int64", f, col=col.int())
    refused(r"sddmm: eid must have one id per edge: col has 7, eid 3", f, eid=eid[:3])
    refused(r"sddmm: a must have shape \(5, 2, 3\), got \(4, 2, 3\)", f, a=a[:4])
    refused(r"sddmm: a must have shape \(5, 2, 3\), got \(5, 3\)", f, a=a[:, 0])
    refused(r"sddmm: a and b must have one dtype, got float32 and float64", f, a=a.float())
    refused(r"sddmm: b must be float32, .* got int64", f, a=a.long(), b=a.long())
    refused(r"sddmm: b must be \[num_src, D\] .* got shape \(5\)", f, a=a[:, 0, 0], b=a[:, 0, 0])
    refused(r"sddmm: b must be \[num_src\] .* got shape \(5, 2, 3\)", f, op="add")
