"""Graphs and adjacencies from and to scipy, torch.sparse and dense matrices.

In every one A[i, j] ≠ 0 means an edge i → j. `from_*` functions return the arguments of Graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .adjacency import Adjacency

_BETA = "Sparse CS[RC] tensor support is in beta"  # torch says so once per process

# Adjacency to a matrix ---------------------------------------------------------------------------


def _edge_weight(adj: Adjacency, weight: Tensor | None) -> Tensor:
    if weight is None:
        return torch.ones(adj.num_edges, device=adj.device)
    if weight.shape != (adj.num_edges,):
        raise ValueError(
            f"weight must have shape [num_edges]: adjacency has num_edges={adj.num_edges}, got"
            f" {tuple(weight.shape)}"
        )
    return weight


def to_numpy(tensor: Tensor) -> Any:
    """A numpy array; dtypes that numpy lacks (bfloat16) come as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def adjacency_to_scipy(adj: Adjacency, weight: Tensor | None, transpose: bool) -> Any:
    from scipy.sparse import csr_array

    weight = _edge_weight(adj, weight)
    data = to_numpy(weight if adj.eid is None else weight[adj.eid.long()])
    arrays = (data, to_numpy(adj.col), to_numpy(adj.ptr))
    operator = csr_array(arrays, shape=(adj.num_dst, adj.num_src))
    return operator if transpose else operator.T.tocsr()


def adjacency_to_dense(adj: Adjacency, weight: Tensor | None) -> Tensor:
    weight = _edge_weight(adj, weight)
    source, destination = adj.edge_index
    zeros = weight.new_zeros(adj.num_src, adj.num_dst)
    return zeros.index_put((source, destination), weight, accumulate=True)


def adjacency_to_torch_sparse(
    adj: Adjacency, weight: Tensor | None, layout: torch.layout
) -> Tensor:
    if layout not in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc):
        raise ValueError(
            f"layout must be torch.sparse_coo, torch.sparse_csr or torch.sparse_csc, got {layout}"
        )
    shape, values = (adj.num_src, adj.num_dst), _edge_weight(adj, weight)
    coo = torch.sparse_coo_tensor(adj.edge_index, values, shape, check_invariants=False)
    return coo if layout == torch.sparse_coo else _compress(coo.coalesce(), layout)


def _compress(matrix: Tensor, layout: torch.layout) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_BETA)
        return matrix.to_sparse(layout=layout)


def csr_tensor(ptr: Tensor, col: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """A torch sparse CSR tensor over these arrays."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_BETA)
        return torch.sparse_csr_tensor(ptr, col, values, tuple(shape), check_invariants=False)


# A matrix to a graph -----------------------------------------------------------------------------


def _square(shape: Sequence[int]) -> int:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"an adjacency matrix must be square, got shape {tuple(shape)}")
    return shape[0]


def as_weight(values: Tensor) -> Tensor:
    """Edge weights multiply features, so integers and bools become floating."""
    return values if values.dtype.is_floating_point else values.to(torch.get_default_dtype())


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the array's memory, where that may be written to."""
    import numpy as np

    if array.dtype.kind not in "biuf":
        raise TypeError(f"values must be numbers, got dtype {array.dtype}")
    return torch.from_numpy(np.require(array, requirements="W"))


def is_scipy_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse")  # and scipy stays unimported


def from_scipy(matrix: Any) -> dict[str, Any]:
    import numpy as np

    if not is_scipy_sparse(matrix):
        raise TypeError(f"expected a scipy sparse matrix, got {type(matrix).__name__}")
    num_nodes = _square(matrix.shape)
    coo = matrix.tocoo()
    edge_index = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64, copy=False))
    weight = as_weight(from_numpy(coo.data))
    return {"edge_index": edge_index, "num_nodes": num_nodes, "edge_weight": weight}


def from_torch_sparse(matrix: Tensor) -> dict[str, Any]:
    if not isinstance(matrix, Tensor) or matrix.layout == torch.strided:
        kind = "a dense tensor" if isinstance(matrix, Tensor) else type(matrix).__name__
        raise TypeError(f"expected a torch sparse tensor, got {kind}")
    if matrix.layout == torch.sparse_coo:
        num_nodes = _square(matrix.shape[: matrix.sparse_dim()])
        done = matrix.is_coalesced()
        edge_index = matrix.indices() if done else matrix._indices()
        values = matrix.values() if done else matrix._values()
    else:
        num_nodes = _square(matrix.shape)
        edge_index, values = compressed_to_edges(matrix)
    if values.dim() > 1:
        return {"edge_index": edge_index, "num_nodes": num_nodes, "edge_attr": values}
    return {"edge_index": edge_index, "num_nodes": num_nodes, "edge_weight": as_weight(values)}


def compressed_to_edges(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column ids [2, nnz] and values [nnz] of a torch CSR or CSC tensor, in its order."""
    if matrix.layout == torch.sparse_csr:
        ptr, minor = matrix.crow_indices(), matrix.col_indices()
    elif matrix.layout == torch.sparse_csc:
        ptr, minor = matrix.ccol_indices(), matrix.row_indices()
    else:
        raise TypeError(f"layout must be COO, CSR or CSC, got {matrix.layout}")
    ids = torch.arange(ptr.shape[0] - 1, device=ptr.device)
    major = torch.repeat_interleave(ids, ptr.diff(), output_size=minor.shape[0])
    pair = (major, minor) if matrix.layout == torch.sparse_csr else (minor, major)
    return torch.stack([index.long() for index in pair]), matrix.values()


def from_dense(matrix: Any) -> dict[str, Any]:
    matrix = torch.as_tensor(matrix)
    num_nodes = _square(matrix.shape)
    edge_index = matrix.nonzero().T.contiguous()
    weight = as_weight(matrix[edge_index[0], edge_index[1]])
    return {"edge_index": edge_index, "num_nodes": num_nodes, "edge_weight": weight}
