"""A function of the rows at both ends of each edge, without an E×F array of those rows.

Blocks of edges, as messages run that are not fused; but nothing is reduced, so a block may end in
the middle of a destination, and no destination is too long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ._blocks import Run, in_blocks
from ._memo import memo
from .adjacency import Adjacency

BLOCK_BYTES = 16 * 2**20
"""Bytes of one gathered operand in a block."""


class _EdgeRows:
    """The edges of an adjacency, each in a row of its own."""

    def __init__(self, adj: Adjacency):
        self.col = adj.col
        self.row = adj.row
        self.eid = adj.eid
        self.num_edges = adj.num_edges
        self.device = adj.device
        self.ptr = torch.arange(adj.num_edges + 1, dtype=adj.ptr.dtype, device=adj.device)
        self._memo: dict[Any, Any] = {}

    def memo(self, key: Any, build: Callable[[], Any]) -> Any:
        return memo(self._memo, key, build)


def per_edge(
    module: nn.Module,
    function: Callable[..., Tensor],
    adj: Adjacency,
    *,
    src: Tensor,
    dst: Tensor,
    edge: Tensor | None = None,
) -> Tensor:
    """function(module, src[j], dst[i], edge[ji]) of each edge j → i, in CSR order: [E, …].

    Args:
        module: what the function takes its parameters from.
        function: must treat edges independently; it is called on blocks of edges, and again for
            the gradient. It gets `edge` only where there is one.
        adj: the edges.
        src: rows of the sources, [num_src, …].
        dst: rows of the destinations, [num_dst, …].
        edge: rows of the edges in the user's order, [E, …].
    """
    rows: Any = adj.memo("edge_rows", lambda: _EdgeRows(adj))
    tensors = [src, dst] if edge is None else [src, dst, edge]
    sides = ["src", "dst", "edge"][: len(tensors)]

    def message(module: Any, slices: list[Tensor], ptr: Tensor, split: bool) -> Tensor:
        return function(module, *slices)

    return in_blocks(Run(rows, sides, module, message, ("sum",)), tensors, BLOCK_BYTES)
