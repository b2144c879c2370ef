"""Neighbourhood aggregation: reduce weighted source rows into each destination, in one pass."""

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._apply import form
from ._common import (
    REDUCES,
    Transpose,
    autocast,
    counts,
    distinct,
    fold,
    needs_grad,
    per_row,
    refuse_batched_structure,
    requires_grad,
    turned,
    vmap_rule,
    way_back,
)
from ._door import check_edges
from ._fake import fake_rule
from .scatter import gather_rows, scatter
from .sddmm import sddmm_dot
from .segment import multiply_backward

_spmm = torch.ops.gnnlib.spmm.default
_spmm_arg = torch.ops.gnnlib.spmm_arg.default
_arg_backward = torch.ops.gnnlib.spmm_arg_backward.default
_arg_weight = torch.ops.gnnlib.spmm_arg_weight.default


def spmm(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    weight: Tensor | None = None,
    *,
    eid: Tensor | None = None,
    reduce: str = "sum",
    row_scale: Tensor | None = None,
    col_scale: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """Reduce the weighted rows of the sources of each destination.

    out[i] = row_scale[i] · reduce over the edges j → i of weight[ij] · col_scale[j] · x[j]

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1], int32 or int64.
        col: source of each CSR position, [E].
        x: source rows, [num_src, F] or [num_src, H, D].
        weight: one factor an edge, [E]; one an edge and head, [E, H], with x [num_src, H, D]; or
            one an edge and feature, [E, F] or [E, H, D].
        eid: edge id of each CSR position, [E]: position k has `weight[eid[k]]`; None: `weight[k]`.
        reduce: 'sum', 'mean' (divides by the edge count), 'max', 'min' or 'mul'. A row without
            edges gives 0 ('mul': 1). For max and min the first edge in the user's order takes the
            gradient, and NaN propagates.
        row_scale: a factor a destination, [num_dst].
        col_scale: a factor a source, [num_src].
        transpose: (t_ptr, t_row, t_pos) of `csr_transpose`, or a function that returns it, used
            when x needs a gradient; computed on the spot when left out.

    Returns:
        [num_dst, F] or [num_dst, H, D], in the dtype of x (sums run in float32 for half types).

    Raises:
        ValueError: for an unknown reduce, or an argument of the wrong shape.

    Memory is that of the operands and of the result, forward and backward; the backward pass of
    'mul' alone gathers its messages.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 1])
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> spmm(ptr, col, x)
        tensor([[3., 4.],
                [4., 6.]])
        >>> spmm(ptr, col, x, torch.tensor([1.0, 10.0, 0.5]), reduce="max")
        tensor([[ 3.,  4.],
                [10., 20.]])
    """
    if reduce not in REDUCES:
        raise unknown_choice("reduce", reduce, REDUCES)
    if x.dim() not in (2, 3):
        raise ValueError(
            f"x must be [num_src, F] or [num_src, H, D], got x of shape {tuple(x.shape)}"
        )
    check_edges(ptr, col, x, eid)
    x, weight = autocast(x, weight)
    linear = reduce in ("sum", "mean")
    # The kernel takes the scales as constants; as variables, and for the reducers that are not
    # linear, they are factors of x and of the result.
    if col_scale is not None and (not linear or needs_grad(col_scale)):
        x, col_scale = x * per_row(col_scale, x).to(x.dtype), None
    after = None
    if row_scale is not None and (not linear or needs_grad(row_scale)):
        after, row_scale = row_scale, None

    if not needs_grad(x, weight):
        out = _spmm(ptr, col, eid, weight, x, reduce, row_scale, col_scale)
    elif reduce == "mul":
        out = form(_SpmmMul).apply(ptr, col, eid, weight, x)
    elif linear:
        back = way_back(ptr, col, None if weight is None else eid, x, transpose)
        row_scale, col_scale = distinct(row_scale, col_scale)
        out = form(_Spmm).apply(ptr, col, eid, weight, x, reduce, row_scale, col_scale, *back)
    else:
        # Of use where it is at hand; else the gradient does without.
        back = (None,) * 4 if transpose is None else way_back(ptr, col, None, x, transpose)
        out = form(_SpmmArg).apply(ptr, col, eid, weight, x, reduce, *back[:3])[0]
    return out if after is None else out * per_row(after, out).to(out.dtype)


def weight_grad(ptr, col, eid, a, b, weight_dim, back) -> Tensor:
    """<a[i], b[j]> over the features that share a weight, for each edge: as the weight is."""
    if weight_dim == 1:
        a, b = a.flatten(1), b.flatten(1)
    elif weight_dim == a.dim():  # every feature has a weight of its own: nothing to sum over
        a_each, b_each = a.flatten(1).unsqueeze(-1), b.flatten(1).unsqueeze(-1)
        out = sddmm_dot(ptr, col, eid, a_each, b_each, *back)
        return out.reshape((col.shape[0],) + a.shape[1:])
    return sddmm_dot(ptr, col, eid, a, b, *back)


def weighted_sum(ptr, col, eid, weight, x, row_scale, col_scale, back) -> Tensor:
    if needs_grad(x, weight):
        return form(_Spmm).apply(ptr, col, eid, weight, x, "sum", row_scale, col_scale, *back)
    return _spmm(ptr, col, eid, weight, x, "sum", row_scale, col_scale)


class _Spmm(torch.autograd.Function):
    """Sum and mean. Each gradient is again a sum over edges, so every order of gradient exists."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, x, reduce, row_scale, col_scale, *back):
        return _spmm(ptr, col, eid, weight, x, reduce, row_scale, col_scale)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, weight, x, ctx.reduce, row_scale, col_scale, *back = inputs
        # x is kept for the weight's gradient alone.
        kept = x if weight is not None and requires_grad(weight) else None
        ctx.num_src = x.shape[0]
        ctx.save_for_backward(ptr, col, eid, weight, kept, row_scale, col_scale, *back)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, weight, x, row_scale, col_scale, *back = ctx.saved_tensors
        if ctx.reduce == "mean":
            share = counts(ptr, grad.dtype).reciprocal()
            row_scale = share if row_scale is None else row_scale * share
        grad_x = grad_weight = None
        if ctx.needs_input_grad[4]:
            there = (ptr, col, None, eid)
            grad_x = weighted_sum(*turned(back), weight, grad, col_scale, row_scale, there)
        if ctx.needs_input_grad[3]:
            a = grad if row_scale is None else grad * per_row(row_scale, grad).to(grad.dtype)
            b = x if col_scale is None else x * per_row(col_scale, x).to(x.dtype)
            grad_weight = weight_grad(ptr, col, eid, a, b, weight.dim(), back)
        return (None, None, None, grad_weight, grad_x) + (None,) * 7


class _SpmmMul(torch.autograd.Function):
    """The backward pass gathers the messages, and is itself made of differentiable operators."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, x):
        return _spmm(ptr, col, eid, weight, x, "mul", None, None)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, weight, x = ctx.saved_tensors
        rows, factor = gather_rows(x, col), None
        if weight is not None:
            in_order = weight if eid is None else gather_rows(weight, eid)
            factor = in_order.reshape(weight.shape + (1,) * (x.dim() - weight.dim()))
        message = rows if factor is None else rows * factor
        grad = multiply_backward(ptr, None, message, grad)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[4]:
            grad_x = scatter(grad if factor is None else grad * factor, col, x.shape[0])
        if weight is not None and ctx.needs_input_grad[3]:
            product = grad * rows
            shared = weight.dim() < x.dim()
            grad_weight = product.flatten(weight.dim()).sum(-1) if shared else product
            if eid is not None:
                grad_weight = scatter(grad_weight, eid, eid.shape[0])
        return None, None, None, grad_weight, grad_x


# max and min: with the winner of each entry fixed, out is linear in x and in the weight. The three
# functions below are the three gradients of Σ grad[i,f] · weight[win] · x[col[win], f], and each is
# the gradient of the other two.


class _SpmmArg(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, x, reduce, *back):
        return _spmm_arg(ptr, col, eid, weight, x, reduce)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, weight, x, _, *back = inputs
        ctx.mark_non_differentiable(output[1])
        kept = x if weight is not None and requires_grad(weight) else None
        ctx.num_src = x.shape[0]
        ctx.save_for_backward(ptr, col, eid, weight, kept, output[1], *back)

    @staticmethod
    def backward(ctx, grad, _):
        ptr, col, eid, weight, x, arg, *back = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[4]:
            grad_x = _arg_to_x(ptr, col, eid, weight, grad, arg, ctx.num_src, *back)
        if ctx.needs_input_grad[3]:
            grad_weight = arg_to_weight(ptr, col, eid, grad, x, arg, weight.dim())
        return None, None, None, grad_weight, grad_x, None, None, None, None


def _arg_to_x(ptr, col, eid, weight, grad, arg, num_src, *back) -> Tensor:
    back = back or (None, None, None)
    if needs_grad(grad, weight):
        return form(_ArgToX).apply(ptr, col, eid, weight, grad, arg, num_src, *back)
    return _arg_backward(col, eid, weight, grad, arg, num_src, *back)


def arg_to_weight(ptr, col, eid, grad, x, arg, weight_dim) -> Tensor:
    shape = (col.shape[0],) + x.shape[1:weight_dim]
    if weight_dim == 1:
        grad, x, arg = grad.flatten(1), x.flatten(1), arg.flatten(1)
    elif weight_dim == x.dim():
        grad, x, arg = (t.flatten(1).unsqueeze(-1) for t in (grad, x, arg))
    if needs_grad(grad, x):
        out = form(_ArgToWeight).apply(ptr, col, eid, grad, x, arg)
    else:
        out = _arg_weight(ptr, col, eid, grad, x, arg, col.shape[0])
    return out.reshape(shape)


def _arg_select(ptr, col, eid, weight, x, arg) -> Tensor:
    """weight[win] · x[col[win]] of each entry: N×F like its result, so plain torch will do."""
    if col.shape[0] == 0:
        return x.new_zeros(arg.shape)
    win = arg.clamp(min=0).long()
    source = col[win.flatten()].long().reshape(win.shape).flatten(1)
    out = x.flatten(1).gather(0, source).reshape(arg.shape)
    if weight is not None:
        edge = win if eid is None else eid[win.flatten()].long().reshape(win.shape)
        if weight.dim() == 1:
            out = out * weight[edge]
        elif weight.dim() == x.dim():
            out = out * weight.flatten(1).gather(0, edge.flatten(1)).reshape(arg.shape)
        else:
            heads = torch.arange(weight.shape[1], device=weight.device).unsqueeze(1)
            out = out * weight[edge, heads.expand(edge.shape[1:])]
    return torch.where(arg >= 0, out, 0)


class _ArgToX(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, grad, arg, num_src, *back):
        return _arg_backward(col, eid, weight, grad, arg, num_src, *back)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:6])

    @staticmethod
    def backward(ctx, grad_x):
        ptr, col, eid, weight, grad, arg = ctx.saved_tensors
        to_grad = to_weight = None
        if ctx.needs_input_grad[4]:
            to_grad = _arg_select(ptr, col, eid, weight, grad_x, arg)
        if ctx.needs_input_grad[3]:
            to_weight = arg_to_weight(ptr, col, eid, grad, grad_x, arg, weight.dim())
        return None, None, None, to_weight, to_grad, None, None, None, None, None


class _ArgToWeight(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, grad, x, arg):
        return _arg_weight(ptr, col, eid, grad, x, arg, col.shape[0])

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_weight):
        ptr, col, eid, grad, x, arg = ctx.saved_tensors
        to_grad = to_x = None
        if ctx.needs_input_grad[3]:
            to_grad = _arg_select(ptr, col, eid, grad_weight, x, arg)
        if ctx.needs_input_grad[4]:
            to_x = _arg_to_x(ptr, col, eid, grad_weight, grad, arg, x.shape[0])
        return None, None, None, to_grad, to_x, None


def rows_like(x: Tensor, ptr: Tensor) -> Tensor:
    return x.new_empty((ptr.shape[0] - 1,) + x.shape[1:])


@fake_rule("gnnlib::spmm")
def _(ptr, col, eid, weight, x, reduce, row_scale, col_scale):
    return rows_like(x, ptr)


@fake_rule("gnnlib::spmm_arg")
def _(ptr, col, eid, weight, x, reduce):
    out = rows_like(x, ptr)
    return out, torch.empty_like(out, dtype=ptr.dtype)


@fake_rule("gnnlib::spmm_arg_backward")
def _(col, eid, weight, grad, arg, num_src, t_ptr, t_row, t_pos):
    return grad.new_empty((num_src,) + grad.shape[1:])


@fake_rule("gnnlib::spmm_arg_weight")
def _(ptr, col, eid, grad, x, arg, num_edges):
    return grad.new_empty((num_edges,) + grad.shape[1:-1])


def _fold_weight(weight, weight_dim, tensors, dims, size) -> tuple[Tensor | None, list[Tensor]]:
    """Weight and rows with vmap's dimension folded into the heads, or into the features when the
    weight is the same for all of them."""
    folded = [fold(t, dim, size) for t, dim in zip(tensors, dims, strict=True)]
    if weight is None or (weight_dim is None and weight.dim() == 1):
        return weight, [t.flatten(1) for t in folded]
    weight = fold(weight, weight_dim, size)
    if weight.dim() == 2:
        return weight, [t.flatten(2) for t in folded]
    if weight.dim() == folded[0].dim():  # one a feature
        return weight.flatten(1), [t.flatten(1) for t in folded]
    return weight.flatten(1), [t.flatten(1, 2) for t in folded]


def _scaled(rows, scale, dim) -> Tensor:
    """rows [N, B, …] times scales that differ along vmap's dimension B."""
    scale = scale.movedim(dim, 1)
    return rows * scale.reshape(scale.shape + (1,) * (rows.dim() - 2)).to(rows.dtype)


@vmap_rule("gnnlib::spmm")
def _(info, in_dims, ptr, col, eid, weight, x, reduce, row_scale, col_scale):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    x = fold(x, in_dims[4], info.batch_size)
    if in_dims[7] is not None:
        x, col_scale = _scaled(x, col_scale, in_dims[7]), None
    after = None
    if in_dims[6] is not None:
        after, row_scale = row_scale, None
    w, (rows,) = _fold_weight(weight, in_dims[3], [x], [1], info.batch_size)
    out = _spmm(ptr, col, eid, w, rows, reduce, row_scale, col_scale)
    out = out.reshape(out.shape[:1] + x.shape[1:])
    return out if after is None else _scaled(out, after, in_dims[6]), 1


@vmap_rule("gnnlib::spmm_arg")
def _(info, in_dims, ptr, col, eid, weight, x, reduce):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    shape = (ptr.shape[0] - 1,) + fold(x, in_dims[4], info.batch_size).shape[1:]
    w, (rows,) = _fold_weight(weight, in_dims[3], [x], [in_dims[4]], info.batch_size)
    out, arg = _spmm_arg(ptr, col, eid, w, rows, reduce)
    return (out.reshape(shape), arg.reshape(shape)), (1, 1)


@vmap_rule("gnnlib::spmm_arg_backward")
def _(info, in_dims, col, eid, weight, grad, arg, num_src, *back):
    refuse_batched_structure("col, eid, t_ptr, t_row, t_pos", *in_dims[:2], *in_dims[6:])
    shape = (num_src,) + fold(grad, in_dims[3], info.batch_size).shape[1:]
    w, (g, a) = _fold_weight(weight, in_dims[2], [grad, arg], in_dims[3:5], info.batch_size)
    return _arg_backward(col, eid, w, g, a, num_src, *back).reshape(shape), 1


@vmap_rule("gnnlib::spmm_arg_weight")
def _(info, in_dims, ptr, col, eid, grad, x, arg, num_edges):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    folded = [
        fold(t, d, info.batch_size) for t, d in zip((grad, x, arg), in_dims[3:6], strict=True)
    ]
    shape = folded[0].shape[1:-1]
    g, r, a = (t.flatten(1, -2) for t in folded)  # every feature row its own head
    return _arg_weight(ptr, col, eid, g, r, a, num_edges).reshape((num_edges,) + shape), 1
