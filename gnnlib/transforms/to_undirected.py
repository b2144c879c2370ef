"""Every edge in both directions."""

from dataclasses import dataclass

from .._errors import chosen_reduce
from ..graph import Graph
from ..ops.scatter import REDUCES


@dataclass(frozen=True)
class ToUndirected:
    """Makes each edge i → j also an edge j → i, then merges repeated edges: `Graph.to_undirected`.

    With `reduce="sum"` an `edge_weight` becomes that of A + Aᵀ, but self-loops count once.

    Args:
        reduce: 'sum', 'mean', 'max', 'min' or 'mul' of the edge tensors of edges that are merged.

    Raises:
        ValueError: another `reduce`.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 1], [1, 0, 2]], edge_weight=torch.tensor([1.0, 2.0, 5.0]))
        >>> ToUndirected()(graph).to_dense()
        tensor([[0., 3., 0.],
                [3., 0., 5.],
                [0., 5., 0.]])
    """

    reduce: str = "sum"

    def __post_init__(self) -> None:
        chosen_reduce("reduce", self.reduce, REDUCES)

    def __call__(self, graph: Graph) -> Graph:
        return graph.to_undirected(self.reduce)
