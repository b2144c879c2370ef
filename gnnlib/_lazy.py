"""Lazy edge tensors: what `message` gets for the rows at the two ends of each edge.

An `EdgeTensor` has the shape and dtype of the gathered tensor and is not gathered. It follows the
user's expression as long as one fused operator can do it:

    src, dst, edge        the rows at an end of each edge, the edge's own
    weighted              src · (one factor an edge, or one an edge and head)
    pair                  src · dst, waiting for its sum over the last dimension
    value                 few numbers an edge, computed: a sum of a pair, its softmax, …

Anything else ends the probe: `Unfused` is raised, and the message runs on gathered blocks. Where
there is no second run (under tracing), the tensor gathers itself instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import ops
from .adjacency import Adjacency


class Unfused(Exception):
    """The message is none of the forms that run fused."""


def _operator(name: str) -> Callable:
    function = getattr(Tensor, name)
    return lambda self, *args: self._apply(function, self, *args)


class EdgeTensor:
    """A tensor with one row per edge, in CSR order, that is computed when it must be.

    Args:
        adj: the edges.
        kind: src, dst, edge, value, weighted or pair.
        tensor: rows of nodes (src, dst, weighted, pair), or of edges: those of `edge` are in the
            user's order, those of `value` in CSR order.
        other: of `weighted`, the factor (an EdgeTensor); of `pair`, the rows of dst.
        may_gather: gather for what no operator does, in place of raising Unfused.
    """

    def __init__(
        self, adj: Adjacency, kind: str, tensor: Tensor, other: Any = None, may_gather: bool = False
    ):
        self.adj = adj
        self.kind = kind
        self.tensor = tensor
        self.other = other
        self.may_gather = may_gather

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
        return self._leave(bool, self)

    @property
    def __class__(self) -> Any:
        # `isinstance(src, torch.Tensor)` asks for this. Only a gathered tensor may say yes: torch's
        # C++ believes it, and crashes on what is none.
        if self.__dict__.get("may_gather", True):  # while made, it has nothing yet
            return EdgeTensor
        raise Unfused

    def gather(self) -> Tensor:
        """The rows of every edge in CSR order: an E×F array."""
        adj = self.adj
        if self.kind == "src":
            return ops.gather_rows(self.tensor, adj.col)
        if self.kind == "dst":
            return ops.segment_expand(adj.ptr, self.tensor, adj.num_edges)
        if self.kind == "edge":
            return self.tensor if adj.eid is None else ops.gather_rows(self.tensor, adj.eid)
        if self.kind == "value":
            return self.tensor
        source = ops.gather_rows(self.tensor, adj.col)
        if self.kind == "weighted":
            return source * self.other.gather()
        return source * ops.segment_expand(adj.ptr, self.other, adj.num_edges)

    def _leave(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Apply a function that no fused operator does: gathered, or not at all in a probe."""
        if not self.may_gather:
            raise Unfused
        return function(*map(_gathered, args), **{k: _gathered(v) for k, v in kwargs.items()})

    def _as(self, kind: str, tensor: Tensor, other: Any = None) -> EdgeTensor:
        return EdgeTensor(self.adj, kind, tensor, other, self.may_gather)

    def _times(self, other: Any) -> Any:
        for left, right in ((self, other), (other, self)):
            if not isinstance(left, EdgeTensor) or left.kind != "src":
                continue
            if not isinstance(right, EdgeTensor):
                continue
            if right.kind in ("edge", "value") and _is_factor(right, left):
                return self._as("weighted", left.tensor, right)
            if right.kind == "dst" and right.shape == left.shape and left.ndim in (2, 3):
                return self._as("pair", left.tensor, right.tensor)
        return self._apply(torch.mul, self, other)

    def _sum(self, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
        if self.kind == "pair" and dim in (-1, self.ndim - 1) and not kwargs:
            adj = self.adj
            dots = ops.sddmm(adj.ptr, adj.col, self.other, self.tensor, transpose=adj.transpose)
            return self._as("value", dots.unsqueeze(-1) if keepdim else dots)
        if dim is None:  # over all edges: no message has this, but it must not be wrong
            return self._leave(torch.sum, self, **kwargs)
        return self._leave(torch.sum, self, dim=dim, keepdim=keepdim, **kwargs)

    def _apply(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """A function of values alone stays small and is computed now; all else is unfused."""
        lazy = [a for a in (*args, *kwargs.values()) if isinstance(a, EdgeTensor)]
        if not lazy or any(a.kind != "value" for a in lazy):
            return self._leave(function, *args, **kwargs)
        result = function(*map(_gathered, args), **{k: _gathered(v) for k, v in kwargs.items()})
        size = max(a.tensor.numel() for a in lazy)
        if not isinstance(result, Tensor) or result.numel() != size:
            if not self.may_gather:
                raise Unfused
            return result
        same_rows = result.dim() > 0 and result.shape[0] == self.adj.num_edges
        return self._as("value", result) if same_rows else self._leave(function, *args, **kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self = next((a for a in args if isinstance(a, EdgeTensor)), None)
        if self is None:  # inside a list, as torch.cat has it
            self = _first_lazy((*args, *kwargs.values()))
        products = (torch.mul, torch.multiply, Tensor.mul, Tensor.__mul__, Tensor.__rmul__)
        if function in products and len(args) == 2 and not kwargs:
            return self._times(args[1] if args[0] is self else args[0])
        if function in (torch.sum, Tensor.sum) and args[0] is self:
            return self._sum(*args[1:], **kwargs)
        return self._apply(function, *args, **kwargs)

    def __mul__(self, other: Any) -> Any:
        return self._times(other)

    def __rmul__(self, other: Any) -> Any:
        return self._times(other)

    __add__, __radd__ = _operator("__add__"), _operator("__radd__")
    __sub__, __rsub__ = _operator("__sub__"), _operator("__rsub__")
    __truediv__, __rtruediv__ = _operator("__truediv__"), _operator("__rtruediv__")
    __matmul__, __rmatmul__ = _operator("__matmul__"), _operator("__rmatmul__")
    __pow__, __rpow__ = _operator("__pow__"), _operator("__rpow__")
    __neg__, __abs__, __invert__ = (
        _operator("__neg__"),
        _operator("__abs__"),
        _operator("__invert__"),
    )
    __lt__, __le__ = _operator("__lt__"), _operator("__le__")
    __gt__, __ge__ = _operator("__gt__"), _operator("__ge__")
    __eq__, __ne__ = _operator("__eq__"), _operator("__ne__")
    __floordiv__, __mod__ = _operator("__floordiv__"), _operator("__mod__")
    __and__, __or__, __xor__ = _operator("__and__"), _operator("__or__"), _operator("__xor__")
    __hash__ = object.__hash__

    def mul(self, other: Any) -> Any:
        return self._times(other)

    def sum(self, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
        return self._sum(dim, keepdim, **kwargs)

    def unsqueeze(self, dim: int) -> Any:
        if self.kind in ("value", "edge") and dim != 0 and dim != -self.ndim - 1:
            return self._as(self.kind, self.tensor.unsqueeze(dim))
        return self._leave(torch.unsqueeze, self, dim)

    def __getitem__(self, index: Any) -> Any:
        if index == (Ellipsis, None) or index == (slice(None),) * self.ndim + (None,):
            return self.unsqueeze(-1)
        return self._apply(torch.Tensor.__getitem__, self, index)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(Tensor, name):
            raise AttributeError(f"an edge tensor has no attribute {name!r}")
        member = getattr(Tensor, name)
        if not callable(member):
            return self._leave(lambda tensor: getattr(tensor, name), self)
        return lambda *args, **kwargs: self._apply(member, self, *args, **kwargs)


def _gathered(value: Any) -> Any:
    if isinstance(value, EdgeTensor):
        return value.gather()
    if isinstance(value, (list, tuple)):
        return type(value)(_gathered(item) for item in value)
    return value


def _first_lazy(values: Any) -> Any:
    for value in values:
        if isinstance(value, EdgeTensor):
            return value
        if isinstance(value, (list, tuple)):
            found = _first_lazy(value)
            if found is not None:
                return found
    return None


def _is_factor(factor: EdgeTensor, rows: EdgeTensor) -> bool:
    """One factor an edge, [E, 1] or [E, 1, 1], or one an edge and head, [E, H, 1]."""
    if factor.ndim != rows.ndim or factor.shape[-1] != 1 or factor.dtype != rows.dtype:
        return False
    return rows.ndim == 2 or (rows.ndim == 3 and factor.shape[1] in (1, rows.shape[1]))


def fused(message: Any, adj: Adjacency, reduce: str) -> Tensor | None:
    """The reduced message of a lazy expression as one operator, or None if there is none."""
    if not isinstance(message, EdgeTensor) or reduce == "std":
        return None
    rows = message.tensor
    # The gradient of a product gathers its messages: blocks keep that small.
    if reduce == "mul" and torch.is_grad_enabled():
        return None
    if message.kind == "value":
        return ops.segment_reduce(adj.ptr, rows, reduce=reduce)
    if message.kind == "edge":
        return ops.segment_reduce(adj.ptr, rows, eid=adj.eid, reduce=reduce)
    if rows.dim() not in (2, 3):
        return None
    if message.kind == "src":
        return ops.spmm(adj.ptr, adj.col, rows, reduce=reduce, transpose=adj.transpose)
    if message.kind != "weighted":
        return None
    factor = message.other
    weight = factor.tensor.flatten(1) if rows.dim() == 3 else factor.tensor
    weight = weight.squeeze(1) if weight.shape[1] == 1 else weight
    eid = adj.eid if factor.kind == "edge" else None
    return ops.spmm(adj.ptr, adj.col, rows, weight, eid=eid, reduce=reduce, transpose=adj.transpose)
