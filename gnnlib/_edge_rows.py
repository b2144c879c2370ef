"""Rows of edges that are not there: what they are made of, and how they are made when they must be.

What a user's expression may do with them is in `_forms.py`, the tensor that he holds in `_lazy.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import ops
from .adjacency import Adjacency


class Unfused(Exception):
    """The message is none of the forms that run fused."""


class Sum(NamedTuple):
    """scale · relu(src[j] + dst[i] + edge), the relu and the scale where asked for."""

    src: Tensor | None
    dst: Tensor | None
    edge: EdgeRows | None  # of the kind edge or value
    relu: bool = False
    scale: float = 1


class EdgeRows:
    """A tensor with one row per edge, in CSR order, that is computed when it must be.

    Args:
        adj: the edges.
        kind: src, dst, edge, value, weighted, pair or sum.
        tensor: rows of nodes (src, dst, weighted, pair, sum), or of edges: those of `edge` are in
            the user's order, those of `value` in CSR order.
        other: of `weighted`, the factor (an EdgeRows); of `pair`, the rows of dst; of `sum`, the
            Sum; of `edge`, a number that all is multiplied by, or None.
        may_gather: gather for what no operator does, in place of raising Unfused.
        few: a row of at most so many numbers may be computed for each edge.
    """

    def __init__(
        self,
        adj: Adjacency,
        kind: str,
        tensor: Tensor,
        other: Any = None,
        may_gather: bool = False,
        few: int = 0,
    ):
        self.adj = adj
        self.kind = kind
        self.tensor = tensor
        self.other: Any = other
        self.may_gather = may_gather
        self.few = few

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.adj.num_edges, *self.tensor.shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    @property
    def ndim(self) -> int:
        return self.tensor.dim()

    def dim(self) -> int:
        return self.tensor.dim()

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return self.adj.num_edges

    def __bool__(self) -> bool:
        return self.leave(bool, self)

    @property
    def __class__(self) -> Any:
        # `isinstance(src, torch.Tensor)` asks for this. Only a gathered tensor may say yes: torch's
        # C++ believes it, and crashes on what is none.
        if self.__dict__.get("may_gather", True):  # while made, it has nothing yet
            return type(self)
        raise Unfused

    @property
    def is_small(self) -> bool:
        """Few enough numbers an edge to compute them: [E, 1], [E, H, 1], or far less than F."""
        shape = self.tensor.shape[1:]
        return self.kind == "value" or shape[-1:] == (1,) or shape.numel() <= self.few

    def gather(self) -> Tensor:
        """The rows of every edge in CSR order: an E×F array, unless it is small."""
        adj, other = self.adj, self.other
        if self.kind == "value":
            return self.tensor
        if self.kind == "edge":
            rows = self.tensor if adj.eid is None else ops.gather_rows(self.tensor, adj.eid)
            return rows if other is None else rows * other
        if self.kind == "src":
            return self._at_ends(self.tensor, None)
        if self.kind == "dst":
            return self._at_ends(None, self.tensor)
        if self.kind == "weighted":
            return self._at_ends(self.tensor, None) * other.gather()
        if self.kind == "pair":
            return self._at_ends(self.tensor, other, "mul")
        rows = self._at_ends(other.src, other.dst)
        rows = rows if other.edge is None else rows + other.edge.gather()
        rows = rows.relu() if other.relu else rows
        return rows if other.scale == 1 else rows * other.scale

    def _at_ends(self, src: Tensor | None, dst: Tensor | None, op: str = "add") -> Tensor:
        """Rows of src, of dst, or both joined by `op`."""
        adj = self.adj
        if self.is_small and src is not None:
            a, b = None if dst is None else dst.flatten(1), src.flatten(1)
            of = {"op": op if a is not None else "copy", "transpose": adj.transpose}
            return ops.sddmm(adj.ptr, adj.col, a, b, **of).reshape(self.shape)
        source = None if src is None else ops.gather_rows(src, adj.col)
        target = None if dst is None else ops.segment_expand(adj.ptr, dst, adj.num_edges)
        if source is None or target is None:
            return target if source is None else source  # pyright: ignore[reportReturnType]
        return source * target if op == "mul" else source + target

    def leave(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Apply a function that no fused operator does: gathered, or not at all in a probe."""
        if not self.may_gather:
            raise Unfused
        return function(*map(_gathered, args), **{k: _gathered(v) for k, v in kwargs.items()})

    def write(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Change the tensor in place: after that it is a copy of the gathered rows."""
        rows = self.leave(torch.clone, self)
        function(rows, *map(_gathered, args), **{k: _gathered(v) for k, v in kwargs.items()})
        self.kind, self.tensor, self.other = "value", rows, None
        return self

    def like(self, kind: str, tensor: Tensor, other: Any = None) -> Any:
        return type(self)(self.adj, kind, tensor, other, self.may_gather, self.few)

    def apply(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """A function of small tensors alone stays small and is computed now; all else is unfused.

        That of the edges' own alone stays in their order.
        """
        given = (*args, *kwargs.values())
        lazy = [a for a in given if isinstance(a, EdgeRows)]
        if not all(a.is_small for a in lazy) or len(lazy) != len(all_lazy(given)):
            return self.leave(function, *args, **kwargs)
        if not (self.may_gather or _stays_small(given)):
            return self.leave(function, *args, **kwargs)
        kind = "edge" if all(a.kind == "edge" and a.other is None for a in lazy) else "value"

        def plain(value: Any) -> Any:
            if not isinstance(value, EdgeRows):
                return value
            return value.tensor if kind == "edge" else value.gather()

        result = function(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
        if isinstance(result, Tensor) and result.dim() > 0:
            size = max(a.shape.numel() for a in lazy)
            if result.shape[0] == self.adj.num_edges and result.numel() <= size:
                return self.like(kind, result)
        return self.leave(function, *args, **kwargs)


def _gathered(value: Any) -> Any:
    if isinstance(value, EdgeRows):
        return value.gather()
    if isinstance(value, (list, tuple)):
        return type(value)(_gathered(item) for item in value)
    return value


def all_lazy(values: Any) -> list[EdgeRows]:
    if isinstance(values, EdgeRows):
        return [values]
    if isinstance(values, dict):
        values = tuple(values.values())
    if isinstance(values, (list, tuple)):
        return [found for value in values for found in all_lazy(value)]
    return []


def _stays_small(values: Any) -> bool:
    """No tensor from outside, and none of the lazy ones, makes the result larger than these are."""
    shapes = [v.shape for v in values if isinstance(v, (EdgeRows, Tensor))]
    largest = max((v.shape for v in values if isinstance(v, EdgeRows)), key=torch.Size.numel)
    try:
        return torch.broadcast_shapes(*shapes) == largest
    except RuntimeError:
        return False
