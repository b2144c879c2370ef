"""The level of a Graph's tensor by its name, and the checks that go with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._convert import is_scipy_sparse
from .features import SparseFeatures


def level_of(name: str) -> str:
    """'edge' for edge_*, 'graph' for graph_*, 'node' for everything else."""
    if name.startswith("edge_"):
        return "edge"
    return "graph" if name.startswith("graph_") else "node"


def check_name(name: str, owner: type) -> None:
    if not name.isidentifier() or name.startswith("_"):
        raise ValueError(
            f"a tensor needs a name that Python can write graph.name with, got {name!r}"
        )
    if hasattr(owner, name):
        raise ValueError(
            f"{name!r} is already something a {owner.__name__} has: choose another name"
        )


def as_tensor(name: str, value: Any) -> Tensor | SparseFeatures:
    """`value` as a tensor; scipy and torch sparse matrices as SparseFeatures, arrays converted."""
    if isinstance(value, SparseFeatures):
        return value
    if is_scipy_sparse(value):
        return SparseFeatures.from_scipy(value)
    if isinstance(value, Tensor):
        return value if value.layout == torch.strided else SparseFeatures.from_torch(value)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}") from None


def check_tensor(
    name: str,
    value: Tensor | SparseFeatures,
    rows: dict[str, int],
    device: torch.device,
) -> None:
    """One row per node, edge or graph, as the name says; the device of the edges.

    `rows` holds the number of rows of each level.
    """
    level, shape = level_of(name), tuple(value.shape)
    if name == "x" and len(shape) < 2:
        hint = "; x.unsqueeze(1) makes it one feature per node" if len(shape) == 1 else ""
        raise ValueError(f"x must have shape [num_nodes, num_features], got {shape}{hint}")
    if name == "edge_weight" and len(shape) != 1:
        raise ValueError(
            f"edge_weight must have shape [num_edges]: graph has num_edges={rows['edge']}, got"
            f" edge_weight of shape {shape}; edge_attr takes more numbers per edge"
        )
    if not shape or shape[0] != rows[level]:
        raise ValueError(
            f"{name} must have one row per {level}: graph has num_{level}s={rows[level]}, got"
            f" {name} of shape {shape}"
        )
    if level != "node" and isinstance(value, SparseFeatures):
        raise TypeError(f"{name} must be a dense tensor: only node features may be sparse")
    if value.device != device:
        raise ValueError(
            f"{name} must be on the device of edge_index: {device}, got {name} on {value.device}"
        )
