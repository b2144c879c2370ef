"""read_csv: a graph of a CSV file of edges and one of nodes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from . import _csv
from ._table import Table
from .named_graph import NamedGraph, Roles, named_graph


def read_csv(
    edges: str | os.PathLike,
    nodes: str | os.PathLike | None = None,
    *,
    source: str | None = None,
    target: str | None = None,
    node_id: str | None = None,
    label: str | None = None,
    split: str | None = None,
    features: Sequence[str] | None = None,
    categories: Sequence[str] = (),
    edge_weight: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
    directed: bool = True,
    separator: str | None = None,
) -> NamedGraph:
    """The graph of a CSV file with a line for each edge, and one with a line for each node.

    The files are UTF-8, plain or gzip, and their first line names the columns. Node k is the k-th
    line of `nodes`; edges are in the order of their lines. A cell that is empty, or says nan, is
    missing. Ids are integers if all of both files are, else texts.

    What becomes of a column is what `Graph.from_pandas` makes of it: numbers and true or false are
    a feature each, texts are one-hot, `train_mask`, `val_mask` and `test_mask` are masks.

    Args:
        edges: the file of edges.
        nodes: the file of nodes; left out, they are the ends of the edges, in sorted order.
        source, target: columns of `edges`; left out, they are called source and target, or else
            are the first two.
        node_id: a column of `nodes`; left out, the first.
        label: the column of `nodes` that becomes `y`; an empty cell is -1, a node without a label.
        split: a column of `nodes` that says train, val or test, or is empty.
        features: the columns of `nodes` that become `x`; left out, all others.
        categories: those of them that are one-hot though they hold numbers.
        edge_weight: the column of `edges` that becomes `edge_weight` [E].
        edge_attr: those that become `edge_attr` [E, D], by the rules of features.
        directed: an edge goes one way; False adds the reverse of each edge that is no self-loop.
        separator: a character between cells; left out, that of comma, semicolon and tab of which
            the first line has most.

    Returns:
        A `NamedGraph` (graph, ids, classes, features).

    Raises:
        OSError: a file cannot be read.
        GraphFileError: a file that is no CSV in UTF-8, or a line with another number of cells; the
            message has file, line and text.
        ValueError: as `Graph.from_pandas`, with file and line.
        TypeError: likewise.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> _ = (folder / "people.csv").write_text("name,age,job\\nann,31,smith\\nbob,44,cook\\n")
        >>> _ = (folder / "knows.csv").write_text("who,whom\\nbob,ann\\n")
        >>> read = read_csv(folder / "knows.csv", folder / "people.csv", label="job")
        >>> read.graph
        Graph(num_nodes=2, num_edges=1, x=[2, 1], y=[2])
        >>> read.ids.tolist(), read.classes.tolist(), read.graph.y.tolist()
        (['ann', 'bob'], ['cook', 'smith'], [1, 0])
    """
    if separator is not None and len(separator) != 1:
        raise ValueError(f"separator must be one character, got {separator!r}")
    edge_cells = _csv.read(Path(edges), separator)
    edge_table = _table(edge_cells)
    ends = [edge_cells.columns[name] for name in _ends(edge_table, source, target)]
    roles = Roles(label, split, features, categories, edge_weight, edge_attr, directed)
    if nodes is None:
        sources, targets = _csv.ids(*ends)
        return named_graph(edge_table, (sources, targets), None, None, roles)
    node_cells = _csv.read(Path(nodes), separator)
    table = _table(node_cells)
    if node_id is None:
        node_id = str(table.columns[0])
    table.check(node_id, "node_id")
    sources, targets, ids = _csv.ids(*ends, node_cells.columns[node_id])
    others = [name for name in table.columns if name != node_id]
    return named_graph(edge_table, (sources, targets), table._replace(columns=others), ids, roles)


def _table(cells: _csv.Cells) -> Table:
    def where(row: int) -> str:
        return f"line {cells.lines[row]}"

    return Table(str(cells.path), list(cells.columns), len(cells.lines), where, cells.values)


def _ends(table: Table, source: str | None, target: str | None) -> tuple[str, str]:
    if (source is None) != (target is None):
        raise ValueError(f"source and target go together, got {source!r} and {target!r}")
    if source is not None and target is not None:
        table.check(source, "source")
        table.check(target, "target")
        return source, target
    if {"source", "target"} <= set(table.columns):
        return "source", "target"
    first, *others = map(str, table.columns)
    if not others or not first:
        there = ", ".join(map(repr, table.columns))
        why = "its first column has no name" if others else "it has one column"
        raise ValueError(
            f"{table.name} must have the ends of an edge in its first two columns, but {why};"
            f" source= and target= name them; its columns are {there}"
        )
    return first, others[0]
