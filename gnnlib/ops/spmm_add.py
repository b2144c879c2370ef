"""Aggregation of sums: the two ends of an edge and the edge itself, added, then reduced."""

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._apply import form
from ._common import (
    Transpose,
    distinct,
    fold,
    needs_grad,
    per_row,
    refuse_batched_structure,
    shared_by_edges,
    turned,
    vmap_rule,
    way_back,
    zero_without_edges,
)
from ._door import check_edges
from ._fake import fake_rule
from .scatter import gather_rows
from .segment import arg_to_rows, as_rows, segment_expand, segment_reduce
from .spmm import arg_to_weight, rows_like, spmm, weighted_sum

REDUCES = ("sum", "mean", "max", "min")

_add = torch.ops.gnnlib.spmm_add.default
_add_arg = torch.ops.gnnlib.spmm_add_arg.default
_add_gate = torch.ops.gnnlib.spmm_add_gate.default
_add_edge = torch.ops.gnnlib.spmm_add_edge.default


def spmm_add(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    y: Tensor | None = None,
    edge: Tensor | None = None,
    *,
    eid: Tensor | None = None,
    alpha: float = 1.0,
    act: str | None = None,
    reduce: str = "sum",
    transpose: Transpose = None,
) -> Tensor:
    """Reduce the sums of the two ends of each edge and of the edge.

    out[i] = reduce over the edges e: j → i of act(x[j] + y[i] + alpha · edge[e])

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1], int32 or int64.
        col: source of each CSR position, [E].
        x: source rows, [num_src, …].
        y: destination rows, [num_dst, …] with the features of x.
        edge: edge rows, [E, …] with the features of x, or one number an edge, [E]; in the user's
            order if eid is given, else in CSR order.
        eid: edge id of each CSR position, [E].
        alpha: factor of edge.
        act: None or 'relu'.
        reduce: 'sum', 'mean', 'max' or 'min'. A row without edges gives 0.
        transpose: (t_ptr, t_row, t_pos), or a function that returns it, used when x needs a
            gradient; computed on the spot when left out.

    Returns:
        [num_dst, …], in the dtype of x, which y and edge must share. Autocast changes no dtype
        here, as it changes none of torch's additions.

    Raises:
        ValueError: for an unknown reduce or act, or an argument of the wrong shape.

    Memory is that of the arguments and the result; of the gradients only that of `edge` has a row
    an edge. A second gradient through the gradient of `edge` gathers its rows.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 1])
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> spmm_add(ptr, col, x, -x)
        tensor([[ 2.,  2.],
                [-2., -2.]])
        >>> spmm_add(ptr, col, x, edge=torch.tensor([-4.0, -1.0, 0.0]), act="relu")
        tensor([[0., 0.],
                [3., 5.]])
    """
    if reduce not in REDUCES:
        raise unknown_choice("reduce", reduce, REDUCES)
    if act not in (None, "relu"):
        raise ValueError(f"act must be None or 'relu', got {act!r}")
    _check_features(x, y, edge)
    check_edges(ptr, col, x, eid)
    features = x.shape[1:]
    x, y = as_rows(x), None if y is None else as_rows(y)
    edge = edge if edge is None or edge.dim() == 1 else edge.flatten(1)
    x, y, edge = distinct(x, y, edge)
    relu = act is not None
    if reduce in ("max", "min"):
        out = _selected(ptr, col, x, y, edge, eid, alpha, relu, reduce, transpose)
    elif needs_grad(x, y, edge):
        back = way_back(ptr, col, None if edge is None else eid, x, transpose)
        out = form(_SpmmAdd).apply(ptr, col, eid, x, y, edge, alpha, relu, reduce, *back)
    else:
        out = _add(ptr, col, eid, x, y, edge, alpha, relu, reduce)
    return out.reshape((ptr.shape[0] - 1,) + features)


def _check_features(x: Tensor, y: Tensor | None, edge: Tensor | None) -> None:
    if x.dim() == 0:
        raise ValueError("x must have rows, got a tensor without dimensions")
    for name, tensor in (("y", y), ("edge", edge)):
        if tensor is None or (name == "edge" and tensor.dim() == 1):
            continue
        if tensor.dim() == 0 or tensor.shape[1:] != x.shape[1:]:
            numbers = " or be [num_edges]" if name == "edge" else ""
            raise ValueError(
                f"{name} must have the features of x{numbers}: x has shape {tuple(x.shape)}, got"
                f" {name} of shape {tuple(tensor.shape)}"
            )


def _selected(ptr, col, x, y, edge, eid, alpha, relu, reduce, transpose) -> Tensor:
    """max and min. Adding y[i] and relu keep the order, so the best x[j] + alpha · edge remains."""
    if edge is None:
        with torch.autocast(x.device.type, enabled=False):
            out = spmm(ptr, col, x, reduce=reduce, transpose=transpose)
    elif needs_grad(x, edge):
        out = form(_SpmmAddArg).apply(ptr, col, eid, x, edge, alpha, reduce)[0]
    else:
        out = _add_arg(ptr, col, eid, x, edge, alpha, reduce)[0]
    out = out if y is None else out + y
    out = out.relu() if relu else out
    return out if y is None else zero_without_edges(ptr, out)


class _SpmmAdd(torch.autograd.Function):
    """Sum and mean. Without relu each gradient is a plain sum; with it, one over open gates."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, x, y, edge, alpha, relu, reduce, *back):
        return _add(ptr, col, eid, x, y, edge, alpha, relu, reduce)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, x, y, edge, ctx.alpha, ctx.relu, ctx.reduce, *back = inputs
        ctx.numbers = edge is not None and edge.dim() == 1
        kept = (x, y, edge) if ctx.relu else (None, None, None)
        ctx.save_for_backward(ptr, col, eid, *kept, *back)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, x, y, edge, *back = ctx.saved_tensors
        if ctx.reduce == "mean":
            grad = shared_by_edges(ptr, grad)
        there = (ptr, col, None, eid)
        to_x = to_y = to_edge = None
        if ctx.relu:
            if ctx.needs_input_grad[3]:
                to_x = _gate(*turned(back), y, x, edge, ctx.alpha, grad, False, there)
            if ctx.needs_input_grad[4]:
                to_y = _gate(ptr, col, eid, x, y, edge, ctx.alpha, grad, True, back)
            if ctx.needs_input_grad[5]:
                to_edge = _edge(ptr, col, eid, x, y, edge, ctx.alpha, grad)
        else:
            if ctx.needs_input_grad[3]:
                to_x = weighted_sum(*turned(back), None, grad, None, None, there)
            if ctx.needs_input_grad[4]:
                to_y = (grad * per_row(ptr.diff(), grad)).to(grad.dtype)
            if ctx.needs_input_grad[5]:
                rows = grad.sum(1) if ctx.numbers else grad
                to_edge = segment_expand(ptr, rows * ctx.alpha, col.shape[0], eid=eid)
        return (None, None, None, to_x, to_y, to_edge) + (None,) * 7


# Where the argument of relu is not ≤ 0, a gate is open. The gates are constants, so what goes
# through them is linear: the adjoint of a sum over open gates is one along the edges turned round.


def _gate(ptr, col, eid, x, y, edge, alpha, grad, grad_is_own, back) -> Tensor:
    if needs_grad(grad):
        args = (ptr, col, eid, x, y, edge, alpha, grad, grad_is_own)
        return form(_Gate).apply(*args, *back)
    return _add_gate(ptr, col, eid, x, y, edge, alpha, grad, grad_is_own)


class _Gate(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, x, y, edge, alpha, grad, grad_is_own, *back):
        return _add_gate(ptr, col, eid, x, y, edge, alpha, grad, grad_is_own)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, x, y, edge, ctx.alpha, _, ctx.grad_is_own, *back = inputs
        ctx.save_for_backward(ptr, col, eid, x, y, edge, *back)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, x, y, edge, *back = ctx.saved_tensors
        if ctx.grad_is_own:
            found = _gate(ptr, col, eid, x, y, edge, ctx.alpha, grad, True, back)
        else:
            there = (ptr, col, None, eid)
            found = _gate(*turned(back), y, x, edge, ctx.alpha, grad, False, there)
        return (None,) * 7 + (found,) + (None,) * 5


def _edge(ptr, col, eid, x, y, edge, alpha, grad) -> Tensor:
    if needs_grad(grad):
        return form(_Edge).apply(ptr, col, eid, x, y, edge, alpha, grad)
    return _add_edge(ptr, col, eid, x, y, edge, alpha, grad)


class _Edge(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, x, y, edge, alpha, grad):
        return _add_edge(ptr, col, eid, x, y, edge, alpha, grad)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, x, y, edge, ctx.alpha, _ = inputs
        ctx.save_for_backward(ptr, col, eid, x, y, edge)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, x, y, edge = ctx.saved_tensors
        argument, rows = gather_rows(x, col), grad
        if eid is not None:
            edge, rows = gather_rows(edge, eid), gather_rows(grad, eid)
        if y is not None:
            argument = segment_expand(ptr, y, col.shape[0]) + argument
        if edge.dim() == 1:
            edge, rows = edge.unsqueeze(1), rows.unsqueeze(1)
        argument = argument + ctx.alpha * edge
        found = segment_reduce(ptr, torch.where(argument <= 0, 0, rows))
        return (None,) * 7 + (found * ctx.alpha,)


class _SpmmAddArg(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, x, edge, alpha, reduce):
        return _add_arg(ptr, col, eid, x, edge, alpha, reduce)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, eid, x, edge, ctx.alpha, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.numbers, ctx.num_src = edge.dim() == 1, x.shape[0]
        ctx.save_for_backward(ptr, col, eid, output[1])

    @staticmethod
    def backward(ctx, grad, _):
        ptr, col, eid, arg = ctx.saved_tensors
        to_x = to_edge = None
        if ctx.needs_input_grad[3]:
            to_x = arg_to_rows(col, grad, arg, ctx.num_src)
        if ctx.needs_input_grad[4]:
            scaled = grad * ctx.alpha
            if ctx.numbers:
                ones = grad.new_ones((ctx.num_src, grad.shape[1]))
                to_edge = arg_to_weight(ptr, col, eid, scaled, ones, arg, 1)
            else:
                to_edge = arg_to_rows(eid, scaled, arg, col.shape[0])
        return None, None, None, to_x, to_edge, None, None


@fake_rule("gnnlib::spmm_add")
def _(ptr, col, eid, x, y, edge, alpha, relu, reduce):
    return rows_like(x, ptr)


@fake_rule("gnnlib::spmm_add_arg")
def _(ptr, col, eid, x, edge, alpha, reduce):
    out = rows_like(x, ptr)
    return out, torch.empty_like(out, dtype=ptr.dtype)


@fake_rule("gnnlib::spmm_add_gate")
def _(ptr, col, eid, x, y, edge, alpha, grad, grad_is_own):
    return rows_like(grad, ptr)


@fake_rule("gnnlib::spmm_add_edge")
def _(ptr, col, eid, x, y, edge, alpha, grad):
    return torch.empty_like(edge, memory_format=torch.contiguous_format)


def _fold_rows(tensors, dims, size) -> tuple[list[Tensor | None], torch.Size]:
    """Rows with vmap's dimension folded into the features, and the shape of those: [B, …]."""
    folded = [
        None if t is None else fold(t, dim, size) for t, dim in zip(tensors, dims, strict=True)
    ]
    shape = next(t.shape[1:] for t in folded if t is not None)
    return [None if t is None else t.flatten(1) for t in folded], shape


def _fold_edge(edge, dim, size, shape, apart=False) -> Tensor | None:
    """Numbers that differ along vmap's dimension (`apart`: all numbers) become rows."""
    if edge is None or (dim is None and edge.dim() == 1 and not apart):
        return edge
    edge = fold(edge, dim, size)
    if edge.dim() == 2:
        edge = edge.reshape(edge.shape + (1,) * (len(shape) - 1)).expand(-1, *shape)
    return edge.flatten(1)


@vmap_rule("gnnlib::spmm_add")
def _(info, in_dims, ptr, col, eid, x, y, edge, alpha, relu, reduce):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    (x, y), shape = _fold_rows((x, y), in_dims[3:5], info.batch_size)
    edge = _fold_edge(edge, in_dims[5], info.batch_size, shape)
    out = _add(ptr, col, eid, x, y, edge, alpha, relu, reduce)
    return out.reshape(out.shape[:1] + shape), 1


@vmap_rule("gnnlib::spmm_add_arg")
def _(info, in_dims, ptr, col, eid, x, edge, alpha, reduce):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    (x,), shape = _fold_rows((x,), in_dims[3:4], info.batch_size)
    edge = _fold_edge(edge, in_dims[4], info.batch_size, shape)
    out, arg = _add_arg(ptr, col, eid, x, edge, alpha, reduce)
    shape = out.shape[:1] + shape
    return (out.reshape(shape), arg.reshape(shape)), (1, 1)


@vmap_rule("gnnlib::spmm_add_gate")
def _(info, in_dims, ptr, col, eid, x, y, edge, alpha, grad, grad_is_own):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    rows, dims = (grad, x, y), (in_dims[7], *in_dims[3:5])
    (grad, x, y), shape = _fold_rows(rows, dims, info.batch_size)
    edge = _fold_edge(edge, in_dims[5], info.batch_size, shape)
    out = _add_gate(ptr, col, eid, x, y, edge, alpha, grad, grad_is_own)
    return out.reshape(out.shape[:1] + shape), 1


@vmap_rule("gnnlib::spmm_add_edge")
def _(info, in_dims, ptr, col, eid, x, y, edge, alpha, grad):
    refuse_batched_structure("ptr, col, eid", *in_dims[:3])
    rows, dims = (grad, x, y), (in_dims[7], *in_dims[3:5])
    (grad, x, y), shape = _fold_rows(rows, dims, info.batch_size)
    numbers = edge.dim() - (in_dims[5] is not None) == 1
    edge = _fold_edge(edge, in_dims[5], info.batch_size, shape, apart=True)
    out = _add_edge(ptr, col, eid, x, y, edge, alpha, grad)
    out = out.reshape(out.shape[:1] + shape)
    return out.flatten(2).sum(2) if numbers else out, 1
