"""Graphs from and to `torch_geometric.data.Data`; tensors are shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._convert import from_torch_sparse
from ._levels import level_of
from ._torch_sparse import from_sparse_tensor, is_sparse_tensor
from .features import SparseFeatures

if TYPE_CHECKING:
    from .graph import Graph


def from_pyg(data: Any, graph_level: Sequence[str]) -> dict[str, Any]:
    """Arguments of Graph, or of Batch if `data` is what `to_pyg` makes of one."""
    if type(data).__name__.endswith("Batch"):
        raise TypeError(
            "from_pyg takes one Data object, got a batch of them: use"
            " Batch.from_graphs([Graph.from_pyg(d) for d in data.to_data_list()])"
        )
    if hasattr(data, "edge_types"):
        raise TypeError(
            "from_pyg takes a Data object of one kind of node and edge, got"
            f" {type(data).__name__}: data.to_homogeneous() makes one"
        )
    arguments, left = _structure(data)
    num_nodes, num_edges = arguments["num_nodes"], arguments["edge_index"].shape[1]
    num_graphs = 1
    if isinstance(left.get("batch"), Tensor) and isinstance(left.get("ptr"), Tensor):
        del left["batch"]  # a Batch turned into Data: ptr says the same
        arguments["graph_ptr"] = left.pop("ptr")
        num_graphs = len(arguments["graph_ptr"]) - 1
    for key, value in left.items():
        if (tensor := _as_tensor(value)) is None:
            continue
        # PyG joins tensors of an *index* or a *face* along their columns: no rows of nodes.
        across = tensor.dim() > 1 and data.__cat_dim__(key, tensor) not in (0, -tensor.dim())
        level = key in graph_level or (across and level_of(key) != "graph")
        name, tensor = _placed(key, tensor, num_nodes, num_edges, num_graphs, level)
        if name in arguments:
            raise ValueError(f"{key!r} would be named {name!r}, which the Data object has too")
        arguments[name] = tensor
    return arguments


def _structure(data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of Graph that are its structure, and what else the Data object holds."""
    left = data.to_dict() if hasattr(data, "to_dict") else {}
    edge_index, adj_t = left.pop("edge_index", None), left.pop("adj_t", None)
    left.pop("num_nodes", None)
    if isinstance(edge_index, Tensor):
        return {"edge_index": edge_index, "num_nodes": int(data.num_nodes)}, left
    if is_sparse_tensor(adj_t):
        arguments = from_sparse_tensor(adj_t, transpose=True)
    elif isinstance(adj_t, Tensor) and adj_t.layout != torch.strided:
        arguments = from_torch_sparse(adj_t)
        arguments["edge_index"] = arguments["edge_index"].flip(0)
    else:
        raise TypeError(
            f"from_pyg takes a Data object with an edge_index, got {type(data).__name__}"
        )
    return arguments, left


def _as_tensor(value: Any) -> Tensor | None:
    """A tensor of numbers; None if it is something else, such as a text."""
    if isinstance(value, Tensor):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _placed(
    key: str, value: Tensor, num_nodes: int, num_edges: int, num_graphs: int, is_graph_level: bool
) -> tuple[str, Tensor]:
    """The name, by our rule of levels, and the tensor."""
    rows = value.shape[0] if value.dim() else None
    if not is_graph_level:
        if rows == num_edges and level_of(key) == "edge":
            return key, value
        if rows == num_nodes and level_of(key) == "node":
            return key, value
        if rows == num_edges and level_of(key) == "node":
            return f"edge_{key}", value
    name = key if level_of(key) == "graph" else f"graph_{key}"
    return name, value if rows == num_graphs else value.unsqueeze(0)


def to_pyg(graph: Graph) -> Any:
    try:
        from torch_geometric.data import Data
    except ImportError:
        raise ImportError("to_pyg needs PyG: pip install torch_geometric") from None
    tensors = {
        name: value.to_torch() if isinstance(value, SparseFeatures) else value
        for name, value in graph.items()
    }
    data = Data(edge_index=graph.edge_index, num_nodes=graph.num_nodes, **tensors)
    if graph._graph_ptr is not None:
        data.batch, data.ptr = graph.batch, graph.graph_ptr
    return data
