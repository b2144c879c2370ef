"""A self-loop on each node."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import ops
from .._errors import chosen_reduce
from ..graph import Graph
from ..ops.scatter import REDUCES


@dataclass(frozen=True)
class AddSelfLoops:
    """Adds a self-loop to each node that has none: A + I without loops, see `Graph.add_self_loops`.

    A node that has loops keeps them (PyG adds another). The new edges come last, in node order;
    edge tensors other than `attr` are 1 there.

    Args:
        attr: the edge tensor that `fill_value` is for; without edge weights the default does
            nothing.
        fill_value: its value on the new edges: a number, a tensor that broadcasts to one row, or
            'sum', 'mean', 'max', 'min' or 'mul' of the values on the edges into the node (0
            without any, 1 for 'mul').

    Raises:
        ValueError: another `fill_value`, or a graph without the tensor `attr`.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 2], [1, 1]], edge_weight=torch.tensor([1.0, 3.0]))
        >>> AddSelfLoops(fill_value="mean")(graph).edge_weight
        tensor([1., 3., 0., 2., 0.])
    """

    attr: str = "edge_weight"
    fill_value: float | Tensor | str = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.fill_value, str):
            chosen_reduce("fill_value", self.fill_value, REDUCES)

    def __call__(self, graph: Graph) -> Graph:
        if self.attr not in graph:
            if self.attr != "edge_weight":
                raise ValueError(
                    f"AddSelfLoops needs graph.{self.attr}, which this graph does not have"
                )
            return graph.add_self_loops()
        fill = self.fill_value
        return graph.add_self_loops(
            {self.attr: self._reduced(graph, fill) if isinstance(fill, str) else fill}
        )

    def _reduced(self, graph: Graph, reduce: str) -> Tensor:
        """For each node without a loop, in node order, the values on its in-edges as one."""
        adj, values = graph.adj, graph[self.attr]
        floating = values if values.is_floating_point() else values.to(torch.get_default_dtype())
        reduced = ops.segment_reduce(
            adj.ptr, floating, eid=adj.eid, reduce=chosen_reduce("fill_value", reduce, REDUCES)
        )
        source, destination = graph.edge_index
        without = torch.ones(graph.num_nodes, dtype=torch.bool, device=graph.device)
        without[source[source == destination]] = False
        return reduced[without]
