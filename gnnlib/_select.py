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


class Groups(NamedTuple):
    """Where the nodes and edges of each graph of a batch stand."""

    sizes: Tensor  # numbers of nodes and of edges, [2, B]
    ends: Tensor  # where the next graph's nodes and edges begin, [2, B]
    order: Tensor | None  # of the edges, graph by graph; None: as they are


class _Chosen(NamedTuple):
    """The rows of the chosen graphs, graph by graph, and by how much what stands there grows."""

    nodes: Tensor  # [N']
    edges: Tensor  # [E'], graph by graph: numbers of edges where order is None, CSR positions
    edges_moved: Tensor  # the numbers of these edges, [E']
    ends_moved: Tensor  # the numbers of their ends, [E']
    begins_moved: Tensor  # the positions where the edges of a node begin, by graph, [B']
    num_nodes: Tensor  # of each graph, [B']


def select(batch: Batch, graphs: Any) -> Any:
    index = as_positions(graphs, batch.num_graphs, batch.device, "graphs", "the batch", "graph")
    found = groups(batch)
    count = found.sizes.index_select(1, index)
    end = count.cumsum(1)
    moved = end - found.ends.index_select(1, index)  # by how much numbers grow, [2, B']
    num_nodes, num_edges = count.sum(1).tolist()

    # Of the nodes, the edges, and the ends of the edges, at once: a call costs more than its work.
    by_row = torch.repeat_interleave(
        torch.cat([moved, moved[:1]]).flatten(),
        torch.cat([count, count[1:]]).flatten(),
        output_size=num_nodes + 2 * num_edges,
    )
    nodes_moved, edges_moved, ends_moved = by_row.split([num_nodes, num_edges, num_edges])
    nodes = torch.arange(num_nodes, device=batch.device) - nodes_moved
    grouped = torch.arange(num_edges, device=batch.device) - edges_moved

    edges = grouped if found.order is None else found.order.index_select(0, grouped)
    # `gather` takes half the time of `index_select(1, …)`.
    edge_index = batch.edge_index.gather(1, edges.expand(2, -1)) + ends_moved
    rows = {"node": nodes, "edge": edges, "graph": index}
    tensors = {name: _take(value, rows[level_of(name)]) for name, value in batch.items()}
    kept = {}
    if "adj" in batch._kept:
        chosen = _Chosen(nodes, grouped, edges_moved, ends_moved, moved[1], count[0])
        kept["adj"] = _select_adj(batch, chosen)
    return batch._make(edge_index, num_nodes, tensors, F.pad(end[0], (1, 0)), kept)


def _take(value: Tensor | SparseFeatures, rows: Tensor) -> Tensor | SparseFeatures:
    return value[rows] if isinstance(value, SparseFeatures) else value.index_select(0, rows)


def groups(batch: Batch) -> Groups:
    """Edges come graph by graph, until an edit such as add_self_loops appends some."""
    return batch._memo("groups", lambda: _groups(batch))


def _groups(batch: Batch) -> Groups:
    group = batch.batch[batch.edge_index[0]]
    num_edges = torch.bincount(group, minlength=batch.num_graphs)
    sizes = torch.stack([batch.graph_ptr.diff(), num_edges])
    order = group.argsort(stable=True) if bool((group.diff() < 0).any()) else None
    return Groups(sizes, sizes.cumsum(1), order)


def _select_adj(batch: Batch, chosen: _Chosen) -> Adjacency:
    """The rows of the chosen graphs. CSR positions are grouped by graph as nodes are, and a graph
    has as many as edges: so `chosen.edges` are its positions."""
    adj = batch.adj
    num_nodes, num_edges = chosen.nodes.shape[0], chosen.edges.shape[0]
    dtype = index_dtype(batch.num_nodes, batch.num_edges, num_nodes, num_edges)
    ends_moved, edges_moved = chosen.ends_moved.to(dtype), chosen.edges_moved.to(dtype)
    begins_moved = torch.repeat_interleave(
        chosen.begins_moved.to(dtype), chosen.num_nodes, output_size=num_nodes
    )

    def begins(ptr: Tensor) -> Tensor:
        return F.pad(ptr.index_select(0, chosen.nodes) + begins_moved, (0, 1), value=num_edges)

    def numbers(of: Tensor, moved: Tensor) -> Tensor:
        return of.index_select(0, chosen.edges) + moved

    eid = None if adj.eid is None else numbers(_grouped_eid(batch, adj.eid), edges_moved)
    ptr, col = begins(adj.ptr), numbers(adj.col, ends_moved)
    cut = Adjacency._make(ptr, col, num_nodes, eid)
    if "transpose" in adj._memo:
        t_ptr, t_row, t_pos = adj._memo["transpose"]
        transpose = begins(t_ptr), numbers(t_row, ends_moved), numbers(t_pos, edges_moved)
        cut._memo["transpose"] = transpose
    return cut


def _grouped_eid(batch: Batch, eid: Tensor) -> Tensor:
    """The edge at each CSR position, numbered as edges are when they come graph by graph."""
    order = groups(batch).order
    if order is None:
        return eid
    return batch._memo("grouped_eid", lambda: order.argsort().to(eid.dtype)[eid])
