"""How far information can travel in a graph without cycles."""

from torch import Tensor

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
    return adj.memo("longest_path", lambda: _count_layers(adj))


def _count_layers(adj: Adjacency) -> int | None:
    """Take away the nodes without in-edges, and their edges, until nothing is left to take away."""
    t_ptr, t_row, _ = adj.transpose()
    open_edges = adj.ptr.diff().long()  # in-edges of nodes that are still there
    nodes = (open_edges == 0).nonzero().flatten()
    taken = layers = 0
    while nodes.shape[0]:
        taken += nodes.shape[0]
        layers += 1
        reached, times = _destinations(t_ptr, t_row, nodes).unique(return_counts=True)
        open_edges[reached] -= times
        nodes = reached[open_edges[reached] == 0]
    return max(layers - 1, 0) if taken == adj.num_dst else None


def _destinations(t_ptr: Tensor, t_row: Tensor, nodes: Tensor) -> Tensor:
    """Where the out-edges of some nodes end, once an edge."""
    first = t_ptr[nodes]
    return t_row[ranges(first, t_ptr[nodes + 1] - first)].long()
