"""Several reductions of the neighbours' rows at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._apply import form
from ._common import (
    Transpose,
    autocast,
    counts,
    fold,
    needs_grad,
    refuse_batched_structure,
    transposed,
    vmap_rule,
)
from ._door import check_edges
from ._dtypes import accumulate_dtype
from ._fake import fake_rule
from .scatter import gather_rows, scatter
from .segment import arg_to_rows, segment_expand, segment_reduce

REDUCES = ("sum", "mean", "max", "min", "std")

_multi = torch.ops.gnnlib.spmm_multi.default
_multi_backward = torch.ops.gnnlib.spmm_multi_backward.default


def spmm_multi(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    reduces: Sequence[str],
    *,
    transpose: Transpose = None,
) -> Tensor:
    """Reduce the rows of the sources of each destination in several ways, in one pass over edges.

    out[i, r] = reduces[r] over the edges j → i of x[j]

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1], int32 or int64.
        col: source of each CSR position, [E].
        x: source rows, [num_src, F].
        reduces: some of 'sum', 'mean', 'max', 'min' and 'std' (of the population), each once. A row
            without edges gives 0; a constant one has std 0 with gradient 0. For max and min the
            first edge takes the gradient, and NaN propagates.
        transpose: (t_ptr, t_row, t_pos), or a function that returns it, for the gradient.

    Returns:
        [num_dst, R, F] for R reduces, in their order and in the dtype of x.

    Raises:
        ValueError: for an unknown or repeated reduce, or an x that is no matrix.

    A second gradient (create_graph=True) gathers the messages.

    Example:
        >>> ptr, col = torch.tensor([0, 2]), torch.tensor([0, 1])
        >>> spmm_multi(ptr, col, torch.tensor([[1.0], [5.0]]), ["mean", "max", "std"]).flatten()
        tensor([3., 5., 2.])
    """
    for name in reduces:
        if name not in REDUCES:
            raise unknown_choice("reduces", name, REDUCES)
    if not reduces or len(set(reduces)) < len(reduces):
        raise ValueError(f"reduces must name one reduction or more, each once; got {reduces}")
    if x.dim() != 2:
        raise ValueError(f"x must be [num_src, F], got x of shape {tuple(x.shape)}")
    check_edges(ptr, col, x, None)
    (x,) = autocast(x)
    names = ",".join(reduces)
    if not needs_grad(x):
        return _multi(ptr, col, x, names)[0]
    back = transposed(ptr, col, None, x.shape[0], transpose)[:2]
    return form(_SpmmMulti).apply(ptr, col, x, names, *back)[0]


class _SpmmMulti(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, x, names, t_ptr, t_row):
        return _multi(ptr, col, x, names)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, col, x, ctx.names, *back = inputs
        out, mean, arg_max, arg_min = output
        ctx.mark_non_differentiable(mean, arg_max, arg_min)
        ctx.save_for_backward(ptr, col, x, out, mean, arg_max, arg_min, *back)

    @staticmethod
    def backward(ctx, grad, *_):
        ptr, col, x, out, mean, arg_max, arg_min, t_ptr, t_row = ctx.saved_tensors
        names = ctx.names.split(",")
        if needs_grad(grad, x):
            grad_x = _gathered_backward(ptr, col, x, names, grad, arg_max, arg_min)
        else:
            grad_x = _backward(ptr, col, x, names, grad, out, mean, arg_max, arg_min, t_ptr, t_row)
        return None, None, grad_x, None, None, None


def _backward(ptr, col, x, names, grad, out, mean, arg_max, arg_min, t_ptr, t_row) -> Tensor:
    parts = []
    if {"sum", "mean", "std"} & set(names):
        wide = accumulate_dtype(x.dtype)
        even = spread = torch.zeros_like(grad[:, 0], dtype=wide)
        share = counts(ptr, wide).reciprocal().unsqueeze(1)
        for slot, name in enumerate(names):
            piece = grad[:, slot].to(wide)
            if name == "sum":
                even = even + piece
            elif name == "mean":
                even = even + piece * share
            elif name == "std":
                deviation = out[:, slot].to(wide)
                flat = deviation == 0
                spread = torch.where(flat, 0, piece * share / torch.where(flat, 1, deviation))
        mean = mean if "std" in names else torch.zeros_like(even)
        parts.append(_multi_backward(t_ptr, t_row, x, even, spread, mean))
    for slot, name in enumerate(names):
        if name in ("max", "min"):
            arg = arg_max if name == "max" else arg_min
            parts.append(arg_to_rows(col, grad[:, slot], arg, x.shape[0]))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _gathered_backward(ptr, col, x, names, grad, arg_max, arg_min) -> Tensor:
    """The same by differentiable operators on the messages, for gradients of it."""
    num_edges = col.shape[0]
    rows = gather_rows(x, col)
    share = counts(ptr, x.dtype).reciprocal().unsqueeze(1).to(x.dtype)
    total = torch.zeros_like(rows)
    for slot, name in enumerate(names):
        piece = grad[:, slot]
        if name in ("max", "min"):
            won = arg_max if name == "max" else arg_min
            total = total + arg_to_rows(None, piece, won, num_edges)
        elif name == "std":
            mean = segment_reduce(ptr, rows, reduce="mean")
            deviation = segment_reduce(ptr, rows, reduce="std")
            flat = deviation == 0
            spread = torch.where(flat, 0, piece * share / torch.where(flat, 1, deviation))
            apart = rows - segment_expand(ptr, mean, num_edges)
            total = total + apart * segment_expand(ptr, spread, num_edges)
        else:
            even = piece if name == "sum" else piece * share
            total = total + segment_expand(ptr, even, num_edges)
    return scatter(total, col, x.shape[0])


@fake_rule("gnnlib::spmm_multi")
def _(ptr, col, x, reduces):
    names = reduces.split(",")
    rows = ptr.shape[0] - 1
    out = x.new_empty((rows, len(names), x.shape[1]))
    mean = x.new_empty((rows * ("std" in names), x.shape[1]), dtype=accumulate_dtype(x.dtype))
    args = [
        torch.empty((rows * (name in names), x.shape[1]), dtype=ptr.dtype, device=x.device)
        for name in ("max", "min")
    ]
    return out, mean, *args


@fake_rule("gnnlib::spmm_multi_backward")
def _(t_ptr, t_row, x, even, spread, mean):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@vmap_rule("gnnlib::spmm_multi")
def _(info, in_dims, ptr, col, x, reduces):
    refuse_batched_structure("ptr, col", *in_dims[:2])
    x = fold(x, in_dims[2], info.batch_size)
    shape = x.shape[1:]
    out, *others = _multi(ptr, col, x.flatten(1), reduces)
    others = [t.reshape(t.shape[:1] + shape) for t in others]
    return (out.reshape(out.shape[:2] + shape), *others), (2, 1, 1, 1)


@vmap_rule("gnnlib::spmm_multi_backward")
def _(info, in_dims, t_ptr, t_row, *tensors):
    refuse_batched_structure("t_ptr, t_row", *in_dims[:2])
    folded = [fold(t, d, info.batch_size) for t, d in zip(tensors, in_dims[2:], strict=True)]
    return _multi_backward(t_ptr, t_row, *(t.flatten(1) for t in folded)).reshape(
        folded[0].shape
    ), 1
