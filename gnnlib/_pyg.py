"""Graphs from and to `torch_geometric.data.Data`; tensors are shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ._levels import level_of
from .features import SparseFeatures

if TYPE_CHECKING:
    from .graph import Graph


def from_pyg(data: Any, graph_level: Sequence[str]) -> dict[str, Any]:
    if type(data).__name__.endswith("Batch"):
        raise TypeError(
            "from_pyg takes one Data object, got a batch of them: use"
            " Batch.from_graphs([Graph.from_pyg(d) for d in data.to_data_list()])"
        )
    edge_index = getattr(data, "edge_index", None)
    if not isinstance(edge_index, Tensor):
        raise TypeError(
            f"from_pyg takes a Data object with an edge_index, got {type(data).__name__}"
        )
    num_nodes, num_edges = int(data.num_nodes), edge_index.shape[1]
    arguments: dict[str, Any] = {"edge_index": edge_index, "num_nodes": num_nodes}
    for key, value in data.to_dict().items():
        if key != "edge_index" and isinstance(value, Tensor):
            name, value = _placed(key, value, num_nodes, num_edges, key in graph_level)
            if name in arguments:
                raise ValueError(f"{key!r} would be named {name!r}, which the Data object has too")
            arguments[name] = value
    return arguments


def _placed(
    key: str, value: Tensor, num_nodes: int, num_edges: int, is_graph_level: bool
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
    return name, value if rows == 1 else value.unsqueeze(0)


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
