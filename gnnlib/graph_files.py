"""read_graphml and read_gml: graphs in the files of other programs, read by networkx."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from . import _csv
from ._columns import MASKS
from ._graphml import check_graphml
from ._save import GraphFileError
from ._table import Table, from_cells, missing
from .named_graph import NamedGraph, Roles, named_graph

_LIMIT = 2**30  # bytes of a file, unpacked: networkx needs some ten times as much


def read_graphml(
    path: str | os.PathLike,
    *,
    label: str | None = None,
    split: str | None = None,
    features: Sequence[str] | None = None,
    categories: Sequence[str] = (),
    edge_weight: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
) -> NamedGraph:
    """The graph of a GraphML file, plain or gzip, with attributes as features, classes and masks.

    Nodes are in the order of the file, and `ids` are their ids there: integers if all are, else
    texts. An undirected edge becomes two. A default that the file declares counts where the
    attribute is missing. What becomes of an attribute is what `Graph.from_pandas` makes of a
    column.

    Args:
        path: the file.
        label: the node attribute that becomes `y`; a node without it has -1.
        split: a node attribute that says train, val or test.
        features: the node attributes that become `x`; left out, all that every node has and that
            are numbers or bools.
        categories: those of them that are one-hot though they hold numbers.
        edge_weight: the edge attribute that becomes `edge_weight` [E].
        edge_attr: those that become `edge_attr` [E, D], by the rules of features.

    Returns:
        A `NamedGraph` (graph, ids, classes, features).

    Raises:
        OSError: the file cannot be read.
        GraphFileError: what is no GraphML, or more of it than networkx understands: a document
            type, several or nested graphs, hyperedges.
        ValueError: as `Graph.from_pandas`, with file and node or edge.
        TypeError: likewise.

    Example:
        >>> import networkx
        >>> path = getfixture("tmp_path") / "club.graphml"
        >>> networkx.write_graphml(networkx.karate_club_graph(), path)
        >>> graph, ids, classes, _ = read_graphml(path, label="club", edge_weight="weight")
        >>> graph
        Graph(num_nodes=34, num_edges=156, y=[34], edge_weight=[156])
        >>> classes.tolist()
        ['Mr. Hi', 'Officer']
    """
    path = Path(path)
    data = _contents(path)
    counts = check_graphml(data, path)
    import networkx

    graph = _parsed(path, "GraphML", lambda: networkx.read_graphml(io.BytesIO(data)))
    if (len(graph), graph.number_of_edges()) != counts:
        raise GraphFileError(
            f"{path} must be one plain graph: it has {counts[0]} nodes and {counts[1]} edges, of"
            f" which networkx makes {len(graph)} and {graph.number_of_edges()} (nested graphs,"
            " or edges that repeat an id)"
        )
    (ids,) = _csv.ids(list(graph))
    roles = Roles(label, split, features, categories, edge_weight, edge_attr, graph.is_directed())
    return _named(path, graph, ids, (), roles)


def read_gml(
    path: str | os.PathLike,
    *,
    node_id: str | None = None,
    label: str | None = None,
    split: str | None = None,
    features: Sequence[str] | None = None,
    categories: Sequence[str] = (),
    edge_weight: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
) -> NamedGraph:
    """The graph of a GML file, plain or gzip, with attributes as features, classes and masks.

    As `read_graphml`, of a file in UTF-8.

    Args:
        path: the file.
        node_id: the attribute that `ids` has; left out, the label of a node, or if the first node
            has none its id.
        label: the node attribute that becomes `y`; a node without it has -1.
        split: a node attribute that says train, val or test.
        features: the node attributes that become `x`; left out, all that every node has and that
            are numbers.
        categories: those of them that are one-hot though they hold numbers.
        edge_weight: the edge attribute that becomes `edge_weight` [E].
        edge_attr: those that become `edge_attr` [E, D], by the rules of features.

    Returns:
        A `NamedGraph` (graph, ids, classes, features).

    Raises:
        OSError: the file cannot be read.
        GraphFileError: what is no GML, or not as networkx reads it: an edge that is listed again
            without `multigraph 1`, a node without its id.
        ValueError: as `Graph.from_pandas`, with file and node or edge.
        TypeError: likewise.

    Example:
        >>> path = getfixture("tmp_path") / "trains.gml"
        >>> _ = path.write_text('''graph [
        ...   node [ id 7 label "Riga" people 605 ]
        ...   node [ id 9 label "Tartu" people 97 ]
        ...   edge [ source 7 target 9 ]
        ... ]''')
        >>> read = read_gml(path)
        >>> read.graph, read.ids.tolist(), read.features
        (Graph(num_nodes=2, num_edges=2, x=[2, 1]), ['Riga', 'Tartu'], ('people',))
    """
    path = Path(path)
    try:
        text = _contents(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise GraphFileError(f"{path} is no UTF-8: {error.reason} at byte {error.start}") from None
    import networkx

    def parse() -> Any:  # lines, because networkx would split a text at other characters too
        return networkx.parse_gml(text.replace("\r", "").split("\n"), label="id")

    graph = _parsed(path, "GML", parse)
    nodes = list(graph.nodes(data=True))
    if node_id is None:
        node_id = "label" if nodes and "label" in nodes[0][1] else "id"
    names = [node if node_id == "id" else attributes.get(node_id) for node, attributes in nodes]
    ids = from_cells(names, f"{node_id!r} of the nodes of {path}")
    roles = Roles(label, split, features, categories, edge_weight, edge_attr, graph.is_directed())
    return _named(path, graph, ids, (node_id, "label"), roles)


def _contents(path: Path) -> bytes:
    """The bytes of a file, unpacked if they are gzip."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=file) if packed else file).read(_LIMIT + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise GraphFileError(f"{path} is damaged: {error}") from None
    if len(data) > _LIMIT:
        raise GraphFileError(
            f"{path} has more than {_LIMIT} bytes; read_csv takes tables of any size"
        )
    return data


def _parsed(path: Path, form: str, parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except Exception as error:  # what is damaged makes networkx stumble in a dozen ways
        said = str(error) or type(error).__name__
        raise GraphFileError(f"{path} is no {form} that networkx can read: {said}") from None


def _named(
    path: Path, graph: Any, ids: np.ndarray, not_features: Sequence[str], roles: Roles
) -> NamedGraph:
    """The graph of a networkx graph, whose nodes have these ids."""
    edges = list(graph.edges(data=True))
    number = {node: k for k, node in enumerate(graph)}
    ends = [[number[edge[side]] for edge in edges] for side in (0, 1)]
    nodes = _table(
        path,
        [attributes for _, attributes in graph.nodes(data=True)],
        graph.graph.get("node_default", {}),
        lambda row: f"node {ids.tolist()[row]!r}",
    )
    table = _table(
        path,
        [attributes for *_, attributes in edges],
        graph.graph.get("edge_default", {}),
        lambda row: " → ".join(f"{ids.tolist()[end[row]]!r}" for end in ends),
    )
    if roles.features is None:
        taken = {roles.label, roles.split, *MASKS, *not_features}
        numeric = [name for name in nodes.columns if name not in taken and _is_numeric(nodes, name)]
        roles = replace(roles, features=numeric)
    sources, targets = (ids[end] for end in ends)
    return named_graph(table, (sources, targets), nodes, ids, roles)


def _table(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    where: Callable[[int], str],
) -> Table:
    columns = list(dict.fromkeys([*defaults, *chain.from_iterable(rows)]))

    def array(name: str) -> np.ndarray:
        default = defaults.get(name)
        return from_cells([row.get(name, default) for row in rows], f"{name!r} of {path}")

    return Table(str(path), columns, len(rows), where, array)


def _is_numeric(table: Table, name: Any) -> bool:
    """Whether every row has a number or a bool there."""
    try:
        values = table.array(name)
    except TypeError:  # a block, a list, or several kinds
        return False
    return values.dtype != object and not missing(values).any()
