"""Where the graphs of a batch begin, for layers that treat each graph on its own."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._memo import is_tracing
from ..adjacency import Adjacency
from ..graph import Graph


def segments_of(graph: Any, adj: Adjacency, batch: Tensor | None) -> Tensor | None:
    """Row pointers of the graphs [B + 1], int64; None where all nodes are one graph.

    Args:
        graph: what the layer was called with; a Batch knows its graphs.
        adj: its adjacency.
        batch: the graph of each node [N], ascending, or None.

    Raises:
        TypeError: a batch that is no integer tensor.
        ValueError: a batch of the wrong shape, not ascending, or crossed by an edge.
    """
    if batch is None:
        return graph.graph_ptr if isinstance(graph, Graph) and graph.num_graphs != 1 else None
    if not isinstance(batch, Tensor) or batch.dtype not in (torch.int32, torch.int64):
        kind = batch.dtype if isinstance(batch, Tensor) else type(batch).__name__
        raise TypeError(f"batch must be an integer tensor, got {kind}")
    if batch.shape != (adj.num_dst,):
        raise ValueError(
            f"batch must hold the graph of each node: graph has num_nodes={adj.num_dst}, got batch"
            f" of shape {tuple(batch.shape)}"
        )
    if batch.shape[0] == 0:
        return None
    if not is_tracing():
        _check_values(adj, batch)
    return F.pad(torch.bincount(batch.long()).cumsum(0), (1, 0))


def _check_values(adj: Adjacency, batch: Tensor) -> None:
    wrong = F.pad(batch, (1, 0))[:-1] > batch  # each node against the one before, the first to 0
    if bool(wrong.any()):
        node = int(wrong.long().argmax())
        raise ValueError(
            "batch must start at 0 or more and never decrease, so that the nodes of a graph stand"
            f" together: batch[{node}] is {int(batch[node])}"
        )
    crossing = batch[adj.row] != batch[adj.col]
    if bool(crossing.any()):
        edge = int(crossing.long().argmax())
        source, destination = int(adj.col[edge]), int(adj.row[edge])
        raise ValueError(
            f"edges must not join two graphs of the batch: {source} → {destination} joins graphs"
            f" {int(batch[source])} and {int(batch[destination])}"
        )
