"""A graph of tables of nodes and edges, and the names that these have for what it numbers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import _columns
from ._table import Table, kind_of, missing

if TYPE_CHECKING:
    from .graph import Graph


class NamedGraph(NamedTuple):
    """A graph and the names that its nodes, classes and features have in the data.

    Attributes:
        graph: the graph.
        ids: of each node, [N]: int64, or texts.
        classes: the label of each class, [C]: `classes[graph.y]` are the labels; None without
            labels.
        features: of each column of x; a category is called `column=value`.
    """

    graph: Graph
    ids: np.ndarray
    classes: np.ndarray | None
    features: tuple[str, ...]


@dataclass(frozen=True)
class Roles:
    """Which column is what; the fields are the arguments of `Graph.from_pandas`."""

    label: Hashable | None
    split: Hashable | None
    features: Sequence[Hashable] | None
    categories: Sequence[Hashable]
    edge_weight: Hashable | None
    edge_attr: str | Sequence[Hashable] | None
    directed: bool


def named_graph(
    edges: Table,
    ends: tuple[np.ndarray, np.ndarray],
    nodes: Table | None,
    ids: np.ndarray | None,
    roles: Roles,
) -> NamedGraph:
    """The graph of two tables.

    Args:
        edges: a row for each edge.
        ends: the ids of sources and destinations, a column each.
        nodes: a row for each node, without the column of ids; None: the nodes are the ends.
        ids: the id of each node.
        roles: which column is what.
    """
    from .graph import Graph

    if edges.rows == 0:
        raise ValueError(f"{edges.name} must have edges, got no row")
    if nodes is not None and nodes.rows == 0:
        raise ValueError(f"{nodes.name} must have nodes, got no row")
    edge_index, known = _numbered(edges, ends, nodes, ids)
    reverse = None if roles.directed else (edge_index[0] != edge_index[1]).nonzero()[:, 0]
    if reverse is not None:
        edge_index = torch.cat([edge_index, edge_index[:, reverse].flip(0)], dim=1)
    tensors, labels, names = ({}, None, ()) if nodes is None else _of_nodes(nodes, roles)
    if nodes is None:
        _check_no_roles(edges, roles)
    for name, rows in _of_edges(edges, roles).items():
        tensors[name] = rows if reverse is None else torch.cat([rows, rows[reverse]])
    graph = Graph(edge_index, num_nodes=len(known), **tensors)
    return NamedGraph(graph, known, labels, names)


def _check_no_roles(edges: Table, roles: Roles) -> None:
    given = {name: getattr(roles, name) is not None for name in ("label", "split", "features")}
    for argument, is_given in {**given, "categories": len(roles.categories) > 0}.items():
        if is_given:
            raise ValueError(
                f"{argument} is about columns of nodes, and there is no table of nodes beside"
                f" {edges.name}"
            )


def _of_nodes(
    table: Table, roles: Roles
) -> tuple[dict[str, Tensor], np.ndarray | None, tuple[str, ...]]:
    """Features, classes and masks; the labels of the classes; the names of the features."""
    tensors: dict[str, Tensor] = {}
    masks = _columns.masks(table, roles.split)
    wanted = roles.features
    if wanted is None:
        taken = {roles.label, roles.split, *masks}
        wanted = [name for name in table.columns if name not in taken]
    elif isinstance(wanted, str):
        raise TypeError(f"features must be a list of columns, got the text {wanted!r}")
    if isinstance(roles.categories, str):
        raise TypeError(f"categories must be a list of columns, got {roles.categories!r}")
    for name in roles.categories:
        table.check(name, "categories")
    x, names = _columns.features(table, wanted, roles.categories, "features")
    if names:
        tensors["x"] = x
    labels = None
    if roles.label is not None:
        tensors["y"], labels = _columns.classes(table, roles.label)
        masks = {name: mask & (tensors["y"] >= 0) for name, mask in masks.items()}
    return {**tensors, **masks}, labels, names


def _of_edges(table: Table, roles: Roles) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    if roles.edge_weight is not None:
        tensors["edge_weight"] = _columns.weights(table, roles.edge_weight)
    if roles.edge_attr is not None:
        wanted = [roles.edge_attr] if isinstance(roles.edge_attr, str) else roles.edge_attr
        tensors["edge_attr"], _ = _columns.features(table, wanted, (), "edge_attr")
    return tensors


# ids ---------------------------------------------------------------------------------------------


def _numbered(
    edges: Table,
    ends: tuple[np.ndarray, np.ndarray],
    nodes: Table | None,
    ids: np.ndarray | None,
) -> tuple[Tensor, np.ndarray]:
    """Edges as node numbers, [2, E], and the id of each node: in the order of the rows of nodes, or
    sorted if there are none.
    """
    kinds = {}
    if nodes is not None and ids is not None:
        ids = _checked(nodes, ids, "id")
        kinds["id"] = ids.dtype
    pair = [_checked(edges, end, which) for end, which in zip(ends, ("source", "target"))]
    kinds |= {"source": pair[0].dtype, "target": pair[1].dtype}
    if len(set(kinds.values())) > 1:
        said = ", ".join(
            f"{'texts' if dtype.kind == 'O' else 'integers'} as {name}"
            for name, dtype in kinds.items()
        )
        raise TypeError(f"ids must all be integers or all be texts, got {said}")
    known = _sorted(pair) if ids is None else ids
    number = {name: k for k, name in enumerate(known.tolist())}
    if nodes is not None and len(number) < len(known):
        _refuse_repeated(nodes, known)
    index = np.empty((2, edges.rows), dtype=np.int64)
    for row, end, which in zip(index, pair, ("source", "target")):
        row[:] = [number.get(name, -1) for name in end.tolist()]
        if (row < 0).any():
            first = int((row < 0).argmax())
            assert nodes is not None
            raise ValueError(
                f"{edges.at(first)}: the {which} {end.tolist()[first]!r} is no id of {nodes.name},"
                f" which has {len(known)} of them; {int((row < 0).sum())} edges have such a {which}"
            )
    if known.dtype == object:
        known = np.array(known.tolist())
    return torch.from_numpy(index), known


def _sorted(pair: list[np.ndarray]) -> np.ndarray:
    if pair[0].dtype != object:
        return np.unique(np.concatenate(pair))
    names = sorted({name for end in pair for name in end})
    known = np.empty(len(names), dtype=object)
    known[:] = names
    return known


def _checked(table: Table, values: np.ndarray, what: str) -> np.ndarray:
    """A column of ids: int64, or an object array of texts."""
    if (absent := missing(values)).any():
        raise ValueError(f"{table.at(int(absent.argmax()))}: the {what} is missing")
    if values.dtype.kind in "iu" and values.max(initial=0) < 2**63:
        return values.astype(np.int64)
    if values.dtype == object and kind_of(values[0]) == "text":
        return values
    raise TypeError(
        f"ids must be texts or integers below 2**63, got the {what} {values.tolist()[0]!r} in"
        f" {table.at(0)}"
    )


def _refuse_repeated(nodes: Table, ids: np.ndarray) -> None:
    first: dict[object, int] = {}
    for row, name in enumerate(ids.tolist()):
        if (before := first.setdefault(name, row)) != row:
            raise ValueError(
                f"{nodes.at(row)}: the id {name!r} is repeated; {nodes.where(before)} has it too"
            )
