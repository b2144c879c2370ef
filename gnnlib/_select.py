"""Some graphs of a Batch as a Batch; every tensor and the adjacency follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ._levels import level_of
from ._validate import as_positions, index_dtype
from .adjacency import Adjacency
from .features import SparseFeatures

if TYPE_CHECKING:
    from .batch import Batch


HOST = torch.device("cpu")


class Groups(NamedTuple):
    """Where the nodes and edges of each graph of a batch stand."""

    sizes: np.ndarray  # numbers of nodes and of edges, [2, B]
    begins: np.ndarray  # where its nodes and edges begin, [2, B]
    order: Tensor | None  # of the edges, graph by graph; None: as they are


class _Chosen(NamedTuple):
    """The rows of the chosen graphs, graph by graph, and by how much what stands there grows."""

    sizes: np.ndarray  # numbers of nodes and of edges of each graph, [2, B']
    moved: np.ndarray  # by how much the numbers of its nodes and of its edges grow, [2, B']
    nodes: Tensor  # [N']
    edges: Tensor  # [E'], graph by graph: numbers of edges where order is None, CSR positions
    ends_moved: Tensor  # by how much the numbers of the ends of these edges grow, [E']


def select(batch: Batch, graphs: Any) -> Any:
    # What does not touch the tensors is numpy's: a call of numpy takes a third of one of torch, a
    # mini-batch little more than its calls, and a GPU is not waited for.
    index = as_positions(graphs, batch.num_graphs, HOST, "graphs", "the batch", "graph")
    numbers, found = index.numpy(), groups(batch)
    sizes = found.sizes.take(numbers, 1)
    ptr = np.zeros((2, len(numbers) + 1), np.int64)
    sizes.cumsum(1, out=ptr[:, 1:])
    moved = ptr[:, :-1] - found.begins.take(numbers, 1)
    num_nodes, num_edges = ptr[:, -1].tolist()
    nodes = torch.from_numpy(np.arange(num_nodes) - moved[0].repeat(sizes[0]))
    grouped = torch.from_numpy(np.arange(num_edges) - moved[1].repeat(sizes[1]))
    ends_moved = torch.from_numpy(moved[0].repeat(sizes[1]))

    device = batch.device
    chosen = _Chosen(sizes, moved, nodes.to(device), grouped.to(device), ends_moved.to(device))
    edges = chosen.edges if found.order is None else found.order.index_select(0, chosen.edges)
    # `gather` takes half the time of `index_select(1, …)`.
    edge_index = batch.edge_index.gather(1, edges.expand(2, -1)).add_(chosen.ends_moved)
    rows = {"node": chosen.nodes, "edge": edges, "graph": index.to(device)}
    tensors = {name: _take(value, rows[level_of(name)]) for name, value in batch.items()}
    kept = {"adj": _select_adj(batch, chosen)} if "adj" in batch._kept else {}
    graph_ptr = torch.from_numpy(ptr[0]).to(device)
    return batch._make(edge_index, num_nodes, tensors, graph_ptr, kept)


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
    begins = sizes.cumsum(1) - sizes
    return Groups(sizes.numpy(force=True), begins.numpy(force=True), order)


def _select_adj(batch: Batch, chosen: _Chosen) -> Adjacency:
    """The rows of the chosen graphs. CSR positions are grouped by graph as nodes are, and a graph
    has as many as edges: so `chosen.edges` are its positions."""
    adj = batch.adj
    num_nodes, num_edges = chosen.nodes.shape[0], chosen.edges.shape[0]
    dtype = index_dtype(batch.num_nodes, batch.num_edges, num_nodes, num_edges)
    ends_moved = chosen.ends_moved.to(dtype)
    # By how much edges, and where those of a node begin: in numbers of edges both.
    edges_moved, begins_moved = (
        torch.from_numpy(chosen.moved[1].repeat(counts)).to(batch.device, dtype)
        for counts in (chosen.sizes[1], chosen.sizes[0])
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
