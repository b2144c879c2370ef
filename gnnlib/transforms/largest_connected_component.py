"""The largest part of a graph that hangs together."""

from dataclasses import dataclass

import torch

from .._errors import unknown_choice
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
        from scipy.sparse.csgraph import connected_components

        if graph.num_graphs != 1:
            raise ValueError(
                "LargestConnectedComponent takes one graph at a time, got a batch of"
                f" {graph.num_graphs}"
            )
        count, labels = connected_components(graph.adj.to_scipy(), connection=self.connection)
        if count <= self.num_components:
            return graph
        component = torch.from_numpy(labels).long()
        nodes = torch.arange(graph.num_nodes)
        first = nodes.new_full((count,), graph.num_nodes)
        first.scatter_reduce_(0, component, nodes, "amin")
        # By size, then by smallest node: no two ranks are equal.
        rank = torch.bincount(component, minlength=count) * graph.num_nodes - first
        kept = torch.zeros(count, dtype=torch.bool)
        kept[rank.topk(self.num_components).indices] = True
        return graph.subgraph(kept[component].to(graph.device))
