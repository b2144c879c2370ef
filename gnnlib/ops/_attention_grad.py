"""The gradients of attention written in differentiable operators: what is differentiated again.

Slower than the fused backward passes and with arrays [E, H] (gatv2: [E, H, D]); each function
returns what the operator of its name with `_backward` returns, with None for what was not given.
"""

import torch
from torch import Tensor

from .dropout import edge_dropout
from .scatter import gather_rows, scatter
from .sddmm import sddmm, sddmm_dot
from .segment import segment_expand, segment_reduce, segment_softmax
from .spmm import weighted_sum


def gat(ptr, col, eid, back, x, src, dst, edge, lse, grad, slope, dropout, seed):
    if src is None:
        raw = None if dst is None else segment_expand(ptr, dst, col.shape[0])
    else:
        op = "copy" if dst is None else "add"
        raw = sddmm(ptr, col, dst, src, op=op, transpose=tuple(back))
    if edge is not None:
        in_order = edge if eid is None else gather_rows(edge, eid)
        raw = in_order if raw is None else raw + in_order
    assert raw is not None
    p = segment_softmax(ptr, torch.where(raw > 0, raw, raw * slope))
    grad_x, d_score, _ = _through_softmax(ptr, col, eid, back, p, x, lse, grad, dropout, seed)
    d_raw = torch.where(raw > 0, d_score, d_score * slope)
    grad_src = None if src is None else segment_reduce(back[0], d_raw, eid=back[2])
    grad_dst = None if dst is None else segment_reduce(ptr, d_raw)
    return grad_x, grad_src, grad_dst, None if edge is None else _by_edge(eid, d_raw)


def gatv2(ptr, col, eid, back, x_src, x_dst, att, lse, grad, slope, dropout, seed):
    num_edges = col.shape[0]
    rows = x_dst.flatten(1)
    raw = gather_rows(x_src, col) + segment_expand(ptr, rows, num_edges).reshape(
        (num_edges,) + x_dst.shape[1:]
    )
    raw = raw.to(att.dtype)
    hidden = torch.where(raw > 0, raw, raw * slope)
    p = segment_softmax(ptr, (hidden * att).sum(-1))
    grad_src, d_score, _ = _through_softmax(ptr, col, eid, back, p, x_src, lse, grad, dropout, seed)
    d_hidden = d_score.unsqueeze(-1) * att
    d_raw = torch.where(raw > 0, d_hidden, d_hidden * slope)
    grad_src = grad_src + segment_reduce(back[0], d_raw, eid=back[2]).to(x_src.dtype)
    grad_dst = segment_reduce(ptr, d_raw).to(x_dst.dtype)
    return grad_src, grad_dst, (d_score.unsqueeze(-1) * hidden).sum(0)


def dot(ptr, col, eid, back, query, key, value, edge, lse, grad, scale, dropout, seed):
    score = sddmm_dot(ptr, col, None, query, key, *back, None).to(lse.dtype) * scale
    if edge is not None:
        score = score + (edge if eid is None else gather_rows(edge, eid))
    p = segment_softmax(ptr, score)
    grad_value, d_score, turn = _through_softmax(
        ptr, col, eid, back, p, value, lse, grad, dropout, seed
    )
    weight = (d_score * scale).to(query.dtype)
    grad_query = weighted_sum(ptr, col, None, weight, key, None, None, (*back, None))
    t_ptr, t_row, t_pos = back
    grad_key = weighted_sum(t_ptr, t_row, t_pos, weight, query, None, None, turn)
    return grad_query, grad_key, grad_value, None if edge is None else _by_edge(eid, d_score)


def _through_softmax(ptr, col, eid, back, p, value, lse, grad, dropout, seed):
    """(gradient of the values, gradient of the scores in CSR order, the way back's way back)."""
    num_edges = col.shape[0]
    turn = (ptr, col, None, None)
    weight = p
    factor = None
    if dropout > 0:
        # Of as many heads as the forward pass had, also where vmap has folded others into them.
        ones = segment_expand(ptr, torch.ones_like(lse), num_edges)
        factor = edge_dropout(ones, dropout, eid=eid, seed=seed)
        weight = p * factor
    t_ptr, t_row, t_pos = back
    weight = weight.to(value.dtype)
    grad_value = weighted_sum(t_ptr, t_row, t_pos, weight, grad, None, None, turn)
    d_weight = sddmm_dot(ptr, col, None, grad, value, *back, None).to(p.dtype)
    weighted = p * (d_weight if factor is None else d_weight * factor)
    total = segment_expand(ptr, segment_reduce(ptr, weighted), num_edges)
    return grad_value, weighted - p * total, turn


def _by_edge(eid: Tensor | None, rows: Tensor) -> Tensor:
    return rows if eid is None else scatter(rows, eid, rows.shape[0])
