"""The linear operators by which GNNConv gathers states, of norm at most 1 on any graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import ops
from .._ranges import ranges
from ..adjacency import Adjacency
from ..ops._door import known
from ._norm import inverse_root

AGGREGATIONS = ("sym", "mean", "sum", "attention")


class Aggregation(NamedTuple):
    """z ↦ C z with (C z)[i] = Σ over edges j → i of row_scale[i] weight[ji] col_scale[j] z[j].

    adj: the edges, self-loops included.
    weight: [E], in CSR order, or None for 1.
    row_scale, col_scale: [N], or None for 1.
    """

    adj: Adjacency
    weight: Tensor | None
    row_scale: Tensor | None = None
    col_scale: Tensor | None = None

    def __call__(self, z: Tensor) -> Tensor:
        adj = self.adj
        return ops.spmm(
            adj.ptr, adj.col, z, self.weight,
            row_scale=self.row_scale, col_scale=self.col_scale, transpose=adj.transpose,
        )  # fmt: skip

    def coefficients(self, dtype: torch.dtype) -> Tensor:
        """The numbers c[ji] themselves, [E], in CSR order."""
        weight = self.weight
        if weight is None:
            weight = torch.ones(self.adj.num_edges, dtype=dtype, device=self.adj.device)
        if self.row_scale is not None:
            weight = weight * _of_rows(self.adj, self.row_scale)
        if self.col_scale is not None:
            weight = weight * ops.gather_rows(self.col_scale, self.adj.col)
        return weight

    def of_edges(self, edge_attr: Tensor) -> Tensor:
        """Σ over edges j → i of c[ji] edge_attr[ji], [N, D], for rows in the user's edge order.

        An added self-loop has no row: its edge_attr is 0.
        """
        adj = self.adj
        added = adj.num_edges - edge_attr.shape[0]
        edge_attr = F.pad(edge_attr, (0, 0, 0, added))
        eid = adj.eid
        if eid is None:
            eid = torch.arange(adj.num_edges, dtype=adj.ptr.dtype, device=adj.device)
        # To a destination its edges are sources like any other.
        return ops.spmm(adj.ptr, eid, edge_attr, self.coefficients(edge_attr.dtype))

    def keep(self, segments: Tensor, graphs: Tensor) -> tuple[Aggregation, Tensor]:
        """The operator of some graphs of a batch alone, and the rows of theirs in this one.

        Rows, edges and sources of a graph are neighbours in CSR: all that is needed are slices.
        """
        adj = self.adj
        first, last = segments[graphs], segments[graphs + 1]
        first_edge, last_edge = adj.ptr[first].long(), adj.ptr[last].long()
        rows = ranges(first, last - first)
        edges = ranges(first_edge, last_edge - first_edge)
        ptr = F.pad(adj.ptr.diff()[rows].long().cumsum(0), (1, 0)).to(adj.ptr.dtype)
        new_first = F.pad((last - first).cumsum(0), (1, 0))[:-1]
        shift = torch.repeat_interleave(first - new_first, last_edge - first_edge)
        col = (adj.col[edges] - shift).to(adj.col.dtype)
        kept = Adjacency._make(ptr, col, rows.shape[0], None)

        def chosen(value: Tensor | None, index: Tensor) -> Tensor | None:
            return None if value is None else ops.gather_rows(value, index)

        aggregation = Aggregation(
            kept, chosen(self.weight, edges), chosen(self.row_scale, rows),
            chosen(self.col_scale, rows),
        )  # fmt: skip
        return aggregation, rows


def bounded(
    aggr: str,
    adj: Adjacency,
    edge_weight: Tensor | None,
    scores: Tensor | None,
    segments: Tensor | None,
    dtype: torch.dtype,
) -> Aggregation:
    """C of the aggregation `aggr`, for weights w of any sign and size; see GNNConv.

    Args:
        aggr: "sym", "mean", "sum" or "attention".
        adj: the edges, self-loops included.
        edge_weight: [E] in the user's order, or None.
        scores: of attention, [E] in CSR order.
        segments: row pointers of the graphs [B + 1], for "sum"; None: one graph.
        dtype: of the states.
    """
    if aggr != "attention" and edge_weight is None:
        row_scale, col_scale = _scales(aggr, adj, None, segments)
        return Aggregation(adj, None, *(_to(scale, dtype) for scale in (row_scale, col_scale)))
    weight = None
    if edge_weight is not None:
        # float64, so that no sum of float32 weights overflows.
        in_order = edge_weight if adj.eid is None else ops.gather_rows(edge_weight, adj.eid)
        weight = in_order.double()
    if scores is not None:
        alpha = ops.segment_softmax(adj.ptr, scores)
        if weight is None:
            return Aggregation(adj, alpha.to(dtype))
        weight = weight * alpha
    assert weight is not None
    row_scale, col_scale = _scales(aggr, adj, weight, segments)
    return Aggregation(
        adj, Aggregation(adj, weight, row_scale, col_scale).coefficients(weight.dtype).to(dtype)
    )


def _scales(
    aggr: str, adj: Adjacency, weight: Tensor | None, segments: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Factors of rows and columns that make a norm of the weights (CSR order) at most 1."""
    size = None if weight is None else weight.abs()
    d_in = adj.ptr.diff().double() if size is None else ops.segment_reduce(adj.ptr, size)
    if aggr in ("mean", "attention"):  # Σ_j |c_ij| = 1
        none = d_in == 0
        return torch.where(none, 0, torch.where(none, 1, d_in).reciprocal()), None
    t_ptr, _, t_pos = adj.transpose()
    d_out = t_ptr.diff().double() if size is None else ops.segment_reduce(t_ptr, size, eid=t_pos)
    if aggr == "sym":  # Schur's test with the roots of the degrees: ‖C‖₂ ≤ 1
        return inverse_root(d_in), inverse_root(d_out)
    if segments is None:
        segments = torch.arange(2, device=adj.device) * adj.num_dst
        known(segments, adj.num_dst, immutable=True)
    most_in, most_out = (ops.segment_reduce(segments, d, reduce="max") for d in (d_in, d_out))
    per_graph = inverse_root(most_in) * inverse_root(most_out)  # ‖C‖₂² ≤ ‖C‖₁ ‖C‖_∞
    return ops.segment_expand(segments, per_graph, adj.num_dst), None


def _of_rows(adj: Adjacency, value: Tensor) -> Tensor:
    """The number of each edge's destination, [E], in CSR order."""
    return ops.segment_expand(adj.ptr, value, adj.num_edges)


def _to(scale: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if scale is None else scale.to(dtype)
