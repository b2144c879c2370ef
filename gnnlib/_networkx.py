"""Graphs from and to networkx; tensors become attributes of nodes and edges, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._levels import level_of
from .features import SparseFeatures

if TYPE_CHECKING:
    from .graph import Graph


def from_networkx(
    graph: Any, node_attrs: Sequence[str] | None, edge_attrs: Sequence[str] | None
) -> dict[str, Any]:
    if not (hasattr(graph, "is_directed") and hasattr(graph, "is_multigraph")):
        raise TypeError(f"expected a networkx graph, got {type(graph).__name__}")
    names = list(graph)
    number = {name: k for k, name in enumerate(names)}
    if all(type(name) is int for name in names) and set(names) == set(range(len(names))):
        names, number = range(len(names)), {name: name for name in names}

    edges = list(graph.edges(data=True))
    if not graph.is_directed():
        edges += [(j, i, attrs) for i, j, attrs in edges if i != j]
    pairs = [(number[i], number[j]) for i, j, _ in edges]
    edge_index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T.contiguous()

    tensors = _columns([graph.nodes[name] for name in names], node_attrs, "node")
    for key, value in _columns([attrs for *_, attrs in edges], edge_attrs, "edge").items():
        tensors[f"edge_{key}"] = value
    for key, value in graph.graph.items():
        if isinstance(key, str) and level_of(key) == "graph":
            tensors[key] = torch.as_tensor(value)
    return {"edge_index": edge_index, "num_nodes": len(names), **tensors}


def _columns(
    rows: Sequence[Mapping[Any, Any]], wanted: Sequence[str] | None, kind: str
) -> dict[str, Tensor]:
    """A tensor for each attribute: of those wanted, or of all that are numbers on every row."""
    if wanted is None:
        keys = [key for key in (rows[0] if rows else {}) if all(key in row for row in rows)]
        if kind == "edge" and any("weight" in row for row in rows) and "weight" not in keys:
            keys.append("weight")
        columns = {key: _column(rows, key) for key in keys if isinstance(key, str)}
        return {key: column for key, column in columns.items() if column is not None}
    columns = {}
    for key in wanted:
        missing = sum(key not in row for row in rows)
        if missing and not (kind == "edge" and key == "weight"):
            raise ValueError(
                f"{kind} attribute {key!r} is missing on {missing} of {len(rows)} {kind}s"
            )
        columns[key] = _column(rows, key)
        if columns[key] is None:
            raise TypeError(f"{kind} attribute {key!r} is not of numbers of one shape")
    return columns


def _column(rows: Sequence[Mapping[Any, Any]], key: str) -> Tensor | None:
    values = [row.get(key, 1.0) for row in rows]  # networkx takes a missing weight as 1
    try:
        if values and hasattr(values[0], "__array__"):  # tensors, numpy arrays and scalars
            values = [torch.as_tensor(value) for value in values]
            column = torch.stack(values)
        else:
            column = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        return None
    if key == "weight" and not column.dtype.is_floating_point:
        return column.to(torch.get_default_dtype())
    return column


def to_networkx(graph: Graph) -> Any:
    import networkx

    result = networkx.MultiDiGraph() if graph.has_repeated_edges() else networkx.DiGraph()
    result.add_nodes_from(zip(range(graph.num_nodes), _rows(graph, "node", graph.num_nodes)))
    sources, destinations = graph.edge_index.tolist()
    edges = zip(sources, destinations, _rows(graph, "edge", graph.num_edges))
    result.add_edges_from(edges)
    result.graph.update(
        {name: value.tolist() for name, value in graph.items() if level_of(name) == "graph"}
    )
    return result


def _rows(graph: Graph, level: str, count: int) -> list[dict[str, Any]]:
    """For each node or edge its attributes; edge_weight is called weight there."""
    columns = {
        name.removeprefix("edge_"): _as_list(value)
        for name, value in graph.items()
        if level_of(name) == level
    }
    return [{name: column[k] for name, column in columns.items()} for k in range(count)]


def _as_list(value: Tensor | SparseFeatures) -> list[Any]:
    return (value.to_dense() if isinstance(value, SparseFeatures) else value).tolist()
