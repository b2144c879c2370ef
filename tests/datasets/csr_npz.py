"""Writes small files as shchur/gnn-benchmark has them."""

import io
from typing import Any

import numpy as np
import scipy.sparse as sp

NUM_NODES = 7
LABELS = np.array([0, 1, 2, 0, 1, 2, 0])
# Two components, {0, 1, 2, 3} and {4, 5}, and node 6 alone; (1, 0) and (0, 1) both, a loop.
EDGES = [(0, 1), (1, 0), (1, 2), (3, 1), (4, 5), (5, 5)]
X = np.random.default_rng(0).integers(0, 3, (NUM_NODES, 4)).astype(np.float32)


def members(**changed: Any) -> dict[str, Any]:
    """The arrays of a file, some of them others; None leaves one out."""
    src, dst = np.array(EDGES).T
    shape = (NUM_NODES, NUM_NODES)
    adjacency = sp.csr_array((np.ones(len(EDGES), dtype=np.float32), (src, dst)), shape)
    found: dict[str, Any] = {"labels": LABELS}
    for name, matrix in {"adj": adjacency, "attr": sp.csr_array(X)}.items():
        found[f"{name}_data"] = matrix.data
        found[f"{name}_indices"] = matrix.indices.astype(np.int32)
        found[f"{name}_indptr"] = matrix.indptr.astype(np.int32)
        found[f"{name}_shape"] = np.array(matrix.shape)
    found["class_names"] = np.array(["a", None], dtype=object)  # as Coauthor has them
    return {name: value for name, value in (found | changed).items() if value is not None}


def write(**changed: Any) -> bytes:
    np.savez_compressed(buffer := io.BytesIO(), **members(**changed))
    return buffer.getvalue()
