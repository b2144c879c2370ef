"""Attention over the edges of each destination in one operator: scores, softmax, weighted sum.

Nothing of the size of the edges is kept for the gradient: it computes the scores again, and the
mask of dropout is a hash.
"""

import math
from typing import Any

import torch
from torch import Tensor

from . import _attention_grad as differentiable
from ._apply import form
from ._common import (
    Transpose,
    autocast,
    check_ids,
    distinct,
    fold,
    needs_grad,
    refuse_batched_structure,
    transposed,
    vmap_rule,
)
from ._door import check_edges
from ._dtypes import accumulate_dtype
from ._fake import fake_rule
from .dropout import draw_seed

_gat = torch.ops.gnnlib.attention_gat.default
_gat_backward = torch.ops.gnnlib.attention_gat_backward.default
_gatv2 = torch.ops.gnnlib.attention_gatv2.default
_gatv2_backward = torch.ops.gnnlib.attention_gatv2_backward.default
_dot = torch.ops.gnnlib.attention_dot.default
_dot_backward = torch.ops.gnnlib.attention_dot_backward.default


def attention_gat(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    score_src: Tensor | None,
    score_dst: Tensor | None = None,
    score_edge: Tensor | None = None,
    *,
    eid: Tensor | None = None,
    negative_slope: float = 0.2,
    dropout: float = 0.0,
    seed: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """Weighted sum over the neighbours of each destination, with weights as GAT has them.

    out[i, h] = Σ over edges k: j → i of m[k, h] · α[k, h] · x[j, h],  α the softmax over i's edges
    of LeakyReLU(score_src[j, h] + score_dst[i, h] + score_edge[eid[k], h])

    with m the mask of `edge_dropout`: 0 or 1 / (1 − dropout).

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1].
        col: source of each CSR position, [E].
        x: source rows, [num_src, H, D].
        score_src: [num_src, H]. Of the three scores at least one is given.
        score_dst: [num_dst, H].
        score_edge: [E, H], in the user's order if eid is given, else in CSR order.
        eid: edge id of each CSR position, [E].
        negative_slope: of the LeakyReLU; 1 takes the sum as it is.
        dropout: probability of leaving an edge and head out.
        seed: of the dropout, one int64 on the device of the rows; None draws it from torch's
            generator.
        transpose: (t_ptr, t_row, t_pos) or a function that returns it, for the gradients.

    Returns:
        [num_dst, H, D], in the dtype of x (under autocast in its dtype; scores are float32). A
        destination without edges gets 0.

    Raises:
        ValueError: for shapes that do not agree, or a dropout outside [0, 1].
        TypeError: when no score is given.

    Paper: "Graph Attention Networks", ICLR 2018.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 1])
        >>> x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> attention_gat(ptr, col, x, torch.zeros(2, 1))
        tensor([[[3., 4.]],
        <BLANKLINE>
                [[2., 3.]]])
    """
    scores = (score_src, score_dst, score_edge)
    if all(score is None for score in scores):
        raise TypeError("one of score_src, score_dst, score_edge must be given, all are None")
    check_edges(ptr, col, x, eid)
    (x,) = autocast(x)
    scores = tuple(_widened(score, x) for score in scores)
    seed = _checked("negative_slope", negative_slope, dropout, seed, x)
    if not needs_grad(x, *scores):
        return _gat(ptr, col, eid, x, *scores, negative_slope, dropout, seed)[0]
    rest = (*distinct(x, *scores), negative_slope, dropout, seed)
    return form(_Gat).apply(ptr, col, eid, *_back(ptr, col, eid, x, transpose), *rest)[0]


def attention_gatv2(
    ptr: Tensor,
    col: Tensor,
    x_src: Tensor,
    x_dst: Tensor,
    att: Tensor,
    *,
    eid: Tensor | None = None,
    negative_slope: float = 0.2,
    dropout: float = 0.0,
    seed: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """Weighted sum over the neighbours of each destination, with weights as GATv2 has them.

    out[i, h] = Σ over edges k: j → i of m[k, h] · α[k, h] · x_src[j, h],  α the softmax over i's
    edges of Σ_d att[h, d] · LeakyReLU(x_src[j, h, d] + x_dst[i, h, d])

    with m the mask of `edge_dropout`: 0 or 1 / (1 − dropout).

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1].
        col: source of each CSR position, [E].
        x_src: source rows, [num_src, H, D].
        x_dst: destination rows, [num_dst, H, D].
        att: [H, D].
        eid: edge id of each CSR position, [E]: what dropout hashes.
        negative_slope: of the LeakyReLU.
        dropout: probability of leaving an edge and head out.
        seed: of the dropout, one int64 on the device of the rows; None draws it from torch's
            generator.
        transpose: (t_ptr, t_row, t_pos) or a function that returns it, for the gradients.

    Returns:
        [num_dst, H, D], in the dtype of x_src (under autocast in its dtype). A destination without
        edges gets 0.

    Raises:
        ValueError: for shapes that do not agree, or a dropout outside [0, 1].

    Paper: "How Attentive are Graph Attention Networks?", ICLR 2022.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 1])
        >>> x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> attention_gatv2(ptr, col, x, x, torch.zeros(1, 2))
        tensor([[[3., 4.]],
        <BLANKLINE>
                [[2., 3.]]])
    """
    check_edges(ptr, col, x_src, eid)
    x_src, x_dst = autocast(x_src, x_dst)
    att = _widened(att, x_src)
    seed = _checked("negative_slope", negative_slope, dropout, seed, x_src)
    if not needs_grad(x_src, x_dst, att):
        return _gatv2(ptr, col, eid, x_src, x_dst, att, negative_slope, dropout, seed)[0]
    rest = (*distinct(x_src, x_dst, att), negative_slope, dropout, seed)
    return form(_Gatv2).apply(ptr, col, eid, *_back(ptr, col, eid, x_src, transpose), *rest)[0]


def attention_dot(
    ptr: Tensor,
    col: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_edge: Tensor | None = None,
    *,
    eid: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    seed: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """Weighted sum over the neighbours of each destination, with weights as transformers have them.

    out[i, h] = Σ over edges k: j → i of m[k, h] · α[k, h] · value[j, h],  α the softmax over i's
    edges of scale · Σ_d query[i, h, d] · key[j, h, d] + score_edge[eid[k], h]

    with m the mask of `edge_dropout`: 0 or 1 / (1 − dropout).

    Args:
        ptr: row pointers of the CSR by destination, [num_dst + 1].
        col: source of each CSR position, [E].
        query: [num_dst, H, D].
        key: [num_src, H, D].
        value: [num_src, H, D].
        score_edge: [E, H], in the user's order if eid is given, else in CSR order; None: 0.
        eid: edge id of each CSR position, [E].
        scale: None: 1 / sqrt(D).
        dropout: probability of leaving an edge and head out.
        seed: of the dropout, one int64 on the device of the rows; None draws it from torch's
            generator.
        transpose: (t_ptr, t_row, t_pos) or a function that returns it, for the gradients.

    Returns:
        [num_dst, H, D], in the dtype of value (under autocast in its dtype; score_edge is float32).
        A destination without edges gets 0.

    Raises:
        ValueError: for shapes that do not agree, or a dropout outside [0, 1].

    Paper: "Attention Is All You Need", NeurIPS 2017.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3]), torch.tensor([1, 0, 1])
        >>> x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> attention_dot(ptr, col, torch.zeros(2, 1, 2), x, x)
        tensor([[[3., 4.]],
        <BLANKLINE>
                [[2., 3.]]])
    """
    check_edges(ptr, col, value, eid)
    query, key, value = autocast(query, key, value)
    score_edge = _widened(score_edge, value)
    scale = float(max(query.shape[-1], 1) ** -0.5) if scale is None else scale
    seed = _checked("scale", scale, dropout, seed, value)
    if not needs_grad(query, key, value, score_edge):
        return _dot(ptr, col, eid, query, key, value, score_edge, scale, dropout, seed)[0]
    rest = (*distinct(query, key, value, score_edge), scale, dropout, seed)
    return form(_Dot).apply(ptr, col, eid, *_back(ptr, col, eid, value, transpose), *rest)[0]


def _widened(score: Any, rows: Tensor) -> Any:
    """In the dtype in which what belongs to `rows` is accumulated."""
    return None if score is None else score.to(accumulate_dtype(rows.dtype))


def _checked(
    name: str, number: float, dropout: float, seed: Tensor | None, beside: Tensor
) -> Tensor | None:
    """The door of the numbers; returns the seed. (torch.compile must also have met each of them
    before an autograd.Function does: one that it meets first inside, it takes only once.)"""
    if not -math.inf < number < math.inf:
        raise ValueError(f"{name} must be finite, got {number}")
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout must lie in [0, 1], got {dropout}")
    if dropout == 0:
        return None
    return draw_seed(beside) if seed is None else seed


def _back(ptr, col, eid, rows, transpose) -> tuple[Tensor, Tensor, Tensor]:
    check_ids(eid, "col", col)
    return transposed(ptr, col, None, rows.shape[0], transpose)[:3]


class _Attention(torch.autograd.Function):
    """The inputs are ptr, col, eid, t_ptr, t_row, t_pos, tensors, two numbers and the seed."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.number, ctx.dropout, seed = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*tensors, seed, *output)


def _gradients(ctx, grad, fused, twice):
    """The gradients of all inputs, by the fused pass or, to be differentiated again, by `twice`."""
    ptr, col, eid, t_ptr, t_row, t_pos, *tensors, seed, out, lse = ctx.saved_tensors
    how = (ctx.number, ctx.dropout, seed)
    if needs_grad(grad, *tensors):
        grads = twice(ptr, col, eid, (t_ptr, t_row, t_pos), *tensors, lse, grad, *how)
    else:
        grads = fused(ptr, col, eid, t_ptr, t_row, t_pos, *tensors, out, lse, grad, *how)
    wanted = ctx.needs_input_grad[6 : 6 + len(tensors)]
    return (None,) * 6 + tuple(g if w else None for g, w in zip(grads, wanted)) + (None,) * 3


class _Gat(_Attention):
    @staticmethod
    def forward(ptr, col, eid, t_ptr, t_row, t_pos, x, src, dst, edge, slope, dropout, seed):
        return _gat(ptr, col, eid, x, src, dst, edge, slope, dropout, seed)

    @staticmethod
    def backward(ctx, grad, _):
        return _gradients(ctx, grad, _gat_backward, differentiable.gat)


class _Gatv2(_Attention):
    @staticmethod
    def forward(ptr, col, eid, t_ptr, t_row, t_pos, x_src, x_dst, att, slope, dropout, seed):
        return _gatv2(ptr, col, eid, x_src, x_dst, att, slope, dropout, seed)

    @staticmethod
    def backward(ctx, grad, _):
        return _gradients(ctx, grad, _gatv2_backward, differentiable.gatv2)


class _Dot(_Attention):
    @staticmethod
    def forward(ptr, col, eid, t_ptr, t_row, t_pos, query, key, value, edge, scale, dropout, seed):
        return _dot(ptr, col, eid, query, key, value, edge, scale, dropout, seed)

    @staticmethod
    def backward(ctx, grad, _):
        return _gradients(ctx, grad, _dot_backward, differentiable.dot)


# fake ------------------------------------------------------------------------------------------


def _results(ptr: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    rows, heads, dim = ptr.shape[0] - 1, value.shape[1], value.shape[2]
    lse = value.new_empty((rows, heads), dtype=accumulate_dtype(value.dtype))
    return value.new_empty((rows, heads, dim)), lse


def _like(given: Tensor | None, value: Tensor) -> Tensor:
    """An empty one for what was not given."""
    if given is None:
        return value.new_empty((0, value.shape[1]), dtype=accumulate_dtype(value.dtype))
    return given.new_empty(given.shape)


@fake_rule("gnnlib::attention_gat")
def _(ptr, col, eid, x, score_src, score_dst, score_edge, negative_slope, dropout, seed):
    return _results(ptr, x)


@fake_rule("gnnlib::attention_gatv2")
def _(ptr, col, eid, x_src, x_dst, att, negative_slope, dropout, seed):
    return _results(ptr, x_src)


@fake_rule("gnnlib::attention_dot")
def _(ptr, col, eid, query, key, value, score_edge, scale, dropout, seed):
    return _results(ptr, value)


@fake_rule("gnnlib::attention_gat_backward")
def _(ptr, col, eid, t_ptr, t_row, t_pos, x, score_src, score_dst, score_edge, *_):
    return tuple(_like(t, x) for t in (x, score_src, score_dst, score_edge))


@fake_rule("gnnlib::attention_gatv2_backward")
def _(ptr, col, eid, t_ptr, t_row, t_pos, x_src, x_dst, att, *_):
    return tuple(_like(t, x_src) for t in (x_src, x_dst, att))


@fake_rule("gnnlib::attention_dot_backward")
def _(ptr, col, eid, t_ptr, t_row, t_pos, query, key, value, score_edge, *_):
    return tuple(_like(t, value) for t in (query, key, value, score_edge))


# vmap: the mapped dimension becomes further heads ------------------------------------------------


def _fold_heads(tensors, dims, size, att_at=None):
    """Each [N, H, …] as [N, B · H, …]; att [H, D] as [B · H, D]."""
    folded = []
    for n, (tensor, dim) in enumerate(zip(tensors, dims, strict=True)):
        if tensor is None:
            folded.append(None)
        elif n == att_at:
            rows = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            folded.append(rows.flatten(0, 1))
        else:
            folded.append(fold(tensor, dim, size).flatten(1, 2))
    return folded


def _split_heads(results, size, att_at=None):
    split = tuple(
        t.unflatten(
            0 if n == att_at else 1, (size, -1) if t.numel() else (size, t.shape[1] // size)
        )
        for n, t in enumerate(results)
    )
    return split, tuple(0 if n == att_at else 1 for n in range(len(results)))


def _forward_rule(op, att_at=None):
    def rule(info, in_dims, *args):
        refuse_batched_structure("ptr, col, eid, seed", *in_dims[:3], in_dims[-1])
        folded = _fold_heads(args[3:-3], in_dims[3:-3], info.batch_size, att_at)
        return _split_heads(op(*args[:3], *folded, *args[-3:]), info.batch_size)

    return rule


def _backward_rule(op, att_at=None):
    def rule(info, in_dims, *args):
        refuse_batched_structure("ptr, col, eid, seed", *in_dims[:6], in_dims[-1])
        size, lse_at = info.batch_size, len(args) - 5
        if args[-2] > 0 and in_dims[lse_at] is None:
            # The forward pass hashed the heads that it had: no others may join them here.
            each = []
            for b in range(size):
                taken = [t if d is None else t.select(d, b) for t, d in zip(args, in_dims)]
                each.append(op(*taken))
            return tuple(torch.stack(parts) for parts in zip(*each)), (0,) * len(each[0])
        folded = _fold_heads(args[6:-3], in_dims[6:-3], size, att_at)
        return _split_heads(op(*args[:6], *folded, *args[-3:]), size, att_at)

    return rule


vmap_rule("gnnlib::attention_gat")(_forward_rule(_gat))
vmap_rule("gnnlib::attention_gatv2")(_forward_rule(_gatv2, 2))
vmap_rule("gnnlib::attention_dot")(_forward_rule(_dot))
vmap_rule("gnnlib::attention_gat_backward")(_backward_rule(_gat_backward))
vmap_rule("gnnlib::attention_gatv2_backward")(_backward_rule(_gatv2_backward, 2))
vmap_rule("gnnlib::attention_dot_backward")(_backward_rule(_dot_backward))
