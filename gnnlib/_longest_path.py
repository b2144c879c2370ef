"""How far information can travel in a graph without cycles."""

import torch
from torch import Tensor

from . import ops
from ._ranges import ranges
from .adjacency import Adjacency


def longest_path(adj: Adjacency) -> int | None:
    """The edges of the longest path of a directed acyclic graph; None where there is a cycle.

    A self-loop is a cycle. Computed once per adjacency, in O(N + E).

    Example:
        >>> longest_path(Adjacency.from_edge_index([[0, 1, 0], [1, 2, 2]]))
        2
        >>> longest_path(Adjacency.from_edge_index([[0, 1], [1, 0]])) is None
        True
    """
    places = _places(adj)
    if not places.shape[0]:
        return 0
    least, most = (int(place) for place in places.aminmax())
    return None if least < 0 else most


def longest_paths(adj: Adjacency, segments: Tensor) -> Tensor:
    """The same for each graph of a batch, [B] int64: -1 where there is a cycle.

    Args:
        segments: row pointers of the graphs, [B + 1].

    Example:
        >>> adj = Adjacency.from_edge_index([[0, 1, 2, 3], [1, 0, 3, 4]])
        >>> longest_paths(adj, torch.tensor([0, 2, 5]))
        tensor([-1,  2])
    """
    places = _places(adj).double()
    least, most = (ops.segment_reduce(segments, places, reduce=name) for name in ("min", "max"))
    return torch.where(least < 0, -1, most).long()


def _places(adj: Adjacency) -> Tensor:
    """The edges of the longest path that ends in each node, [N]; -1 on a cycle and behind one."""
    return adj.memo("longest_path", lambda: _take_layers(adj))


def _take_layers(adj: Adjacency) -> Tensor:
    """Take away the nodes without in-edges, and their edges, until nothing is left to take away."""
    t_ptr, t_row, _ = adj.transpose()
    open_edges = adj.ptr.diff().long()  # in-edges of nodes that are still there
    nodes = (open_edges == 0).nonzero().flatten()
    places, layer = torch.full_like(open_edges, -1), 0
    while nodes.shape[0]:
        places[nodes] = layer
        layer += 1
        reached, times = _destinations(t_ptr, t_row, nodes).unique(return_counts=True)
        open_edges[reached] -= times
        nodes = reached[open_edges[reached] == 0]
    return places


def _destinations(t_ptr: Tensor, t_row: Tensor, nodes: Tensor) -> Tensor:
    """Where the out-edges of some nodes end, once an edge."""
    first = t_ptr[nodes]
    return t_row[ranges(first, t_ptr[nodes + 1] - first)].long()
