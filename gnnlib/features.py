"""SparseFeatures: node features that are mostly zero, such as bags of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import _concat, _convert, _pytree, ops
from ._validate import as_positions
from .adjacency import Adjacency


class SparseFeatures:
    """A sparse matrix X of N rows and F columns, for the features x of a Graph. Immutable.

    `Linear` and `dropout` compute on it; memory and time are those of its nnz stored entries. Row i
    holds the entries at positions `ptr[i]:ptr[i + 1]` of its structure: their columns are `col`,
    their values `values`. Gradients flow through the values.

    Args:
        structure: an Adjacency with num_dst = N rows and num_src = F columns.
        values: of the entries, [nnz], in the edge order of the structure.

    Raises:
        TypeError: values that are no floating tensor.
        ValueError: values of wrong length or on another device.

    Example:
        >>> x = SparseFeatures.from_dense(torch.tensor([[0.0, 2.0], [0.0, 0.0], [1.0, 3.0]]))
        >>> x
        SparseFeatures(shape=[3, 2], nnz=3, dtype=torch.float32)
        >>> x.matmul(torch.eye(2))
        tensor([[0., 2.],
                [0., 0.],
                [1., 3.]])
        >>> x[1:].shape
        (2, 2)
    """

    structure: Adjacency
    values: Tensor

    def __init__(self, structure: Adjacency, values: Tensor):
        if not isinstance(structure, Adjacency):
            raise TypeError(f"structure must be an Adjacency, got {type(structure).__name__}")
        if not isinstance(values, Tensor) or not values.is_floating_point():
            kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
            raise TypeError(f"values must be a floating tensor, got {kind}")
        if values.shape != (structure.num_edges,):
            raise ValueError(
                f"values must hold one value per entry: the structure has {structure.num_edges}"
                f" entries, got shape {tuple(values.shape)}"
            )
        if values.device != structure.device:
            raise ValueError(
                f"values must be on the device of the structure: {structure.device}, got"
                f" {values.device}"
            )
        if structure.eid is not None:  # row order once, so that no operation has to look it up
            values = values[structure.eid]
            structure = Adjacency._make(structure.ptr, structure.col, structure.num_src, None)
        self._set(structure, values.contiguous())

    def _set(self, structure: Adjacency, values: Tensor) -> None:
        object.__setattr__(self, "structure", structure)
        object.__setattr__(self, "values", values)

    @classmethod
    def _make(cls, structure: Adjacency, values: Tensor) -> SparseFeatures:
        """Features of a structure without edge ids and of values known to fit it."""
        features = cls.__new__(cls)
        features._set(structure, values)
        return features

    @classmethod
    def from_dense(cls, x: Tensor) -> SparseFeatures:
        """The entries of a matrix [N, F] that are not zero."""
        if not isinstance(x, Tensor) or x.dim() != 2:
            kind = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x must be a matrix [num_nodes, num_features], got {kind}")
        row, col = x.nonzero(as_tuple=True)
        return cls._from_entries(row, col, x[row, col], x.shape)

    @classmethod
    def from_scipy(cls, x: Any) -> SparseFeatures:
        """The stored entries of a scipy sparse matrix; repeated ones are summed."""
        if not _convert.is_scipy_sparse(x) or len(x.shape) != 2:
            raise TypeError(f"x must be a scipy sparse matrix, got {type(x).__name__}")
        csr = x.tocsr(copy=True)  # a copy: scipy changes its arrays in place
        csr.sum_duplicates()
        ptr, col, values = map(_convert.from_numpy, (csr.indptr, csr.indices, csr.data))
        return cls(Adjacency(ptr, col, csr.shape[1]), _convert.as_weight(values))

    @classmethod
    def from_torch(cls, x: Tensor) -> SparseFeatures:
        """The stored entries of a torch COO, CSR or CSC tensor; repeated ones are summed."""
        if not isinstance(x, Tensor) or x.layout == torch.strided or x.dim() != 2:
            kind = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"x must be a torch sparse matrix, got {kind}")
        if x.layout == torch.sparse_coo:
            x = x.coalesce()
            row, col = x.indices()
            return cls._from_entries(row, col, x.values(), x.shape)
        if x.layout == torch.sparse_csr:
            structure = Adjacency(x.crow_indices(), x.col_indices(), x.shape[1])
            return cls(structure, _convert.as_weight(x.values()))
        (row, col), values = _convert.compressed_to_edges(x)
        return cls._from_entries(row, col, values, x.shape)

    @classmethod
    def _from_entries(
        cls, row: Tensor, col: Tensor, values: Tensor, shape: Sequence[int]
    ) -> SparseFeatures:
        structure = Adjacency.from_edge_index(
            torch.stack([col, row]), num_src=shape[1], num_dst=shape[0]
        )
        return cls(structure, _convert.as_weight(values))

    @property
    def shape(self) -> tuple[int, int]:
        return self.structure.num_dst, self.structure.num_src

    @property
    def ndim(self) -> int:
        return 2

    @property
    def nnz(self) -> int:
        """The number of stored entries."""
        return self.values.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        return self.values.device

    @property
    def requires_grad(self) -> bool:
        return self.values.requires_grad

    def __len__(self) -> int:
        return self.structure.num_dst

    def with_values(self, values: Tensor) -> SparseFeatures:
        """The same entries with other values, [nnz] in row order."""
        return SparseFeatures(self.structure, values)

    def matmul(self, dense: Tensor) -> Tensor:
        """X W for a dense W [F, K]: [N, K], differentiable in W and in the values."""
        if dense.dim() != 2 or dense.shape[0] != self.shape[1]:
            raise ValueError(
                f"dense must have one row per feature: x has shape {tuple(self.shape)}, got dense"
                f" of shape {tuple(dense.shape)}"
            )
        structure = self.structure
        return ops.spmm(
            structure.ptr, structure.col, dense, self.values, transpose=structure.transpose
        )

    def dropout(self, p: float, training: bool = True) -> SparseFeatures:
        """Each stored entry is zeroed with probability p, the rest is scaled by 1 / (1 - p)."""
        if not training or p == 0:
            return self
        return self._make(self.structure, ops.edge_dropout(self.values, p))

    def row_sum(self) -> Tensor:
        """The sum of each row, [N]."""
        return ops.segment_reduce(self.structure.ptr, self.values, reduce="sum")

    def scale_rows(self, scale: Tensor) -> SparseFeatures:
        """Row i times scale[i], for a scale [N]."""
        if scale.shape != (self.shape[0],):
            raise ValueError(
                f"scale must have one entry per row: x has {self.shape[0]} rows, got shape"
                f" {tuple(scale.shape)}"
            )
        factors = ops.segment_expand(self.structure.ptr, scale, self.nnz)
        return self._make(self.structure, self.values * factors)

    def to_dense(self) -> Tensor:
        """The matrix [N, F] with its zeros."""
        zeros = self.values.new_zeros(self.shape)
        index = (self.structure.row.long(), self.structure.col.long())
        return zeros.index_put(index, self.values, accumulate=True)

    def to_scipy(self) -> Any:
        """A `scipy.sparse.csr_array` of the same entries."""
        return self.structure.to_scipy(self.values, transpose=True)

    def to_torch(self) -> Tensor:
        """A torch sparse CSR tensor of the same entries; the arrays are shared."""
        return _convert.csr_tensor(self.structure.ptr, self.structure.col, self.values, self.shape)

    def __getitem__(self, rows: Any) -> SparseFeatures:
        """The rows chosen by a slice, a bool mask [N], or a tensor or list of row numbers."""
        index = as_positions(rows, self.shape[0], self.device, "rows", "x", "row")
        ptr, structure = self.structure.ptr, self.structure
        first, length = ptr[index], ptr.diff()[index]
        new_ptr = F.pad(length.cumsum(0), (1, 0))
        # Position k of the result lies `shift` behind its row's first position in the original.
        total = int(new_ptr[-1])
        shift = torch.repeat_interleave(first.long() - new_ptr[:-1], length, output_size=total)
        position = torch.arange(total, device=self.device) + shift
        chosen = Adjacency._make(
            new_ptr.to(ptr.dtype), structure.col[position], structure.num_src, None
        )
        return self._make(chosen, self.values[position])

    @staticmethod
    def cat(parts: Sequence[SparseFeatures]) -> SparseFeatures:
        """The rows of several matrices below each other; all have the same columns."""
        columns = {part.shape[1] for part in parts}
        if len(columns) != 1:
            raise ValueError(f"parts must have the same number of columns, got {sorted(columns)}")
        structure = _concat.stack_rows([part.structure for part in parts])
        return SparseFeatures._make(structure, torch.cat([part.values for part in parts]))

    def to(
        self, device: Any = None, dtype: torch.dtype | None = None, *, non_blocking: bool = False
    ) -> SparseFeatures:
        """The features on a device, in a dtype, or both; itself if nothing changes."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        values = self.values.to(device=device, dtype=dtype, non_blocking=non_blocking)
        if values is self.values:
            return self
        return self._make(self.structure.to(values.device, non_blocking), values)

    def pin_memory(self) -> SparseFeatures:
        """The features in page-locked memory."""
        return self._make(self.structure.pin_memory(), self.values.pin_memory())

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"SparseFeatures are immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"SparseFeatures are immutable: {name!r} cannot be deleted")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"SparseFeatures(shape={list(self.shape)}, nnz={self.nnz}, dtype={self.dtype})"


def dropout(x: Tensor | SparseFeatures, p: float, training: bool = True) -> Any:
    """Dropout of a dense tensor or of the stored entries of SparseFeatures.

    Example:
        >>> x = SparseFeatures.from_dense(torch.eye(2))
        >>> dropout(x, p=0.5, training=False) is x
        True
    """
    if isinstance(x, SparseFeatures):
        return x.dropout(p, training)
    return F.dropout(x, p, training)


def _flatten(x: SparseFeatures) -> tuple[dict[str, Tensor], int]:
    return {"ptr": x.structure.ptr, "col": x.structure.col, "values": x.values}, x.shape[1]


def _unflatten(leaves: dict[str, Any], num_columns: int) -> SparseFeatures:
    structure = Adjacency._make(leaves["ptr"], leaves["col"], num_columns, None)
    return SparseFeatures._make(structure, leaves["values"])


_pytree.register(SparseFeatures, _flatten, _unflatten)
