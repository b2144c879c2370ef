"""Tables of pandas. Who has a DataFrame has pandas: nothing is imported here."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ._table import Table, from_cells
from .named_graph import NamedGraph, Roles, named_graph


def from_pandas(
    edges: Any,
    nodes: Any,
    source: Hashable,
    target: Hashable,
    node_id: Hashable | None,
    roles: Roles,
) -> NamedGraph:
    edge_table = _table("edges", edges)
    ends = edge_table.column(source, "source"), edge_table.column(target, "target")
    if nodes is None:
        return named_graph(edge_table, ends, None, None, roles)
    table = _table("nodes", nodes)
    if node_id is None or (node_id not in table.columns and node_id == nodes.index.name):
        ids = _array(nodes.index.to_series(), "the index of nodes")
    elif node_id == "id" and "id" not in table.columns:
        there = ", ".join(map(repr, table.columns)) or "none"
        raise ValueError(
            "nodes must have a column 'id'; node_id= names another one, and node_id=None takes the"
            f" frame's index. Its columns are {there}"
        )
    else:
        ids = table.column(node_id, "node_id")
    others = [name for name in table.columns if name != node_id]
    return named_graph(edge_table, ends, table._replace(columns=others), ids, roles)


def _table(name: str, frame: Any) -> Table:
    kinds = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(frame).__mro__]
    if ("pandas", "DataFrame") not in kinds:
        raise TypeError(f"{name} must be a pandas DataFrame, got {type(frame).__name__}")
    columns = list(frame.columns)
    repeated = [column for k, column in enumerate(columns) if column in columns[:k]]
    if repeated:
        raise ValueError(f"{name} must have each column once, got {repeated[0]!r} again")

    def where(row: int) -> str:
        label = frame.index[row]
        return f"row {row}" if str(label) == str(row) else f"row {row} (index {label!r})"

    return Table(
        name,
        columns,
        len(frame),
        where,
        lambda column: _array(frame[column], f"column {column!r} of {name}"),
        frozenset(column for column in columns if frame[column].dtype.name == "category"),
    )


def _array(series: Any, what: str) -> np.ndarray:
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy()
    absent = series.isna().to_numpy()
    cells = series.astype(object).to_numpy()
    return from_cells([None if none else cell for none, cell in zip(absent, cells)], what)
