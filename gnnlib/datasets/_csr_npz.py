"""The files of shchur/gnn-benchmark: two CSR matrices and the labels, as arrays of an .npz file."""

import numpy as np
import torch

from .._structure import largest_components
from ..graph import Graph
from ._edges import distinct
from ._errors import DatasetError
from ._npz import arrays
from ._sparse import from_entries

_PARTS = ("data", "indices", "indptr", "shape")
_NAMES = [*(f"adj_{part}" for part in _PARTS), *(f"attr_{part}" for part in _PARTS), "labels"]


def parse(
    files: dict[str, bytes], raw_edges: bool = False, largest_component: bool = False
) -> Graph:
    """The graph, without masks, in the bytes of a file of shchur/gnn-benchmark, the only one.

    The adjacency matrix and the features are CSR matrices, `labels` has one number a node.
    Coauthor's `class_names` is an array of objects, which is a pickle: it is not read.

    Raises:
        DatasetError: the file is not in this format, or its arrays contradict one another.
    """
    [(source, data)] = files.items()
    found = arrays(data, source, _NAMES)
    src, dst, (num_nodes, num_columns) = _entries(found, "adj", source)
    row, col, (num_rows, num_features) = _entries(found, "attr", source)
    if not num_nodes == num_columns == num_rows == len(found["labels"]):
        raise DatasetError(
            f"{source}: adj_shape, attr_shape and labels must have one number of nodes, got"
            f" {num_nodes} x {num_columns}, {num_rows} and {len(found['labels'])}"
        )
    edges = np.stack([src, dst]) if raw_edges else distinct(src, dst, num_nodes, both_ways=True)
    graph = Graph(
        torch.from_numpy(edges),
        x=from_entries(row, col, _values(found["attr_data"], source), num_nodes, num_features),
        y=torch.from_numpy(_labels(found["labels"], source)),
        num_nodes=num_nodes,
    )
    return largest_components(graph) if largest_component else graph


def _entries(
    found: dict[str, np.ndarray], matrix: str, source: str
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Row and column of each entry of a CSR matrix, and its shape."""
    data, indices, indptr, shape = (found[f"{matrix}_{part}"] for part in _PARTS)

    def check(holds, part: str, rule: str) -> None:
        if not holds:
            raise DatasetError(f"{source}: {matrix}_{part} must {rule}")

    for part in _PARTS:
        check(found[f"{matrix}_{part}"].ndim == 1, part, "be a vector")
    for part in _PARTS[1:]:
        check(found[f"{matrix}_{part}"].dtype.kind == "i", part, "hold integers")
    check(len(shape) == 2 and ((shape > 0) & (shape < 2**31)).all(), "shape", "be two sizes")
    num_rows, num_columns = shape.tolist()
    rule = f"rise from 0 to the {len(indices)} indices in {num_rows} steps"
    check(len(indptr) == num_rows + 1, "indptr", rule)
    check(indptr[0] == 0 and indptr[-1] == len(indices), "indptr", rule)
    check((indptr[1:] >= indptr[:-1]).all(), "indptr", rule)
    rule = f"be in [0, {num_columns})"
    check(((indices >= 0) & (indices < num_columns)).all(), "indices", rule)
    check(len(data) == len(indices), "data", f"have a value for each of {len(indices)} indices")
    return np.repeat(np.arange(num_rows), np.diff(indptr)), indices, (num_rows, num_columns)


def _values(data: np.ndarray, source: str) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        values = data.astype(np.float32)
    if not np.isfinite(values).all():
        raise DatasetError(f"{source}: attr_data must hold finite float32 numbers")
    return values


def _labels(labels: np.ndarray, source: str) -> np.ndarray:
    if labels.ndim != 1 or labels.dtype.kind != "i":
        raise DatasetError(f"{source}: labels must be a vector of integers")
    if labels.min() < 0 or labels.max() >= len(labels):
        raise DatasetError(f"{source}: labels must be classes, numbered from 0")
    return labels.astype(np.int64)
