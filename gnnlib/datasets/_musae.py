"""The files of MUSAE and FEATHER: edges as CSV, lists of features as JSON, labels as CSV."""

import json
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from ..features import SparseFeatures
from ..graph import Graph
from ._edges import distinct
from ._errors import DatasetError
from ._sparse import from_entries
from ._text import as_number, numbers, shown, table

MUSAE = (
    "https://raw.githubusercontent.com/benedekrozemberczki/MUSAE/"
    "5f901232957b6c9985d750aac48cda39a4b24285/input"
)
MUSAE_LICENCE = (
    "GPL-3.0, by the LICENSE of github.com/benedekrozemberczki/MUSAE, which does not name the data"
)
MUSAE_CITATION = (
    "B. Rozemberczki, C. Allen, R. Sarkar. Multi-scale attributed node embedding. "
    "Journal of Complex Networks 9(2), 2021."
)


@dataclass(frozen=True)
class Form:
    """In what the datasets that come in these files differ.

    Attributes:
        edges: the header of the edge list.
        labels: the header of the table of labels.
        node, label: its columns with the id of a node and with its class.
        classes: what may stand in column `label`, class 0 first.
        num_features: columns of x. The lists of features need not mention each of them.
    """

    edges: str
    labels: str
    node: str
    label: str
    classes: tuple[str, ...]
    num_features: int


def parse(files: dict[str, bytes], form: Form, raw_edges: bool = False) -> Graph:
    """The graph in the bytes of three files by their names: edges, features, labels.

    Nodes are numbered from 0 in all of them, in any order; each pair of nodes is listed once.

    Raises:
        DatasetError: a file is not in this format, or the files contradict one another.
    """
    edges, features, labels = files.items()
    y = _labels(*labels, form)
    return Graph(
        torch.from_numpy(_edges(*edges, form, len(y), raw_edges)),
        x=_features(*features, form, len(y)),
        y=torch.from_numpy(y),
        num_nodes=len(y),
    )


def _labels(source: str, data: bytes, form: Form) -> np.ndarray:
    rows = list(table(data, source, form.labels))
    columns = form.labels.split(",")
    node_column, label_column = columns.index(form.node), columns.index(form.label)
    number_of = {text: number for number, text in enumerate(form.classes)}
    y = np.full(len(rows), -1, dtype=np.int64)
    for line, row in rows:
        node, label = as_number(row[node_column]), row[label_column]
        if not 0 <= node < len(y) or y[node] >= 0:
            raise DatasetError(
                f"{source} line {line}: {form.node} must be in [0, {len(y)}), each once, "
                f"got {shown(row[node_column])}"
            )
        if label not in number_of:
            raise DatasetError(
                f"{source} line {line}: {form.label} must be one of "
                f"{', '.join(form.classes)}, got {shown(label)}"
            )
        y[node] = number_of[label]
    return y


def _edges(source: str, data: bytes, form: Form, num_nodes: int, raw_edges: bool) -> np.ndarray:
    header, _, body = data.partition(b"\n")
    if header.rstrip(b"\r") != form.edges.encode():
        raise DatasetError(f"{source} line 1 must be {form.edges!r}, got {shown(header)}")
    ends = numbers(body, source, (num_nodes, num_nodes), separator=b",", first_line=2)
    src, dst = np.ascontiguousarray(ends.T)
    return np.stack([src, dst]) if raw_edges else distinct(src, dst, num_nodes, both_ways=True)


def _features(source: str, data: bytes, form: Form, num_nodes: int) -> SparseFeatures:
    """A 1 in row i and each column that the list of node i mentions, however often."""
    try:
        lists = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{source} is no JSON: {error}") from None
    if not isinstance(lists, dict) or not all(type(item) is list for item in lists.values()):
        raise DatasetError(f"{source} must hold a list of features for each node")
    nodes = np.array([as_number(key) for key in lists], dtype=np.int64)
    if not np.array_equal(np.sort(nodes), np.arange(num_nodes)):
        wrong = [key for key in lists if not 0 <= as_number(key) < num_nodes]
        raise DatasetError(
            f"{source} must hold one list for each node in [0, {num_nodes}), "
            f"got {len(lists)} lists" + (f", one of them for {shown(wrong[0])}" if wrong else "")
        )
    for node, columns in lists.items():
        if not all(type(column) is int and 0 <= column < form.num_features for column in columns):
            raise DatasetError(
                f"{source} must list features in [0, {form.num_features}), "
                f"got {shown(str(columns))} for node {node}"
            )
    lengths = np.array([len(columns) for columns in lists.values()], dtype=np.int64)
    row = np.repeat(nodes, lengths)
    col = np.fromiter(chain.from_iterable(lists.values()), dtype=np.int64, count=len(row))
    return from_entries(row, col, None, num_nodes, form.num_features)
