"""The door of what treats each graph of a batch on its own: readouts and norms."""

from typing import Any

import torch
from torch import Tensor

from .graph import Graph


def segments(x: Any, graph: Any) -> Tensor:
    """Where the rows of x that belong to each graph begin, [B + 1].

    Raises:
        TypeError: an x that is no floating tensor, or a graph of another kind.
        ValueError: an x without one row per node.
    """
    if not isinstance(graph, Graph):
        raise TypeError(
            f"graph must be a Graph or a Batch, got {type(graph).__name__}: only they know which"
            " nodes are a graph"
        )
    if not isinstance(x, Tensor) or x.layout != torch.strided or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x must be a dense floating tensor, got {kind}")
    if x.dim() == 0 or x.shape[0] != graph.num_nodes:
        raise ValueError(
            f"x must have one row per node: graph has num_nodes={graph.num_nodes}, got x of shape"
            f" {tuple(x.shape)}"
        )
    return graph.graph_ptr


def check_features(x: Tensor, in_channels: int) -> None:
    """For modules with parameters per feature: x is [N, in_channels]."""
    if x.dim() != 2 or x.shape[1] != in_channels:
        raise ValueError(
            f"x must have shape [num_nodes, in_channels] with in_channels={in_channels}, got"
            f" {tuple(x.shape)}"
        )
