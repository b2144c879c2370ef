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

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import ops
from .adjacency import Adjacency

PER_FEATURE = False
"""Whether ops.spmm takes a weight with a factor an edge and feature: `src * edge`, both [E, F]."""

ADD = (torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__)
SUB = (torch.sub, torch.subtract, Tensor.sub, Tensor.subtract, Tensor.__sub__)
MUL = (torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, Tensor.__mul__, Tensor.__rmul__)
DIV = (torch.div, torch.true_divide, Tensor.div, Tensor.true_divide, Tensor.__truediv__)
NEG = (torch.neg, torch.negative, Tensor.neg, Tensor.negative, Tensor.__neg__)
RELU = (torch.relu, F.relu, Tensor.relu)
SUM = (torch.sum, Tensor.sum)


class Unfused(Exception):
    """The message is none of the forms that run fused."""


class Sum(NamedTuple):
    """scale · relu(src[j] + dst[i] + edge), the relu and the scale where asked for."""

    src: Tensor | None
    dst: Tensor | None
    edge: EdgeTensor | None  # of the kind edge or value
    relu: bool = False
    scale: float = 1


def _operator(name: str) -> Callable:
    function = getattr(Tensor, name)
    return lambda self, *args: self._apply(function, self, *args)


class EdgeTensor:
    """A tensor with one row per edge, in CSR order, that is computed when it must be.

    Args:
        adj: the edges.
        kind: src, dst, edge, value, weighted, pair or sum.
        tensor: rows of nodes (src, dst, weighted, pair, sum), or of edges: those of `edge` are in
            the user's order, those of `value` in CSR order.
        other: of `weighted`, the factor (an EdgeTensor); of `pair`, the rows of dst; of `sum`, the
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
        self.other = other
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
        return self._leave(bool, self)

    @property
    def __class__(self) -> Any:
        # `isinstance(src, torch.Tensor)` asks for this. Only a gathered tensor may say yes: torch's
        # C++ believes it, and crashes on what is none.
        if self.__dict__.get("may_gather", True):  # while made, it has nothing yet
            return EdgeTensor
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
            a, b = (None if t is None else t.flatten(1) for t in (dst, src))
            of = {"op": op if a is not None else "copy", "transpose": adj.transpose}
            return ops.sddmm(adj.ptr, adj.col, a, b, **of).reshape(self.shape)
        source = None if src is None else ops.gather_rows(src, adj.col)
        target = None if dst is None else ops.segment_expand(adj.ptr, dst, adj.num_edges)
        if source is None or target is None:
            return target if source is None else source  # pyright: ignore[reportReturnType]
        return source * target if op == "mul" else source + target

    def _leave(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Apply a function that no fused operator does: gathered, or not at all in a probe."""
        if not self.may_gather:
            raise Unfused
        return function(*map(_gathered, args), **{k: _gathered(v) for k, v in kwargs.items()})

    def _as(self, kind: str, tensor: Tensor, other: Any = None) -> EdgeTensor:
        return EdgeTensor(self.adj, kind, tensor, other, self.may_gather, self.few)

    def _apply(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """A function of small tensors alone stays small and is computed now; all else is unfused.

        That of the edges' own alone stays in their order.
        """
        given = (*args, *kwargs.values())
        lazy = [a for a in given if isinstance(a, EdgeTensor)]
        if not all(a.is_small for a in lazy) or len(lazy) != len(_all_lazy(given)):
            return self._leave(function, *args, **kwargs)
        if _in_place(function, kwargs) or not (self.may_gather or _stays_small(given)):
            return self._leave(function, *args, **kwargs)
        kind = "edge" if all(a.kind == "edge" for a in lazy) else "value"

        def plain(value: Any) -> Any:
            if not isinstance(value, EdgeTensor):
                return value
            return value.tensor if kind == "edge" and value.other is None else value.gather()

        if any(a.other is not None for a in lazy if a.kind == "edge"):
            kind = "value"
        result = function(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
        if isinstance(result, Tensor) and result.dim() > 0:
            size = max(a.shape.numel() for a in lazy)
            if result.shape[0] == self.adj.num_edges and result.numel() <= size:
                return self._as(kind, result)
        return self._leave(function, *args, **kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _dispatch(function, args, kwargs or {})

    def __add__(self, other: Any) -> Any:
        return _plus(self, other)

    def __radd__(self, other: Any) -> Any:
        return _plus(other, self)

    def __sub__(self, other: Any) -> Any:
        return _minus(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _minus(other, self)

    def __mul__(self, other: Any) -> Any:
        return _times(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _times(other, self)

    def __truediv__(self, other: Any) -> Any:
        return _over(self, other)

    def __neg__(self) -> Any:
        return _scaled(self, torch.mul, operator.mul, -1)

    # Not written into: others may hold the same tensor.
    __iadd__, __isub__ = _operator("__iadd__"), _operator("__isub__")
    __imul__, __itruediv__ = _operator("__imul__"), _operator("__itruediv__")
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
        if self.kind == "pair" and dim in (-1, self.ndim - 1) and not kwargs:
            adj = self.adj
            dots = ops.sddmm(adj.ptr, adj.col, self.other, self.tensor, transpose=adj.transpose)
            return self._as("value", dots.unsqueeze(-1) if keepdim else dots)
        if dim is None:  # over all edges: no message has this, but it must not be wrong
            return self._leave(torch.sum, self, **kwargs)
        return self._apply(torch.sum, self, dim=dim, keepdim=keepdim, **kwargs)

    def softmax_of_rows(self) -> EdgeTensor:
        """Of a small tensor, its softmax over the edges of each destination."""
        if self.kind == "edge" and self.other is None:
            return self._as("edge", ops.segment_softmax(self.adj.ptr, self.tensor, eid=self.adj.eid))
        return self._as("value", ops.segment_softmax(self.adj.ptr, self.gather()))

    def unsqueeze(self, dim: int) -> Any:
        if self.kind == "edge" and dim != 0 and dim != -self.ndim - 1:
            return self._as("edge", self.tensor.unsqueeze(dim), self.other)
        return self._apply(torch.unsqueeze, self, dim)

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
        return lambda *args, **kwargs: _dispatch(member, (self, *args), kwargs)


def _dispatch(function: Callable, args: Any, kwargs: dict[str, Any]) -> Any:
    if len(args) == 2 and not kwargs:
        for functions, join in ((ADD, _plus), (SUB, _minus), (MUL, _times), (DIV, _over)):
            if function in functions:
                return join(*args)
    if len(args) == 1 and not kwargs and function in NEG:
        return -args[0]
    if len(args) == 1 and function in RELU and not kwargs.get("inplace", False):
        return _relu(args[0])
    self = args[0] if args and isinstance(args[0], EdgeTensor) else _all_lazy((args, kwargs))[0]
    if function in SUM and args and args[0] is self:
        return self.sum(*args[1:], **kwargs)
    if function is F.leaky_relu and self.kind in ("src", "dst") and not _in_place(function, kwargs):
        return self._as(self.kind, function(self.tensor, *args[1:], **kwargs))
    return self._apply(function, *args, **kwargs)


# the forms ---------------------------------------------------------------------------------------
#
# What is done to the rows of nodes before they are gathered is linear in them, or relu: a node that
# no edge leaves may hold NaN, and the gradient there must stay 0.


def _scaled(rows: EdgeTensor, function: Callable, number_function: Callable, number: Any) -> Any:
    """rows · number, or rows / number."""
    if rows.kind in ("src", "dst", "weighted", "pair"):
        return rows._as(rows.kind, function(rows.tensor, number), rows.other)
    if rows.kind == "edge" and not rows.is_small:
        factor = 1 if rows.other is None else rows.other
        return rows._as("edge", rows.tensor, number_function(factor, number))
    if rows.kind != "sum":
        return rows._apply(function, rows, number)
    terms = rows.other
    if terms.relu:
        terms = terms._replace(scale=number_function(terms.scale, number))
        return rows._as("sum", rows.tensor, terms)
    return _sum(
        rows,
        None if terms.src is None else function(terms.src, number),
        None if terms.dst is None else function(terms.dst, number),
        None if terms.edge is None else _scaled(terms.edge, function, number_function, number),
    )


def _times(a: Any, b: Any) -> Any:
    for left, right in ((a, b), (b, a)):
        if isinstance(left, EdgeTensor) and _is_number(right):
            return _scaled(left, torch.mul, operator.mul, right)
    if isinstance(a, EdgeTensor) and isinstance(b, EdgeTensor):
        for left, right in ((a, b), (b, a)):
            product = _weighted(left, right)
            if product is not None:
                return product
        for left, right in ((a, b), (b, a)):
            same = left.shape == right.shape and left.dtype == right.dtype
            if left.kind == "src" and right.kind == "dst" and same and left.ndim in (2, 3):
                return left._as("pair", left.tensor, right.tensor)
        for left, right in ((a, b), (b, a)):
            wanted = left.kind in ("src", "weighted") and right.kind not in ("edge", "value")
            if wanted and right.is_small and not left.is_small:
                product = _weighted(left, right._as("value", right.gather()))
                if product is not None:
                    return product
    return (a if isinstance(a, EdgeTensor) else b)._apply(torch.mul, a, b)


def _weighted(rows: EdgeTensor, factor: EdgeTensor) -> EdgeTensor | None:
    """rows · factor, if `factor` is one and no sum stands before it."""
    if rows.kind not in ("src", "weighted") or not _is_factor(factor, rows):
        return None
    if rows.kind == "weighted":
        if not (factor.is_small and rows.other.is_small):
            return None
        return rows._as("weighted", rows.tensor, _times(rows.other, factor))
    if factor.other is None:
        return rows._as("weighted", rows.tensor, factor)
    plain = factor._as("edge", factor.tensor)
    return rows._as("weighted", rows.tensor * factor.other, plain)


def _over(a: Any, b: Any) -> Any:
    if isinstance(a, EdgeTensor) and _is_number(b):
        return _scaled(a, torch.div, operator.truediv, b)
    both = isinstance(a, EdgeTensor) and isinstance(b, EdgeTensor)
    if both and b.is_small and not a.is_small and _is_factor(b, a):
        return _times(a, b._apply(torch.reciprocal, b))
    return (a if isinstance(a, EdgeTensor) else b)._apply(torch.div, a, b)


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, EdgeTensor) and isinstance(b, EdgeTensor):
        found = _joined(a, b)
        return a._apply(torch.add, a, b) if found is None else found
    rows, number = (a, b) if isinstance(a, EdgeTensor) else (b, a)
    if _is_number(number):
        if rows.kind in ("src", "dst"):
            return rows._as(rows.kind, rows.tensor + number)
        if rows.kind == "sum" and not rows.other.relu and rows.other.src is not None:
            terms = rows.other
            return _sum(rows, terms.src + number, terms.dst, terms.edge)
    return rows._apply(torch.add, a, b)


def _minus(a: Any, b: Any) -> Any:
    lazy = a if isinstance(a, EdgeTensor) else b
    if isinstance(b, EdgeTensor):
        if not (b.is_small and lazy.is_small and b.kind in ("edge", "value")):
            if isinstance(a, EdgeTensor):
                found = _joined(a, -b)
                if found is not None:
                    return found
            elif _is_number(a) and b.kind in ("src", "dst", "sum"):
                return _plus(-b, a)
    elif _is_number(b) and a.kind in ("src", "dst", "sum"):
        return _plus(a, -b)
    return lazy._apply(torch.sub, a, b)


def _joined(a: EdgeTensor, b: EdgeTensor) -> EdgeTensor | None:
    """a + b as a sum of the ends and the edge, or None."""
    if a.shape != b.shape:  # what is small and not of its form is one number an edge
        a, b = (
            one._as("value", one.gather())
            if one.is_small and not other.is_small and one.kind != "edge"
            else one
            for one, other in ((a, b), (b, a))
        )
    first, second = _terms(a), _terms(b)
    if first is None or second is None or (first.edge is not None and second.edge is not None):
        return None
    sides = []
    for one, other in ((first.src, second.src), (first.dst, second.dst)):
        if one is not None and other is not None:
            if one.shape != other.shape or one.dtype != other.dtype:
                return None
            one = one + other
        sides.append(other if one is None else one)
    src, dst = sides
    edge = second.edge if first.edge is None else first.edge
    given = [t for t in sides if t is not None]
    if not given or any(not _fits(t, given[0]) for t in given):
        return None
    if edge is not None and not (
        _fits(edge, given[0])
        or (edge.ndim == given[0].dim() and edge.shape[1:].numel() == 1)
        and edge.dtype == given[0].dtype
    ):
        return None
    return _sum(a, src, dst, edge)


def _sum(like: EdgeTensor, src: Any, dst: Any, edge: Any) -> EdgeTensor:
    if edge is None and (src is None or dst is None):
        return like._as("src", src) if dst is None else like._as("dst", dst)
    return like._as("sum", dst if src is None else src, Sum(src, dst, edge))


def _terms(rows: EdgeTensor) -> Sum | None:
    if rows.kind == "src":
        return Sum(rows.tensor, None, None)
    if rows.kind == "dst":
        return Sum(None, rows.tensor, None)
    if rows.kind in ("edge", "value"):
        return Sum(None, None, rows)
    if rows.kind == "sum" and not rows.other.relu:
        return rows.other
    return None


def _relu(rows: EdgeTensor) -> Any:
    if rows.kind in ("src", "dst"):
        return rows._as(rows.kind, rows.tensor.relu())
    if rows.kind == "sum" and rows.other.src is not None and not rows.other.relu:
        return rows._as("sum", rows.tensor, rows.other._replace(relu=True))
    return rows._apply(torch.relu, rows)


# judgements --------------------------------------------------------------------------------------


def _gathered(value: Any) -> Any:
    if isinstance(value, EdgeTensor):
        return value.gather()
    if isinstance(value, (list, tuple)):
        return type(value)(_gathered(item) for item in value)
    return value


def _all_lazy(values: Any) -> list[EdgeTensor]:
    if isinstance(values, EdgeTensor):
        return [values]
    if isinstance(values, dict):
        values = tuple(values.values())
    if isinstance(values, (list, tuple)):
        return [found for value in values for found in _all_lazy(value)]
    return []


def _is_number(value: Any) -> bool:
    # An edge tensor does not even say that it is none of these.
    numbers = (int, float, torch.SymInt, torch.SymFloat)
    return not isinstance(value, EdgeTensor) and isinstance(value, numbers)


def _fits(rows: Any, like: Tensor) -> bool:
    return rows.shape[1:] == like.shape[1:] and rows.dtype == like.dtype


def _in_place(function: Any, kwargs: dict[str, Any]) -> bool:
    name = getattr(function, "__name__", "")
    written = name.endswith("_") and not name.endswith("__")
    return written or name.startswith("__i") or "out" in kwargs or bool(kwargs.get("inplace"))


def _stays_small(values: Any) -> bool:
    """No tensor from outside, and none of the lazy ones, makes the result larger than these are."""
    shapes = [v.shape for v in values if isinstance(v, (EdgeTensor, Tensor))]
    largest = max((v.shape for v in values if isinstance(v, EdgeTensor)), key=torch.Size.numel)
    try:
        return torch.broadcast_shapes(*shapes) == largest
    except RuntimeError:
        return False


def _is_factor(factor: EdgeTensor, rows: EdgeTensor) -> bool:
    """One factor an edge, [E, 1] or [E, 1, 1], or one an edge and head, [E, H, 1]."""
    if factor.kind not in ("edge", "value") or factor.ndim != rows.ndim:
        return False
    if factor.dtype != rows.dtype and not _mixes(factor, rows):
        return False
    if PER_FEATURE and factor.shape == rows.shape and rows.ndim in (2, 3):
        return True
    if factor.shape[-1] != 1:
        return False
    return rows.ndim == 2 or (rows.ndim == 3 and factor.shape[1] in (1, rows.shape[1]))


def _mixes(factor: EdgeTensor, rows: EdgeTensor) -> bool:
    """Under autocast spmm gives both one dtype, as long as neither is float64."""
    dtypes = {factor.dtype, rows.dtype}
    half = {torch.float32, torch.bfloat16, torch.float16}
    return torch.is_autocast_enabled(rows.device.type) and dtypes <= half
