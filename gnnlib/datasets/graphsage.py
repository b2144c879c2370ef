"""Graphs in the files of the GraphSAGE paper, which the user has: JSON, and features as npy."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..graph import Graph
from ._edges import distinct
from ._node_link import Json
from ._npz import features

_PARTS = ("val", "test")
_BITS = {"0", "1", "0.0", "1.0", "False", "True"}


def read_graphsage(folder: str | os.PathLike, prefix: str) -> Graph:
    """The graph in the files `<prefix>-G.json`, `-id_map.json`, `-class_map.json` and `-feats.npy`.

    So the GraphSAGE paper publishes its protein interactions (prefix "ppi": 24 tissues, 121 labels)
    and Reddit posts. They are not downloaded for you, because no checksum is published with them.
    Nothing in them is executed. `PPI` has the tissues as graphs of their own, in other files.

    `id_map` gives the row of each node. The graph has `x` [N, F] (float32, as published: not
    standardised) if there is `-feats.npy`, and `y`: [N, C] (float32) where `class_map` has a list
    of C zeros and ones for each node, [N] (int64) where it has a number. Nodes with the attribute
    "val" are in `val_mask`, with "test" in `test_mask`, the others in `train_mask`. A link joins
    two places in the list of nodes, as networkx 1 wrote it, and is an edge in both directions;
    repeated ones count once, self-loops are left out. As in the code of the paper, nodes that have
    not both attributes are left out: of their rows, there are no edges and no mask has them.

    Args:
        folder: where the files are.
        prefix: how their names begin.

    Raises:
        FileNotFoundError: a file but `-feats.npy` is missing.
        DatasetError: a file is not in this format, or the files contradict one another.

    Reference:
        Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs", NIPS
        2017.

    Example:
        >>> from gnnlib.datasets import read_graphsage
        >>> read_graphsage("ppi", "ppi")            # doctest: +SKIP
        Graph(num_nodes=56944, num_edges=..., x=[56944, 50], y=[56944, 121], train_mask=44906, ...)
    """
    start = Path(folder) / prefix

    def parsed(part: str) -> Json:
        file = start.with_name(f"{start.name}-{part}.json")
        return Json(file.name, file.read_bytes())

    graph, ids, classes = parsed("G"), parsed("id_map"), parsed("class_map")
    rows = _rows(ids)
    nodes = graph.objects("nodes")
    places = _places(graph, nodes, rows, ids.name)
    table = start.with_name(f"{start.name}-feats.npy")
    return Graph(
        _edges(graph, places, len(rows)),
        x=features(table.read_bytes(), table.name, len(rows)) if table.exists() else None,
        y=_labels(classes, rows),
        num_nodes=len(rows),
        **_masks(nodes, places, len(rows)),
    )


def _rows(ids: Json) -> dict[str, int]:
    """The row of each node, by its name."""
    rows = ids.content
    if not all(type(row) is int for row in rows.values()):
        ids.refuse("must hold a number for each node")
    if sorted(rows.values()) != list(range(len(rows))):
        ids.refuse(f"must number its {len(rows)} nodes from 0 to {len(rows) - 1}, each once")
    return rows


def _places(graph: Json, nodes: list[dict], rows: dict[str, int], source: str) -> np.ndarray:
    """The row of each node in the order of the list; -1 where it is left out."""
    places = []
    for place, node in enumerate(nodes):
        if not all(type(node.get(part)) is bool for part in _PARTS):
            places.append(-1)
            continue
        name = node.get("id")
        if str(name) not in rows:
            graph.refuse(f"node {place} must have an id of {source}, got {name!r}")
        if node["val"] and node["test"]:
            graph.refuse(f"node {place} must be of val or of test, not of both")
        places.append(rows[str(name)])
    known = [row for row in places if row >= 0]
    if len(set(known)) != len(known):
        graph.refuse("lists a node twice")
    return np.array(places, dtype=np.int64)


def _edges(graph: Json, places: np.ndarray, num_nodes: int) -> Tensor:
    source, destination = places[graph.links(len(places))].T
    kept = (source >= 0) & (destination >= 0)
    edges = distinct(source[kept], destination[kept], num_nodes, both_ways=True)
    return torch.from_numpy(edges)


def _masks(nodes: list[dict], places: np.ndarray, num_nodes: int) -> dict[str, Any]:
    masks = {
        f"{part}_mask": torch.zeros(num_nodes, dtype=torch.bool) for part in ("train", *_PARTS)
    }
    for node, row in zip(nodes, places.tolist()):
        if row >= 0:
            part = next((part for part in _PARTS if node[part]), "train")
            masks[f"{part}_mask"][row] = True
    return masks


def _labels(classes: Json, rows: dict[str, int]) -> Tensor:
    if missing := [name for name in rows if name not in classes.content]:
        classes.refuse(f"must have a class for the node {missing[0]!r}")
    labels = [classes.content[name] for name in sorted(rows, key=rows.__getitem__)]
    if labels and isinstance(labels[0], list):
        width = len(labels[0])
        for row in labels:
            if not isinstance(row, list) or len(row) != width or not set(map(repr, row)) <= _BITS:
                classes.refuse(f"must have a list of {width} zeros and ones for each node")
        return torch.tensor(labels, dtype=torch.float32).reshape(len(labels), width)
    if not all(type(label) is int and 0 <= label < 2**31 for label in labels):
        classes.refuse("must have a number from 0, or a list, for each node")
    return torch.tensor(labels, dtype=torch.int64)
