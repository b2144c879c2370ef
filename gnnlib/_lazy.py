"""Lazy edge tensors: what `message` gets for the rows at the two ends of each edge.

An `EdgeTensor` has the shape and dtype of the gathered tensor and is not gathered. It follows the
user's expression as long as fused operators can do it (`_fused.py` says which):

    src, dst, edge        the rows at an end of each edge, the edge's own
    weighted              src · (one factor an edge, or one an edge and head)
    pair                  src · dst: the message, or waiting for its sum over the last dimension
    sum                   src + dst + edge, or some of them, of either sign, and its relu
    value                 few numbers an edge, computed: a sum of a pair, its softmax, …

What has few numbers an edge anyway is computed where no operator follows the expression further.
Anything else ends the probe: `Unfused` is raised, and the message runs on gathered blocks. Where
there is no second run (under tracing), the tensor gathers itself instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import ops
from ._edge_rows import EdgeRows
from ._forms import dispatch, minus, negated, over, plus, sum_of, times


def _operator(name: str) -> Callable:
    function = getattr(Tensor, name)
    return lambda self, *args: self.apply(function, self, *args)


def _writer(name: str) -> Callable:
    function = getattr(Tensor, name)
    return lambda self, *args: self.write(function, *args)


class EdgeTensor(EdgeRows):
    """A tensor with one row per edge, in CSR order, that is computed when it must be."""

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return dispatch(function, args, kwargs or {})

    def __add__(self, other: Any) -> Any:
        return plus(self, other)

    def __radd__(self, other: Any) -> Any:
        return plus(other, self)

    def __sub__(self, other: Any) -> Any:
        return minus(self, other)

    def __rsub__(self, other: Any) -> Any:
        return minus(other, self)

    def __mul__(self, other: Any) -> Any:
        return times(self, other)

    def __rmul__(self, other: Any) -> Any:
        return times(other, self)

    def __truediv__(self, other: Any) -> Any:
        return over(self, other)

    def __neg__(self) -> Any:
        return negated(self)

    __iadd__, __isub__ = _writer("add_"), _writer("sub_")
    __imul__, __itruediv__ = _writer("mul_"), _writer("div_")
    __setitem__ = _writer("__setitem__")
    __rtruediv__ = _operator("__rtruediv__")
    __matmul__, __rmatmul__ = _operator("__matmul__"), _operator("__rmatmul__")
    __pow__, __rpow__ = _operator("__pow__"), _operator("__rpow__")
    __abs__, __invert__ = _operator("__abs__"), _operator("__invert__")
    __lt__, __le__ = _operator("__lt__"), _operator("__le__")
    __gt__, __ge__ = _operator("__gt__"), _operator("__ge__")
    __eq__, __ne__ = _operator("__eq__"), _operator("__ne__")
    __floordiv__, __mod__ = _operator("__floordiv__"), _operator("__mod__")
    __and__, __or__, __xor__ = _operator("__and__"), _operator("__or__"), _operator("__xor__")
    __hash__ = object.__hash__

    def sum(self, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
        return sum_of(self, dim, keepdim, **kwargs)

    def softmax_of_rows(self) -> EdgeTensor:
        """Of a small tensor, its softmax over the edges of each destination."""
        if self.kind == "edge" and self.other is None:
            return self.like(
                "edge", ops.segment_softmax(self.adj.ptr, self.tensor, eid=self.adj.eid)
            )
        return self.like("value", ops.segment_softmax(self.adj.ptr, self.gather()))

    def unsqueeze(self, dim: int) -> Any:
        if self.kind == "edge" and dim != 0 and dim != -self.ndim - 1:
            return self.like("edge", self.tensor.unsqueeze(dim), self.other)
        return self.apply(torch.unsqueeze, self, dim)

    def __getitem__(self, index: Any) -> Any:
        if index == (Ellipsis, None) or index == (slice(None),) * self.ndim + (None,):
            return self.unsqueeze(-1)
        return self.apply(torch.Tensor.__getitem__, self, index)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(Tensor, name):
            raise AttributeError(f"an edge tensor has no attribute {name!r}")
        member = getattr(Tensor, name)
        if not callable(member):
            return self.leave(lambda tensor: getattr(tensor, name), self)
        if name.endswith("_"):
            return lambda *args, **kwargs: self.write(member, *args, **kwargs)
        return lambda *args, **kwargs: dispatch(member, (self, *args), kwargs)
