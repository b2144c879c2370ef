"""Reductions and softmax over the edges of each destination, and the way back to the edges."""

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._apply import form
from ._common import REDUCES as SHARED_REDUCES
from ._common import (
    check_ids,
    fold,
    needs_grad,
    refuse_batched_structure,
    shared_by_edges,
    vmap_rule,
)
from ._door import check_segments
from ._fake import fake_rule

REDUCES = (*SHARED_REDUCES, "std")

_spmm = torch.ops.gnnlib.spmm.default
_spmm_arg = torch.ops.gnnlib.spmm_arg.default
_arg_backward = torch.ops.gnnlib.spmm_arg_backward.default
_expand = torch.ops.gnnlib.segment_expand.default
_softmax = torch.ops.gnnlib.segment_softmax.default
_softmax_backward = torch.ops.gnnlib.segment_softmax_backward.default


def segment_reduce(
    ptr: Tensor, x: Tensor, *, eid: Tensor | None = None, reduce: str = "sum"
) -> Tensor:
    """Reduce the edge rows of each destination.

    out[i] = reduce over k in ptr[i] … ptr[i+1] − 1 of x[eid[k]]

    Args:
        ptr: row pointers, [N + 1], int32 or int64.
        x: edge rows, [E, …].
        eid: edge id of each position, [E]; None: x is in CSR order.
        reduce: 'sum', 'mean', 'max', 'min', 'mul' or 'std' (of the population: divided by the
            count). A segment without edges gives 0 ('mul': 1); a constant one has std 0 with
            gradient 0.

    Returns:
        [N, …], in the dtype of x.

    Raises:
        ValueError: for an unknown reduce, or for an x without one row per edge.

    Example:
        >>> ptr, x = torch.tensor([0, 2, 2, 3]), torch.tensor([1.0, 2.0, 5.0])
        >>> segment_reduce(ptr, x)
        tensor([3., 0., 5.])
        >>> segment_reduce(ptr, x, reduce="std")
        tensor([0.5000, 0.0000, 0.0000])
    """
    if reduce not in REDUCES:
        raise unknown_choice("reduce", reduce, REDUCES)
    rows = as_rows(x)
    check_ids(eid, "x", x)
    check_segments(ptr, eid, x.shape[0])
    if reduce == "std":
        out = _std(ptr, rows, eid)
    elif not needs_grad(x):
        out = _spmm(ptr, eid, None, None, rows, reduce, None, None)
    elif reduce in ("max", "min"):
        out = form(_SegmentArg).apply(ptr, eid, rows, reduce)[0]
    elif reduce == "mul":
        out = form(_SegmentMul).apply(ptr, eid, rows)
    else:
        out = form(_SegmentSum).apply(ptr, eid, rows, reduce)
    return out.reshape((ptr.shape[0] - 1,) + x.shape[1:])


def segment_expand(ptr: Tensor, x: Tensor, num_edges: int, *, eid: Tensor | None = None) -> Tensor:
    """Give each edge the row of its destination: the transpose of a segment sum.

    out[eid[k]] = x[i] for k in ptr[i] … ptr[i+1] − 1

    Args:
        ptr: row pointers, [N + 1].
        x: rows, [N, …].
        num_edges: E, the number of rows of the result.
        eid: edge id of each position, [E]; None: the result is in CSR order.

    Returns:
        [E, …].

    Example:
        >>> segment_expand(torch.tensor([0, 2, 2, 3]), torch.tensor([7.0, 8.0, 9.0]), 3)
        tensor([7., 7., 9.])
    """
    rows = as_rows(x)
    check_segments(ptr, eid, num_edges)
    out = form(_SegmentExpand).apply(ptr, eid, rows, num_edges)
    return out.reshape((num_edges,) + x.shape[1:])


def segment_softmax(ptr: Tensor, scores: Tensor, *, eid: Tensor | None = None) -> Tensor:
    """Softmax of the edge scores of each destination.

    out[e] = exp(scores[e] − m_i) / Σ_{e' into i} exp(scores[e'] − m_i),  m_i the largest score of i

    Args:
        ptr: row pointers, [N + 1].
        scores: [E] or [E, H], in the user's order if eid is given, else in CSR order.
        eid: edge id of each position, [E].

    Returns:
        [E] or [E, H], in the order of scores. Under autocast, float32.

    Example:
        >>> segment_softmax(torch.tensor([0, 2, 3]), torch.tensor([0.0, 0.0, 5.0]))
        tensor([0.5000, 0.5000, 1.0000])
    """
    check_segments(ptr, eid, scores.shape[0] if scores.dim() else 0)
    if torch.is_autocast_enabled(scores.device.type) and scores.dtype != torch.float64:
        scores = scores.float()
    if needs_grad(scores):
        return form(_SegmentSoftmax).apply(ptr, eid, scores)
    return _softmax(ptr, eid, scores)


def as_rows(x: Tensor) -> Tensor:
    if x.dim() == 0:
        raise ValueError("x must have rows, got a tensor without dimensions")
    return x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)


def _std(ptr: Tensor, x: Tensor, eid: Tensor | None) -> Tensor:
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = segment_reduce(ptr, wide, eid=eid, reduce="mean")
    centred = wide - segment_expand(ptr, mean, x.shape[0], eid=eid)
    variance = segment_reduce(ptr, centred.square(), eid=eid, reduce="mean")
    # sqrt has no gradient at 0: the inner `where` keeps it out of the backward pass. NaN stays.
    constant = variance == 0
    return torch.where(constant, 0, torch.where(constant, 1, variance).sqrt()).to(x.dtype)


def _sum(ptr, eid, x, reduce="sum") -> Tensor:
    if needs_grad(x):
        return form(_SegmentSum).apply(ptr, eid, x, reduce)
    return _spmm(ptr, eid, None, None, x, reduce, None, None)


class _SegmentSum(torch.autograd.Function):
    """Sum and mean."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, eid, x, reduce):
        return _spmm(ptr, eid, None, None, x, reduce, None, None)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ptr, eid, x, ctx.reduce = inputs
        ctx.num_edges = x.shape[0]
        ctx.save_for_backward(ptr, eid)

    @staticmethod
    def backward(ctx, grad):
        ptr, eid = ctx.saved_tensors
        if ctx.reduce == "mean":
            grad = shared_by_edges(ptr, grad)
        return None, None, form(_SegmentExpand).apply(ptr, eid, grad, ctx.num_edges), None


class _SegmentExpand(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, eid, x, num_edges):
        return _expand(ptr, eid, x, num_edges)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx, grad):
        ptr, eid = ctx.saved_tensors
        return None, None, _sum(ptr, eid, grad), None


class _SegmentArg(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, eid, x, reduce):
        out, arg = _spmm_arg(ptr, eid, None, None, x, reduce)
        return out, arg

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, eid, x, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.num_edges = x.shape[0]
        ctx.save_for_backward(eid, output[1])

    @staticmethod
    def backward(ctx, grad, _):
        eid, arg = ctx.saved_tensors
        return None, None, arg_to_rows(eid, grad, arg, ctx.num_edges), None


def arg_to_rows(eid: Tensor | None, grad: Tensor, arg: Tensor, num_rows: int) -> Tensor:
    """The gradient that each row has as the winner of an entry: linear in grad."""
    return form(_ArgToRows).apply(eid, grad, arg, num_rows)


class _ArgToRows(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(eid, grad, arg, num_rows):
        return _arg_backward(eid, None, None, grad, arg, num_rows, None, None, None)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], inputs[2])

    @staticmethod
    def backward(ctx, grad):
        eid, arg = ctx.saved_tensors
        if grad.shape[0] == 0 or (eid is not None and eid.shape[0] == 0):
            return None, grad.new_zeros(arg.shape), None, None
        row = arg.clamp(min=0).long()
        row = row if eid is None else eid[row.flatten()].long().reshape(row.shape)
        return None, torch.where(arg >= 0, grad.gather(0, row), 0), None, None


class _SegmentMul(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, eid, x):
        return _spmm(ptr, eid, None, None, x, "mul", None, None)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        ptr, eid, x = ctx.saved_tensors
        return None, None, multiply_backward(ptr, eid, x, grad)


def multiply_backward(ptr: Tensor, eid: Tensor | None, x: Tensor, grad: Tensor) -> Tensor:
    """The gradient of the product of the rows of each segment, for each row of x."""
    if needs_grad(x, grad):
        return _products_of_the_others(ptr, eid, x, grad)
    # Without a graph to build: divide the product of the nonzero factors; a factor that is the
    # only zero of its segment gets that product, all others of the segment get 0.
    zero = x == 0
    factor = torch.where(zero, 1, x)
    product = grad * _spmm(ptr, eid, None, None, factor, "mul", None, None)
    zeros = _spmm(ptr, eid, None, None, zero.to(x.dtype), "sum", None, None)
    usual = _expand(ptr, eid, torch.where(zeros == 0, product, 0), x.shape[0])
    lone = _expand(ptr, eid, torch.where(zeros == 1, product, 0), x.shape[0])
    return torch.where(zero, lone, usual / factor)


def _products_of_the_others(ptr, eid, x, grad) -> Tensor:
    """grad · product of the other factors of the segment, differentiable also where some are 0."""
    count = ptr.diff().long()
    row = torch.repeat_interleave(torch.arange(count.shape[0], device=x.device), count)
    position = torch.arange(row.shape[0], device=x.device)
    slot = position - ptr[row].long()
    edge = position if eid is None else eid.long()
    width = int(count.max()) if count.numel() else 0
    padded = x.new_ones((count.shape[0], width) + x.shape[1:]).index_put((row, slot), x[edge])
    one = padded[:, :1] * 0 + 1
    before = torch.cat([one, padded[:, :-1].cumprod(1)], 1)
    after = torch.cat([padded[:, 1:].flip(1).cumprod(1).flip(1), one], 1)
    others = (before * after * grad.unsqueeze(1))[row, slot]
    return torch.zeros_like(x).index_put((edge,), others)


class _SegmentSoftmax(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, eid, scores):
        return _softmax(ptr, eid, scores)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], inputs[1], output)

    @staticmethod
    def backward(ctx, grad):
        ptr, eid, out = ctx.saved_tensors
        if not needs_grad(out, grad):
            return None, None, _softmax_backward(ptr, eid, out, grad)
        weighted = out * grad
        total = segment_reduce(ptr, weighted, eid=eid)
        return None, None, weighted - out * segment_expand(ptr, total, out.shape[0], eid=eid)


@fake_rule("gnnlib::segment_expand")
def _(ptr, eid, x, num_edges):
    return x.new_empty((num_edges,) + x.shape[1:])


@fake_rule("gnnlib::segment_softmax")
def _(ptr, eid, scores):
    return torch.empty_like(scores, memory_format=torch.contiguous_format)


@fake_rule("gnnlib::segment_softmax_backward")
def _(ptr, eid, out, grad):
    return torch.empty_like(out, memory_format=torch.contiguous_format)


@vmap_rule("gnnlib::segment_expand")
def _(info, in_dims, ptr, eid, x, num_edges):
    refuse_batched_structure("ptr, eid", *in_dims[:2])
    x = fold(x, in_dims[2], info.batch_size)
    return _expand(ptr, eid, x.flatten(1), num_edges).reshape((num_edges,) + x.shape[1:]), 1


@vmap_rule("gnnlib::segment_softmax")
def _(info, in_dims, ptr, eid, scores):
    refuse_batched_structure("ptr, eid", *in_dims[:2])
    scores = fold(scores, in_dims[2], info.batch_size)
    return _softmax(ptr, eid, scores.flatten(1)).reshape(scores.shape), 1


@vmap_rule("gnnlib::segment_softmax_backward")
def _(info, in_dims, ptr, eid, out, grad):
    refuse_batched_structure("ptr, eid", *in_dims[:2])
    out, grad = (fold(t, d, info.batch_size) for t, d in ((out, in_dims[2]), (grad, in_dims[3])))
    return _softmax_backward(ptr, eid, out.flatten(1), grad.flatten(1)).reshape(out.shape), 1
