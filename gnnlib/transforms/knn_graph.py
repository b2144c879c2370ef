"""Edges between each node and the nodes nearest to it."""

from dataclasses import dataclass

import torch

from .._convert import to_numpy
from .._levels import level_of
from .._validate import as_size
from ..features import SparseFeatures
from ..graph import Graph


@dataclass(frozen=True)
class KNNGraph:
    """Joins each node to its k nearest: j → i if ‖p_i − p_j‖ is among the k smallest of i.

    p is `graph.pos` [N, D] if there is one, else `graph.x` [N, F], which may be sparse. The edges
    there were are replaced, and edge tensors, which belonged to them, are dropped; node and graph
    tensors stay. The edges of a node stand together, the nearest source first.

    Args:
        k: in-edges of each node.
        loop: let the node itself be one of its k.
        force_undirected: make each edge an edge in both directions, as `ToUndirected`.
        cosine: measure by 1 − cos(p_i, p_j) instead of by ‖p_i − p_j‖.

    Raises:
        ValueError: a graph with neither pos nor x, or with too few nodes to find k others; a Batch
            of several graphs; values that are not finite.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> points = Graph(torch.empty(2, 0).long(), pos=torch.tensor([[0.0], [1.0], [5.0]]))
        >>> KNNGraph(k=1)(points).edge_index.tolist()
        [[1, 0, 1], [0, 1, 2]]
    """

    k: int = 6
    loop: bool = False
    force_undirected: bool = False
    cosine: bool = False

    def __post_init__(self) -> None:
        if as_size("k", self.k) == 0:
            raise ValueError("k must be 1 or more, got 0")

    def __call__(self, graph: Graph) -> Graph:
        if graph.num_graphs != 1:
            raise ValueError(
                f"KNNGraph takes one graph at a time, got a batch of {graph.num_graphs}"
            )
        name = next((name for name in ("pos", "x") if name in graph), None)
        if name is None:
            raise ValueError("KNNGraph needs graph.pos or graph.x, and this graph has neither")
        others = self.k - self.loop
        if others >= graph.num_nodes:
            raise ValueError(
                f"k must be at most {graph.num_nodes - 1 + self.loop}: the graph has"
                f" num_nodes={graph.num_nodes}, got k={self.k}"
            )
        nodes = torch.arange(graph.num_nodes)[:, None]
        near = self._nearest(graph[name], name, others) if others else nodes[:, :0]
        sources = torch.cat([nodes, near], dim=1) if self.loop else near  # [N, k]
        edge_index = torch.stack([sources.flatten(), nodes.expand_as(sources).flatten()])
        kept = {key: value for key, value in graph.items() if level_of(key) != "edge"}
        made = Graph(edge_index.to(graph.device), num_nodes=graph.num_nodes, **kept)
        return made.to_undirected() if self.force_undirected else made

    def _nearest(self, points: torch.Tensor | SparseFeatures, name: str, k: int) -> torch.Tensor:
        """The k nearest other nodes of each, [N, k], the nearest first."""
        from sklearn.neighbors import NearestNeighbors

        values = points.values if isinstance(points, SparseFeatures) else points
        if values.is_floating_point() and not values.isfinite().all():
            raise ValueError(f"{name} must be finite to find neighbours by it")
        sparse = isinstance(points, SparseFeatures)
        rows = points.to_scipy() if sparse else to_numpy(points.flatten(1))
        search = NearestNeighbors(n_neighbors=k, metric="cosine" if self.cosine else "euclidean")
        return torch.from_numpy(search.fit(rows).kneighbors(return_distance=False)).long()
