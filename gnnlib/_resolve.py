"""The one door of every conv: what the user may pass becomes an Adjacency and checked tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from ._convert import is_scipy_sparse
from ._memo import is_tracing, memo_of_tensor
from .adjacency import Adjacency
from .features import SparseFeatures
from .graph import Graph

ABSENT: Any = object()
"""Stands for an edge tensor that a conv has no parameter for."""

# An edge_index tensor has no place of its own for what is built from it. Kept until the tensor
# dies, and good as long as nobody writes into it.
_adjacencies = WeakIdKeyDictionary()


def resolve(
    graph: Graph | Adjacency | Tensor,
    x: Any,
    edge_weight: Tensor | None = ABSENT,
    edge_attr: Tensor | None = ABSENT,
) -> tuple[Adjacency, Tensor | None, Tensor | None]:
    """The adjacency, edge weights and edge features that a conv was called with.

    Args:
        graph: a Graph, an Adjacency, or an edge_index tensor [2, E] over the rows of x.
        x: the node features, [num_src, …], or the pair (x_src, x_dst) of a rectangular adjacency.
        edge_weight: [E] in the user's order; None takes the Graph's; left out: the conv has none.
        edge_attr: [E, D] likewise.

    Raises:
        TypeError: a graph of another kind.
        ValueError: tensors whose rows do not fit the graph.
    """
    source, target = x if isinstance(x, tuple) else (x, None)
    adj = as_adjacency(graph, source, source if target is None else target)
    if isinstance(graph, Graph):
        if edge_weight is None and "edge_weight" in graph:
            edge_weight = graph["edge_weight"]
        if edge_attr is None and "edge_attr" in graph:
            edge_attr = graph["edge_attr"]
    _check_rows(adj, source, target, isinstance(x, tuple))
    weight = None if edge_weight is ABSENT else edge_weight
    attr = None if edge_attr is ABSENT else edge_attr
    if weight is not None:
        weight = _check_edges(adj, "edge_weight", weight)
        if weight.dim() == 2 and weight.shape[1] == 1:
            weight = weight.squeeze(1)
        if weight.dim() != 1:
            raise ValueError(
                f"edge_weight must have shape [num_edges] = ({adj.num_edges},), got"
                f" {tuple(weight.shape)}"
            )
        weight = _float_like(weight, source)
    if attr is not None:
        attr = _check_edges(adj, "edge_attr", attr)
        attr = _float_like(attr.unsqueeze(-1) if attr.dim() == 1 else attr, source)
    return adj, weight, attr


def as_adjacency(graph: Graph | Adjacency | Tensor, source: Any, target: Any) -> Adjacency:
    """The adjacency of a graph; an edge_index tensor is one over the rows of source and target."""
    if isinstance(graph, Graph):
        return graph.adj
    if isinstance(graph, Adjacency):
        return graph
    if isinstance(graph, Tensor):
        return _from_edge_index(graph, source.shape[0], target.shape[0])
    raise TypeError(
        "graph must be a Graph, an Adjacency or an edge_index tensor, got"
        f" {type(graph).__name__}; layers are called layer(x, graph, …)"
    )


def as_features(x: Any, pair: bool = False) -> Any:
    """x as a Tensor or SparseFeatures: scipy and torch sparse matrices are converted.

    Where `pair` is True, x may be (x_src, x_dst) of a rectangular adjacency; x_dst may be None.
    """
    if isinstance(x, tuple) and pair and len(x) == 2 and x[0] is not None:
        return as_features(x[0]), None if x[1] is None else as_features(x[1])
    if isinstance(x, tuple):
        rule = "a pair (x_src, x_dst), x_dst a tensor or None" if pair else "one tensor"
        kinds = ", ".join(type(part).__name__ for part in x)
        raise TypeError(f"x must be {rule}, got a tuple of ({kinds})")
    if isinstance(x, SparseFeatures):
        return x
    if isinstance(x, Tensor):
        if x.layout != torch.strided:
            return SparseFeatures.from_torch(x)
        if x.dim() < 2:
            raise ValueError(f"x must have shape [num_nodes, num_features], got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise TypeError(f"x must be a floating tensor, got {x.dtype}: use x.float()")
        return x
    if is_scipy_sparse(x):
        return SparseFeatures.from_scipy(x)
    raise TypeError(
        f"x must be a tensor, SparseFeatures or a scipy sparse matrix, got {type(x).__name__};"
        " convs are called conv(x, graph, …)"
    )


def check_matrices(x: Any) -> None:
    """The door of layers that take rows of numbers alone: x, or both of a pair, as [N, F]."""
    for part in x if isinstance(x, tuple) else (x,):
        if part is not None and len(part.shape) != 2:
            raise ValueError(
                f"x must have shape [num_nodes, num_features], got {tuple(part.shape)}"
            )


def _from_edge_index(edge_index: Tensor, num_src: int, num_dst: int) -> Adjacency:
    sizes = (
        {"num_nodes": num_src} if num_src == num_dst else {"num_src": num_src, "num_dst": num_dst}
    )
    if is_tracing():
        sizes = {"num_src": num_src, "num_dst": num_dst}
    return memo_of_tensor(
        _adjacencies,
        edge_index,
        (num_src, num_dst),
        lambda: Adjacency.from_edge_index(edge_index, **sizes),
    )


def _check_rows(adj: Adjacency, source: Any, target: Any, pair: bool) -> None:
    if target is None and adj.num_src == adj.num_dst:
        if source.shape[0] != adj.num_dst:
            raise ValueError(
                f"x must have one row per node: graph has num_nodes={adj.num_dst}, got x of shape"
                f" {tuple(source.shape)}"
            )
        return
    if not pair:
        raise ValueError(
            f"x must be a pair (x_src, x_dst) where the graph has num_src={adj.num_src} and"
            f" num_dst={adj.num_dst}, got one of shape {tuple(source.shape)}"
        )
    for name, part, size in (("x[0]", source, adj.num_src), ("x[1]", target, adj.num_dst)):
        if part is not None and part.shape[0] != size:
            side = "source" if name == "x[0]" else "destination"
            raise ValueError(
                f"{name} must have one row per {side} node: graph has {size}, got {name} of shape"
                f" {tuple(part.shape)}"
            )


def _check_edges(adj: Adjacency, name: str, value: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.dim() == 0 or value.shape[0] != adj.num_edges:
        raise ValueError(
            f"{name} must have one row per edge: graph has num_edges={adj.num_edges}, got {name} of"
            f" shape {tuple(value.shape)}"
        )
    return value


def _float_like(value: Tensor, x: Any) -> Tensor:
    return value if value.dtype == x.dtype else value.to(x.dtype)
