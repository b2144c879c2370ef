"""The attention operators in plain torch: the part of `reference` that is theirs."""

import torch
from torch import Tensor

from . import reference
from ._dtypes import accumulate_dtype


def _attend(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    value: Tensor,
    score: Tensor,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """(out, lse) for scores [E, H] in CSR order."""
    row, num_dst = reference._rows(ptr), ptr.numel() - 1
    weight = reference.segment_softmax(ptr, None, score) * _mask(score, eid, dropout, seed)
    out = reference.spmm(ptr, col, None, weight, value.to(score.dtype), "sum", None, None)
    top = score.new_full((num_dst, score.shape[1]), -torch.inf)
    top = top.scatter_reduce(0, row.unsqueeze(1).expand_as(score), score, "amax")
    finite = torch.where(top == -torch.inf, 0, top)
    total = torch.zeros_like(top).index_add(0, row, (score - finite[row]).exp())
    return out.to(value.dtype), finite + total.log()


def _mask(score: Tensor, eid: Tensor | None, dropout: float, seed: Tensor | None) -> Tensor:
    """What dropout multiplies the weights [E, H] by."""
    ones = torch.ones_like(score)
    return (
        ones if seed is None or dropout == 0 else reference.edge_dropout(ones, eid, dropout, seed)
    )


def _attend_backward(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    value: Tensor,
    score: Tensor,
    out: Tensor,
    lse: Tensor,
    grad: Tensor,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The gradients of value and of the scores in CSR order."""
    row, wide = reference._rows(ptr), score.dtype
    p, mask = (score - lse[row]).exp(), _mask(score, eid, dropout, seed)
    d_weight = (grad[row].to(wide) * value[col.long()].to(wide)).sum(-1) * mask
    d_score = p * (d_weight - (grad.to(wide) * out.to(wide)).sum(-1)[row])
    grad_value = torch.zeros_like(value, dtype=wide)
    grad_value = grad_value.index_add(0, col.long(), (p * mask).unsqueeze(-1) * grad[row].to(wide))
    return grad_value.to(value.dtype), d_score


def _leaky(x: Tensor, slope: float) -> Tensor:
    return torch.where(x > 0, x, x * slope)


def _by_edge(eid: Tensor | None, x: Tensor) -> Tensor:
    """Rows in CSR order, as rows by edge id."""
    return x if eid is None else torch.zeros_like(x).index_copy(0, eid.long(), x)


def _sum_at(index: Tensor, x: Tensor, num_rows: int) -> Tensor:
    return x.new_zeros((num_rows, *x.shape[1:])).index_add(0, index.long(), x)


def _gat_scores(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor,
    score_src: Tensor | None,
    score_dst: Tensor | None,
    score_edge: Tensor | None,
) -> Tensor:
    score = x.new_zeros((col.numel(), x.shape[1]), dtype=accumulate_dtype(x.dtype))
    if score_src is not None:
        score = score + score_src[col.long()]
    if score_dst is not None:
        score = score + score_dst[reference._rows(ptr)]
    if score_edge is not None:
        score = score + (score_edge if eid is None else score_edge[eid.long()])
    return score


def attention_gat(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor,
    score_src: Tensor | None,
    score_dst: Tensor | None,
    score_edge: Tensor | None,
    negative_slope: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    raw = _gat_scores(ptr, col, eid, x, score_src, score_dst, score_edge)
    return _attend(ptr, col, eid, x, _leaky(raw, negative_slope), dropout, seed)


def attention_gat_backward(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    t_ptr: Tensor,
    t_row: Tensor,
    t_pos: Tensor,
    x: Tensor,
    score_src: Tensor | None,
    score_dst: Tensor | None,
    score_edge: Tensor | None,
    out: Tensor,
    lse: Tensor,
    grad: Tensor,
    negative_slope: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    raw = _gat_scores(ptr, col, eid, x, score_src, score_dst, score_edge)
    score = _leaky(raw, negative_slope)
    grad_x, d_score = _attend_backward(ptr, col, eid, x, score, out, lse, grad, dropout, seed)
    d_raw = torch.where(raw > 0, d_score, d_score * negative_slope)
    none = d_raw[:0]
    return (
        grad_x,
        none.clone() if score_src is None else _sum_at(col, d_raw, x.shape[0]),
        none.clone()
        if score_dst is None
        else _sum_at(reference._rows(ptr), d_raw, ptr.numel() - 1),
        none.clone() if score_edge is None else _by_edge(eid, d_raw),
    )


def _gatv2_hidden(ptr: Tensor, col: Tensor, x_src: Tensor, x_dst: Tensor) -> Tensor:
    wide = accumulate_dtype(x_src.dtype)
    return x_src[col.long()].to(wide) + x_dst[reference._rows(ptr)].to(wide)


def attention_gatv2(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x_src: Tensor,
    x_dst: Tensor,
    att: Tensor,
    negative_slope: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    hidden = _leaky(_gatv2_hidden(ptr, col, x_src, x_dst), negative_slope)
    return _attend(ptr, col, eid, x_src, (hidden * att).sum(-1), dropout, seed)


def attention_gatv2_backward(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    t_ptr: Tensor,
    t_row: Tensor,
    t_pos: Tensor,
    x_src: Tensor,
    x_dst: Tensor,
    att: Tensor,
    out: Tensor,
    lse: Tensor,
    grad: Tensor,
    negative_slope: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    raw = _gatv2_hidden(ptr, col, x_src, x_dst)
    hidden = _leaky(raw, negative_slope)
    grad_src, d_score = _attend_backward(
        ptr, col, eid, x_src, (hidden * att).sum(-1), out, lse, grad, dropout, seed
    )
    d_raw = d_score.unsqueeze(-1) * att
    d_raw = torch.where(raw > 0, d_raw, d_raw * negative_slope)
    grad_src = grad_src.to(d_raw.dtype) + _sum_at(col, d_raw, x_src.shape[0])
    grad_dst = _sum_at(reference._rows(ptr), d_raw, ptr.numel() - 1)
    grad_att = (d_score.unsqueeze(-1) * hidden).sum(0)
    return grad_src.to(x_src.dtype), grad_dst.to(x_dst.dtype), grad_att


def _dot_scores(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    query: Tensor,
    key: Tensor,
    score_edge: Tensor | None,
    scale: float,
) -> Tensor:
    wide = accumulate_dtype(key.dtype)
    score = (query[reference._rows(ptr)].to(wide) * key[col.long()].to(wide)).sum(-1) * scale
    if score_edge is None:
        return score
    return score + (score_edge if eid is None else score_edge[eid.long()])


def attention_dot(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_edge: Tensor | None,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor]:
    score = _dot_scores(ptr, col, eid, query, key, score_edge, scale)
    return _attend(ptr, col, eid, value, score, dropout, seed)


def attention_dot_backward(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    t_ptr: Tensor,
    t_row: Tensor,
    t_pos: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_edge: Tensor | None,
    out: Tensor,
    lse: Tensor,
    grad: Tensor,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    score = _dot_scores(ptr, col, eid, query, key, score_edge, scale)
    grad_value, d_score = _attend_backward(
        ptr, col, eid, value, score, out, lse, grad, dropout, seed
    )
    row, weight = reference._rows(ptr), (d_score * scale).unsqueeze(-1)
    grad_query = _sum_at(row, weight * key[col.long()].to(weight.dtype), ptr.numel() - 1)
    grad_key = _sum_at(col, weight * query[row].to(weight.dtype), key.shape[0])
    grad_edge = d_score[:0].clone() if score_edge is None else _by_edge(eid, d_score)
    return grad_query.to(query.dtype), grad_key.to(key.dtype), grad_value, grad_edge
