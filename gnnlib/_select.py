"""Some graphs of a Batch as a Batch; every tensor and the adjacency follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ._levels import level_of
from ._validate import as_positions, index_dtype
from .adjacency import Adjacency
from .features import SparseFeatures

if TYPE_CHECKING:
    from .batch import Batch


class _Rows(NamedTuple):
    """The nodes of the chosen graphs, or their edges, graph by graph."""

    index: Tensor  # the row that each of them was, [R]
    moved: Tensor  # by how much its number grows, [R]
    count: Tensor  # how many each graph has, [B']

    def spread(self, values: Tensor) -> Tensor:
        """The value of each graph for each of its rows, [R]."""
        return torch.repeat_interleave(values, self.count, output_size=self.index.shape[0])


def select(batch: Batch, graphs: Any) -> Any:
    index = as_positions(graphs, batch.num_graphs, batch.device, "graphs", "the batch", "graph")
    begin, order = groups(batch)
    first = begin.index_select(1, index)
    count = begin.index_select(1, index + 1) - first
    end = F.pad(count.cumsum(1), (1, 0))
    moved = end[:, :-1] - first
    num_nodes, num_edges = end[:, -1].tolist()
    nodes = _rows(moved[0], count[0], num_nodes)
    edges = _rows(moved[1], count[1], num_edges)

    edge_ids = edges.index if order is None else order.index_select(0, edges.index)
    ends_moved = edges.spread(moved[0])
    # `gather` takes half the time of `index_select(1, …)`.
    edge_index = batch.edge_index.gather(1, edge_ids.expand(2, -1)) + ends_moved
    rows = {"node": nodes.index, "edge": edge_ids, "graph": index}
    tensors = {name: _take(value, rows[level_of(name)]) for name, value in batch.items()}
    kept = {}
    if "adj" in batch._kept:
        kept["adj"] = _select_adj(batch, nodes, edges, nodes.spread(moved[1]), ends_moved)
    return batch._make(edge_index, num_nodes, tensors, end[0], kept)


def _rows(moved: Tensor, count: Tensor, total: int) -> _Rows:
    by_row = torch.repeat_interleave(moved, count, output_size=total)
    return _Rows(torch.arange(total, device=count.device) - by_row, by_row, count)


def _take(value: Tensor | SparseFeatures, rows: Tensor) -> Tensor | SparseFeatures:
    return value[rows] if isinstance(value, SparseFeatures) else value.index_select(0, rows)


def groups(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Where the nodes and the edges of each graph begin, [2, B + 1], and the order that groups the
    edges by graph.

    Edges come graph by graph (order None), until an edit such as add_self_loops appends some.
    """
    return batch._memo("groups", lambda: _groups(batch))


def _groups(batch: Batch) -> tuple[Tensor, Tensor | None]:
    group = batch.batch[batch.edge_index[0]]
    count = torch.bincount(group, minlength=batch.num_graphs)
    begin = torch.stack([batch.graph_ptr, F.pad(count.cumsum(0), (1, 0))])
    order = group.argsort(stable=True) if bool((group.diff() < 0).any()) else None
    return begin, order


def _select_adj(
    batch: Batch, nodes: _Rows, edges: _Rows, begin_moved: Tensor, ends_moved: Tensor
) -> Adjacency:
    """The rows of the chosen graphs. CSR positions are grouped by graph as nodes are, and a graph
    has as many as edges: so `edges` are its positions too.

    Args:
        begin_moved: how far the first position of each chosen node moves.
        ends_moved: how far the node at each chosen position does.
    """
    adj = batch.adj
    num_nodes, num_edges = nodes.index.shape[0], edges.index.shape[0]
    dtype = index_dtype(batch.num_nodes, batch.num_edges, num_nodes, num_edges)
    begin_moved, ends_moved = begin_moved.to(dtype), ends_moved.to(dtype)
    edges_moved = edges.moved.to(dtype)

    def begins(ptr: Tensor) -> Tensor:
        return F.pad(ptr.index_select(0, nodes.index) + begin_moved, (0, 1), value=num_edges)

    def numbers(of: Tensor, moved: Tensor) -> Tensor:
        return of.index_select(0, edges.index) + moved

    eid = None if adj.eid is None else numbers(_grouped_eid(batch, adj.eid), edges_moved)
    ptr, col = begins(adj.ptr), numbers(adj.col, ends_moved)
    chosen = Adjacency._make(ptr, col, num_nodes, eid)
    if "transpose" in adj._memo:
        t_ptr, t_row, t_pos = adj._memo["transpose"]
        transpose = begins(t_ptr), numbers(t_row, ends_moved), numbers(t_pos, edges_moved)
        chosen._memo["transpose"] = transpose
    return chosen


def _grouped_eid(batch: Batch, eid: Tensor) -> Tensor:
    """The edge at each CSR position, numbered as edges are when they come graph by graph."""
    _, order = groups(batch)
    if order is None:
        return eid
    return batch._memo("grouped_eid", lambda: order.argsort().to(eid.dtype)[eid])
