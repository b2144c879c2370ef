"""Graphs from and to DGL's DGLGraph of one kind of node and edge; tensors are shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._levels import level_of
from .features import SparseFeatures

if TYPE_CHECKING:
    from .graph import Graph

# What DGL's own datasets and examples call things.
_NODE_NAMES = {"feat": "x", "label": "y", "_ID": "id", "_TYPE": "type"}
_EDGE_NAMES = {
    "feat": "edge_attr",
    "weight": "edge_weight",
    "_ID": "edge_id",
    "_TYPE": "edge_type",
}


def from_dgl(graph: Any) -> dict[str, Any]:
    """Arguments of Graph, or of Batch if `graph` is a batch."""
    if not (hasattr(graph, "canonical_etypes") and hasattr(graph, "ndata")):
        raise TypeError(f"expected a DGLGraph, got {type(graph).__name__}")
    kinds = [kind for kind in graph.canonical_etypes if kind[0] != kind[2]]
    if len(graph.canonical_etypes) != 1 or kinds or graph.is_block:
        raise TypeError(
            "from_dgl takes a DGLGraph of one kind of node and one kind of edge, got"
            f" {graph.canonical_etypes}: dgl.to_homogeneous makes one"
        )
    source, destination = graph.edges(order="eid")
    arguments: dict[str, Any] = {
        "edge_index": torch.stack([source, destination]),
        "num_nodes": graph.num_nodes(),
    }
    if graph.batch_size != 1:
        counts = graph.batch_num_nodes().long()
        arguments["graph_ptr"] = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    arguments |= _renamed(graph.ndata, "node", "", _NODE_NAMES)
    return arguments | _renamed(graph.edata, "edge", "edge_", _EDGE_NAMES)


def _renamed(
    data: Mapping[str, Tensor], level: str, prefix: str, conventions: dict[str, str]
) -> dict[str, Tensor]:
    """Tensors by our names: with the prefix, or the usual name where that is free."""
    prefixed = {key: key if key.startswith(prefix) else prefix + key for key in data}
    result: dict[str, Tensor] = {}
    for key, value in data.items():
        usual = conventions.get(key, prefixed[key])
        name = prefixed[key] if usual in prefixed.values() else usual
        if level_of(name) != level or name == "edge_index":
            raise ValueError(
                f"{level} data cannot be named {key!r} in a Graph, which takes edge_* and graph_*"
                " for tensors of edges and graphs: rename it first"
            )
        if name in result:
            raise ValueError(f"{key!r} would be named {name!r}, which the DGLGraph has too")
        result[name] = value
    return result


def to_dgl(graph: Graph) -> Any:
    try:
        import dgl  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("to_dgl needs DGL: see www.dgl.ai for how to install it") from None

    result = dgl.graph((graph.edge_index[0], graph.edge_index[1]), num_nodes=graph.num_nodes)
    for name, value in graph.items():
        if level_of(name) == "node":
            result.ndata[name] = value.to_dense() if isinstance(value, SparseFeatures) else value
        elif level_of(name) == "edge":
            result.edata[name] = value
    if graph._graph_ptr is not None:
        of_edge = graph.batch[graph.edge_index[1]]
        if bool((of_edge.diff() < 0).any()):
            raise ValueError("to_dgl needs the edges of a Batch graph by graph, and these are not")
        result.set_batch_num_nodes(graph.graph_ptr.diff())
        result.set_batch_num_edges(torch.bincount(of_edge, minlength=graph.num_graphs))
    return result
