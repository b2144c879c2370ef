"""Edge values from the two ends of each edge: the sampled dense-dense product and its like."""

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._apply import form
from ._common import (
    Transpose,
    autocast,
    distinct,
    fold,
    needs_grad,
    refuse_batched_structure,
    turned,
    vmap_rule,
    way_back,
)
from ._door import check_edges
from ._fake import fake_rule
from .segment import segment_reduce

OPS = ("dot", "add", "sub", "mul", "copy")

_sddmm = torch.ops.gnnlib.sddmm.default


def sddmm(
    ptr: Tensor,
    col: Tensor,
    a: Tensor | None,
    b: Tensor,
    *,
    eid: Tensor | None = None,
    op: str = "dot",
    transpose: Transpose = None,
) -> Tensor:
    """Combine, for each edge j → i, the row a[i] of its destination and b[j] of its source.

    dot: out[e] = Σ_d a[i, …, d] · b[j, …, d];  add, sub, mul: out[e] = a[i] ∘ b[j];  copy: b[j]

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1].
        col: source of each CSR position, [E].
        a: destination rows. dot: [num_dst, D] or [num_dst, H, D]; else [num_dst] or [num_dst, H];
            None for copy.
        b: source rows, of the same form with num_src rows.
        eid: edge id of each CSR position, [E]; the result is in the order of these ids (the
            user's); None: in CSR order.
        op: 'dot', 'add', 'sub', 'mul' or 'copy'.
        transpose: (t_ptr, t_row, t_pos) or a function that returns it, for the gradient of b.

    Returns:
        [E] or [E, H].

    Raises:
        ValueError: for an unknown op.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 1])
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> sddmm(ptr, col, x, x)
        tensor([11., 11., 25.])
        >>> sddmm(ptr, col, x, x, op="sub")
        tensor([[-2., -2.],
                [ 2.,  2.],
                [ 0.,  0.]])
    """
    if op not in OPS:
        raise unknown_choice("op", op, OPS)
    if (a is None) != (op == "copy"):
        raise TypeError(f"a must be None for op='copy' and a tensor otherwise; op={op!r}, a={a!r}")
    check_edges(ptr, col, b, eid)
    a, b = autocast(a, b)
    if not needs_grad(a, b):
        return _sddmm(ptr, col, eid, a, b, op)
    back = way_back(ptr, col, eid, b, transpose)
    a, b = distinct(a, b)
    if op == "dot":
        return form(_SddmmDot).apply(ptr, col, eid, a, b, *back)
    return form(_Sddmm).apply(ptr, col, eid, a, b, op, *back)


def sddmm_dot(ptr, col, eid, a, b, *back) -> Tensor:
    if needs_grad(a, b):
        return form(_SddmmDot).apply(ptr, col, eid, a, b, *back)
    return _sddmm(ptr, col, eid, a, b, "dot")


class _SddmmDot(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, a, b, *back):
        return _sddmm(ptr, col, eid, a, b, "dot")

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        from .spmm import weighted_sum  # each of the two files is the other's gradient

        ptr, col, eid, a, b, *back = ctx.saved_tensors
        grad_a = grad_b = None
        if ctx.needs_input_grad[3]:
            grad_a = weighted_sum(ptr, col, eid, grad, b, None, None, back)
        if ctx.needs_input_grad[4]:
            there = (ptr, col, None, eid)
            grad_b = weighted_sum(*turned(back), grad, a, None, None, there)
        return (None, None, None, grad_a, grad_b) + (None,) * 4


class _Sddmm(torch.autograd.Function):
    """add, sub, mul and copy: one value an edge and feature, nothing summed."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, a, b, op, *back):
        return _sddmm(ptr, col, eid, a, b, op)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, a, b, ctx.op, *back = inputs
        kept = (a, b) if ctx.op == "mul" else (None, None)
        ctx.save_for_backward(ptr, col, eid, *kept, *back)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, a, b, *back = ctx.saved_tensors
        grad_a = grad_b = None
        if ctx.op == "mul":
            from .spmm import weighted_sum

            if ctx.needs_input_grad[3]:
                rows = weighted_sum(ptr, col, eid, grad, b.unsqueeze(-1), None, None, back)
                grad_a = rows.squeeze(-1)
            if ctx.needs_input_grad[4]:
                there = (ptr, col, None, eid)
                rows = weighted_sum(*turned(back), grad, a.unsqueeze(-1), None, None, there)
                grad_b = rows.squeeze(-1)
        else:
            if ctx.needs_input_grad[3]:
                grad_a = segment_reduce(ptr, grad, eid=eid)
            if ctx.needs_input_grad[4]:
                t_ptr, _, t_address = turned(back)
                grad_b = segment_reduce(t_ptr, grad, eid=t_address)
                grad_b = -grad_b if ctx.op == "sub" else grad_b
        return (None, None, None, grad_a, grad_b) + (None,) * 5


@fake_rule("gnnlib::sddmm")
def _(ptr, col, eid, a, b, op):
    return b.new_empty(col.shape + (b.shape[1:-1] if op == "dot" else b.shape[1:]))


@vmap_rule("gnnlib::sddmm")
def _(info, in_dims, ptr, col, eid, a, b, op):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    a = None if a is None else fold(a, in_dims[3], info.batch_size)
    b = fold(b, in_dims[4], info.batch_size)
    heads = b.shape[1:-1] if op == "dot" else b.shape[1:]
    last = -2 if op == "dot" else -1  # dot sums over the last dimension, which stays apart
    a = None if a is None else a.flatten(1, last)
    return _sddmm(ptr, col, eid, a, b.flatten(1, last), op).reshape(col.shape + heads), 1
