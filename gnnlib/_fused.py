"""Which operator runs a lazy message: each form of `_forms.py` as one pass over the edges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import ops
from ._blocks import join
from ._edge_rows import EdgeRows, Sum
from .adjacency import Adjacency
from .ops._common import counts, per_row, zero_without_edges
from .ops.multi import REDUCES as MULTI

OPPOSITE = {"max": "min", "min": "max"}


def fused(message: Any, adj: Adjacency, reduces: tuple[str, ...]) -> Tensor | None:
    """The reductions of a lazy expression, joined in the last dimension, or None if one of them is
    no operator's."""
    if _share_a_pass(message, reduces):
        return ops.spmm_multi(
            adj.ptr, adj.col, message.tensor, reduces, transpose=adj.transpose
        ).flatten(1)
    results = []
    for reduce in reduces:
        results.append(_fused(message, adj, reduce))
        if results[-1] is None:
            return None
    return join(results)


def _share_a_pass(message: Any, reduces: tuple[str, ...]) -> bool:
    if not isinstance(message, EdgeRows) or message.kind != "src" or message.ndim != 2:
        return False
    if len(set(reduces)) < len(reduces) or not set(reduces) <= set(MULTI):
        return False
    return len(reduces) > 1 or reduces == ("std",)


def _fused(message: Any, adj: Adjacency, reduce: str) -> Tensor | None:
    if not isinstance(message, EdgeRows) or reduce == "std":
        return None
    # The gradient of a product gathers its messages: blocks keep that small.
    if reduce == "mul" and torch.is_grad_enabled():
        return None
    if message.kind == "value":
        return ops.segment_reduce(adj.ptr, message.tensor, reduce=reduce)
    if message.kind == "edge":
        return _of_edges(message, adj, reduce)
    if message.kind == "src":
        return _of_sources(message.tensor, adj, reduce)
    if message.kind == "weighted":
        return _of_sources(message.tensor, adj, reduce, message.other)
    if reduce == "mul":
        return None
    if message.kind == "sum":
        return _of_sum(message.other, adj, reduce)
    if message.kind == "dst":
        return _of_destinations(message.tensor, adj, reduce)
    if reduce not in ("sum", "mean"):  # of a product with dst, whose sign is unknown
        return None
    total = _of_sources(message.tensor, adj, reduce)
    return None if total is None else zero_without_edges(adj.ptr, total * message.other)


def _of_edges(message: EdgeRows, adj: Adjacency, reduce: str) -> Tensor | None:
    factor = message.other
    if factor is None:
        return ops.segment_reduce(adj.ptr, message.tensor, eid=adj.eid, reduce=reduce)
    if reduce == "mul":
        return None
    reduce = OPPOSITE.get(reduce, reduce) if factor < 0 else reduce
    return ops.segment_reduce(adj.ptr, message.tensor, eid=adj.eid, reduce=reduce) * factor


def _of_sources(
    x: Tensor, adj: Adjacency, reduce: str, factor: EdgeRows | None = None
) -> Tensor | None:
    if x.dim() not in (2, 3):
        return None
    weight, eid = None, None
    if factor is not None:
        weight, eid = factor.tensor, adj.eid if factor.kind == "edge" else None
        if weight.shape[-1] == 1:  # one an edge, or an edge and head
            weight = weight.flatten(1)
            weight = weight.squeeze(1) if weight.shape[1] == 1 else weight
    return ops.spmm(adj.ptr, adj.col, x, weight, eid=eid, reduce=reduce, transpose=adj.transpose)


def _of_destinations(y: Tensor, adj: Adjacency, reduce: str) -> Tensor:
    if reduce == "sum":
        y = (y * per_row(counts(adj.ptr, y.dtype), y)).to(y.dtype)
    return zero_without_edges(adj.ptr, y)


def _of_sum(terms: Sum, adj: Adjacency, reduce: str) -> Tensor | None:
    src, edge, eid, alpha = terms.src, terms.edge, None, 1.0
    if src is None:
        return None
    rows = None
    if edge is not None:
        rows = edge.tensor
        if edge.kind == "edge":
            eid, alpha = adj.eid, 1.0 if edge.other is None else edge.other
        if rows.shape[1:] != src.shape[1:]:
            rows = rows.flatten()
    if terms.scale < 0:
        reduce = OPPOSITE.get(reduce, reduce)
    out = ops.spmm_add(
        adj.ptr,
        adj.col,
        src,
        terms.dst,
        rows,
        eid=eid,
        alpha=alpha,
        act="relu" if terms.relu else None,
        reduce=reduce,
        transpose=adj.transpose,
    )
    return out if terms.scale == 1 else out * terms.scale
