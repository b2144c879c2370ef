"""SparseFeatures from what the sources have: entries, and lists of columns."""

import numpy as np
import torch

from ..adjacency import Adjacency
from ..features import SparseFeatures


def from_entries(
    row: np.ndarray, col: np.ndarray, values: np.ndarray | None, num_rows: int, num_columns: int
) -> SparseFeatures:
    """The float32 matrix [num_rows, num_columns] with `values` (ones if None) at (row, col).

    An entry that stands there several times keeps its last value. The caller has checked that rows
    and columns are within the shape.

    Example:
        >>> from_entries(np.array([1, 0]), np.array([2, 0]), None, 2, 3).to_dense()
        tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """
    row, col = np.asarray(row, dtype=np.int64), np.asarray(col, dtype=np.int64)
    place = row * num_columns + col
    order = place.argsort(kind="stable")  # which takes no time where they are in order
    row, col, place = row[order], col[order], place[order]
    last = np.ones(len(row), dtype=bool)
    last[:-1] = np.diff(place) != 0
    if values is None:
        kept = np.ones(int(last.sum()), dtype=np.float32)
    else:
        kept = np.asarray(values, dtype=np.float32)[order][last]
    ptr = np.concatenate([[0], np.bincount(row[last], minlength=num_rows).cumsum()])
    structure = Adjacency(
        torch.from_numpy(ptr.astype(np.int32)),
        torch.from_numpy(col[last].astype(np.int32)),
        num_src=num_columns,
    )
    return SparseFeatures(structure, torch.from_numpy(kept))
