"""Several adjacencies as one, by offsets alone: nothing is sorted again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from ._validate import index_dtype
from .adjacency import Adjacency


def offsets(counts: Sequence[int]) -> list[int]:
    """Where each of the groups of these sizes begins."""
    return list(accumulate(counts, initial=0))[:-1]


def spread(values: Sequence[int], counts: Sequence[int], like: Tensor) -> Tensor:
    """values[g] repeated counts[g] times, for all groups g; dtype and device of `like`."""
    return torch.repeat_interleave(
        torch.tensor(values, dtype=like.dtype, device=like.device),
        torch.tensor(counts, dtype=torch.long, device=like.device),
        output_size=sum(counts),
    )


def stack_rows(parts: Sequence[Adjacency]) -> Adjacency:
    """The rows of all parts below each other, over the same sources."""
    rows, edges = [part.num_dst for part in parts], [part.num_edges for part in parts]
    dtype = index_dtype(parts[0].num_src, sum(rows), sum(edges))
    ptr = cat_ptr([part.ptr for part in parts], offsets(edges), dtype)
    col = torch.cat([part.col for part in parts]).to(dtype)
    return Adjacency._make(ptr, col, parts[0].num_src, _cat_eid(parts, edges, dtype))


def block_diagonal(parts: Sequence[Adjacency]) -> Adjacency:
    """The disjoint union; the transpose comes with it when each part has its own."""
    rows, edges = [part.num_dst for part in parts], [part.num_edges for part in parts]
    columns = [part.num_src for part in parts]
    dtype = index_dtype(sum(columns), sum(rows), sum(edges))
    ptr = cat_ptr([part.ptr for part in parts], offsets(edges), dtype)
    col = _shifted([part.col for part in parts], offsets(columns), dtype)
    adj = Adjacency._make(ptr, col, sum(columns), _cat_eid(parts, edges, dtype))

    if all("transpose" in part._memo for part in parts):
        t_ptr, t_row, t_pos = zip(*(part.transpose() for part in parts))
        adj._memo["transpose"] = (
            cat_ptr(t_ptr, offsets(edges), dtype),
            _shifted(t_row, offsets(rows), dtype),
            _shifted(t_pos, offsets(edges), dtype),
        )
    return adj


def _shifted(parts: Sequence[Tensor], by: Sequence[int], dtype: torch.dtype) -> Tensor:
    joined = torch.cat(list(parts)).to(dtype)
    return joined + spread(by, [part.shape[0] for part in parts], joined)


def cat_ptr(ptrs: Sequence[Tensor], by: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Row pointers of several CSRs as one, each moved by the edges before it."""
    zero = ptrs[0].new_zeros(1, dtype=dtype)
    return torch.cat([zero, _shifted([ptr[1:] for ptr in ptrs], by, dtype)])


def _cat_eid(parts: Sequence[Adjacency], edges: Sequence[int], dtype: torch.dtype) -> Tensor | None:
    if all(part.eid is None for part in parts):
        return None
    ids = [
        torch.arange(part.num_edges, dtype=dtype, device=part.device)
        if part.eid is None
        else part.eid
        for part in parts
    ]
    return _shifted(ids, offsets(edges), dtype)
