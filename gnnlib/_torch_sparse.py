"""Graphs from and to `torch_sparse.SparseTensor`, PyG's sparse matrix before torch had one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ._convert import as_weight

if TYPE_CHECKING:
    from .graph import Graph


def is_sparse_tensor(value: Any) -> bool:
    return type(value).__name__ == "SparseTensor" and hasattr(value, "sparse_sizes")


def from_sparse_tensor(matrix: Any, transpose: bool) -> dict[str, Any]:
    if not is_sparse_tensor(matrix):
        raise TypeError(f"expected a torch_sparse.SparseTensor, got {type(matrix).__name__}")
    sizes = matrix.sparse_sizes()
    if sizes[0] != sizes[1]:
        raise ValueError(f"an adjacency matrix must be square, got shape {tuple(sizes)}")
    row, col, value = matrix.coo()
    edge_index = torch.stack([col, row] if transpose else [row, col])
    arguments: dict[str, Any] = {"edge_index": edge_index, "num_nodes": int(sizes[0])}
    if value is None:
        return arguments
    if value.dim() > 1:
        return {**arguments, "edge_attr": value}
    return {**arguments, "edge_weight": as_weight(value)}


def to_sparse_tensor(graph: Graph, transpose: bool) -> Any:
    try:
        from torch_sparse import SparseTensor  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("to_sparse_tensor needs torch_sparse: pip install torch_sparse") from None
    source, destination = graph.edge_index
    row, col = (destination, source) if transpose else (source, destination)
    value = next((graph[name] for name in ("edge_weight", "edge_attr") if name in graph), None)
    sizes = (graph.num_nodes, graph.num_nodes)
    return SparseTensor(row=row, col=col, value=value, sparse_sizes=sizes)
