"""The largest part of a graph that hangs together."""

from dataclasses import dataclass

from .._errors import unknown_choice
from .._structure import largest_components
from .._validate import as_size
from ..graph import Graph


@dataclass(frozen=True)
class LargestConnectedComponent:
    """Keeps the nodes of the largest connected components, and the edges between them.

    Nodes keep their order; all tensors are cut to size, as by `Graph.subgraph`. Of components of
    one size, the one with the smallest node number comes first.

    Args:
        num_components: how many of the largest are kept.
        connection: in a 'weak' component each node can be reached from each along edges taken in
            either direction, in a 'strong' one along their direction.

    Raises:
        ValueError: `num_components` is 0, another `connection`, or a Batch of several graphs.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 3, 4], [1, 4, 2]], y=[5, 6, 7, 8, 9])
        >>> LargestConnectedComponent()(graph).y
        tensor([7, 8, 9])
    """

    num_components: int = 1
    connection: str = "weak"

    def __post_init__(self) -> None:
        if as_size("num_components", self.num_components) == 0:
            raise ValueError("num_components must be 1 or more, got 0")
        if self.connection not in ("weak", "strong"):
            raise unknown_choice("connection", self.connection, ["weak", "strong"])

    def __call__(self, graph: Graph) -> Graph:
        if graph.num_graphs != 1:
            raise ValueError(
                "LargestConnectedComponent takes one graph at a time, got a batch of"
                f" {graph.num_graphs}"
            )
        return largest_components(graph, self.num_components, self.connection)
