"""What expressions of lazy rows become: the next form that one operator can do, or nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import ops
from ._edge_rows import EdgeRows, Sum, all_lazy

ADD = (torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__)
SUB = (torch.sub, torch.subtract, Tensor.sub, Tensor.subtract, Tensor.__sub__)
MUL = (torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, Tensor.__mul__, Tensor.__rmul__)
DIV = (torch.div, torch.true_divide, Tensor.div, Tensor.true_divide, Tensor.__truediv__)
NEG = (torch.neg, torch.negative, Tensor.neg, Tensor.negative, Tensor.__neg__)
RELU = (torch.relu, F.relu, Tensor.relu)
SUM = (torch.sum, Tensor.sum)


def dispatch(function: Callable, args: Any, kwargs: dict[str, Any]) -> Any:
    if args and isinstance(args[0], EdgeRows) and _in_place(function, kwargs):
        return args[0].write(function, *args[1:], **kwargs)
    if len(args) == 2 and not kwargs:
        for functions, join in ((ADD, plus), (SUB, minus), (MUL, times), (DIV, over)):
            if function in functions:
                return join(*args)
    if len(args) == 1 and not kwargs and function in NEG:
        return negated(args[0])
    if len(args) == 1 and function in RELU:
        return _relu(args[0])
    self = args[0] if args and isinstance(args[0], EdgeRows) else all_lazy((args, kwargs))[0]
    if function in SUM and args and args[0] is self:
        return sum_of(self, *args[1:], **kwargs)
    if function is F.leaky_relu and self.kind in ("src", "dst"):
        return self.like(self.kind, function(self.tensor, *args[1:], **kwargs))
    return self.apply(function, *args, **kwargs)


def sum_of(self: EdgeRows, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    if self.kind == "pair" and dim in (-1, self.ndim - 1) and not kwargs:
        adj = self.adj
        dots = ops.sddmm(adj.ptr, adj.col, self.other, self.tensor, transpose=adj.transpose)
        return self.like("value", dots.unsqueeze(-1) if keepdim else dots)
    if dim is None:  # over all edges: no message has this, but it must not be wrong
        return self.leave(torch.sum, self, **kwargs)
    return self.apply(torch.sum, self, dim=dim, keepdim=keepdim, **kwargs)


# the forms ---------------------------------------------------------------------------------------
#
# What is done to the rows of nodes before they are gathered is linear in them, or relu: a node that
# no edge leaves may hold NaN, and the gradient there must stay 0.


def scaled(rows: EdgeRows, function: Callable, number_function: Callable, number: Any) -> Any:
    """rows · number, or rows / number."""
    if rows.kind in ("src", "dst", "weighted", "pair"):
        return rows.like(rows.kind, function(rows.tensor, number), rows.other)
    if rows.kind == "edge" and not rows.is_small:
        factor = 1 if rows.other is None else rows.other
        return rows.like("edge", rows.tensor, number_function(factor, number))
    if rows.kind != "sum":
        return rows.apply(function, rows, number)
    terms = rows.other
    if terms.relu:
        terms = terms._replace(scale=number_function(terms.scale, number))
        return rows.like("sum", rows.tensor, terms)
    return _sum(
        rows,
        None if terms.src is None else function(terms.src, number),
        None if terms.dst is None else function(terms.dst, number),
        None if terms.edge is None else scaled(terms.edge, function, number_function, number),
    )


def negated(rows: EdgeRows) -> Any:
    return scaled(rows, torch.mul, operator.mul, -1)


def times(a: Any, b: Any) -> Any:
    for left, right in ((a, b), (b, a)):
        if isinstance(left, EdgeRows) and _is_number(right):
            return scaled(left, torch.mul, operator.mul, right)
    if isinstance(a, EdgeRows) and isinstance(b, EdgeRows):
        for left, right in ((a, b), (b, a)):
            product = _weighted(left, right)
            if product is not None:
                return product
        for left, right in ((a, b), (b, a)):
            same = left.shape == right.shape and left.dtype == right.dtype
            if left.kind == "src" and right.kind == "dst" and same and left.ndim in (2, 3):
                return left.like("pair", left.tensor, right.tensor)
        for left, right in ((a, b), (b, a)):
            wanted = left.kind in ("src", "weighted") and right.kind not in ("edge", "value")
            if wanted and right.is_small and not left.is_small:
                product = _weighted(left, right.like("value", right.gather()))
                if product is not None:
                    return product
    return (a if isinstance(a, EdgeRows) else b).apply(torch.mul, a, b)


def _weighted(rows: EdgeRows, factor: EdgeRows) -> EdgeRows | None:
    """rows · factor, if `factor` is one and no sum stands before it."""
    if rows.kind not in ("src", "weighted") or not _is_factor(factor, rows):
        return None
    if rows.kind == "weighted":
        if not (factor.is_small and rows.other.is_small):
            return None
        return rows.like("weighted", rows.tensor, times(rows.other, factor))
    if factor.other is None:
        return rows.like("weighted", rows.tensor, factor)
    plain = factor.like("edge", factor.tensor)
    return rows.like("weighted", rows.tensor * factor.other, plain)


def over(a: Any, b: Any) -> Any:
    if isinstance(a, EdgeRows) and _is_number(b):
        return scaled(a, torch.div, operator.truediv, b)
    both = isinstance(a, EdgeRows) and isinstance(b, EdgeRows)
    if both and b.is_small and not a.is_small and _is_factor(b, a):
        return times(a, b.apply(torch.reciprocal, b))
    return (a if isinstance(a, EdgeRows) else b).apply(torch.div, a, b)


def plus(a: Any, b: Any) -> Any:
    if isinstance(a, EdgeRows) and isinstance(b, EdgeRows):
        found = _joined(a, b)
        return a.apply(torch.add, a, b) if found is None else found
    rows, number = (a, b) if isinstance(a, EdgeRows) else (b, a)
    if _is_number(number):
        if rows.kind in ("src", "dst"):
            return rows.like(rows.kind, rows.tensor + number)
        if rows.kind == "sum" and not rows.other.relu and rows.other.src is not None:
            terms = rows.other
            return _sum(rows, terms.src + number, terms.dst, terms.edge)
    return rows.apply(torch.add, a, b)


def minus(a: Any, b: Any) -> Any:
    lazy = a if isinstance(a, EdgeRows) else b
    if isinstance(b, EdgeRows):
        if not (b.is_small and lazy.is_small and b.kind in ("edge", "value")):
            if isinstance(a, EdgeRows):
                found = _joined(a, negated(b))
                if found is not None:
                    return found
            elif _is_number(a) and b.kind in ("src", "dst", "sum"):
                return plus(negated(b), a)
    elif _is_number(b) and a.kind in ("src", "dst", "sum"):
        return plus(a, -b)
    return lazy.apply(torch.sub, a, b)


def _joined(a: EdgeRows, b: EdgeRows) -> EdgeRows | None:
    """a + b as a sum of the ends and the edge, or None."""
    if a.shape != b.shape:  # what is small and not of its form is one number an edge
        a, b = (
            one.like("value", one.gather())
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
    src, dst = sides[0], sides[1]
    edge = second.edge if first.edge is None else first.edge
    given = [t for t in sides if t is not None]
    if not given or any(not _fits(t, given[0]) for t in given):
        return None
    if edge is not None and not _fits(edge, given[0]):
        is_number = edge.ndim == given[0].dim() and edge.shape[1:].numel() == 1
        if not is_number or edge.dtype != given[0].dtype:
            return None
    return _sum(a, src, dst, edge)


def _sum(like: EdgeRows, src: Any, dst: Any, edge: Any) -> Any:
    rows: Any = dst if src is None else src
    if edge is None and (src is None or dst is None):
        return like.like("src" if dst is None else "dst", rows)
    return like.like("sum", rows, Sum(src, dst, edge))


def _terms(rows: EdgeRows) -> Sum | None:
    if rows.kind == "src":
        return Sum(rows.tensor, None, None)
    if rows.kind == "dst":
        return Sum(None, rows.tensor, None)
    if rows.kind in ("edge", "value"):
        return Sum(None, None, rows)
    if rows.kind == "sum" and not rows.other.relu:
        return rows.other
    return None


def _relu(rows: EdgeRows) -> Any:
    if rows.kind in ("src", "dst"):
        return rows.like(rows.kind, rows.tensor.relu())
    if rows.kind == "sum" and rows.other.src is not None and not rows.other.relu:
        return rows.like("sum", rows.tensor, rows.other._replace(relu=True))
    return rows.apply(torch.relu, rows)


# judgements --------------------------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    # An edge tensor does not even say that it is none of these.
    numbers = (int, float, torch.SymInt, torch.SymFloat)
    return not isinstance(value, EdgeRows) and isinstance(value, numbers)


def _fits(rows: Any, like: Tensor) -> bool:
    return rows.shape[1:] == like.shape[1:] and rows.dtype == like.dtype


def _in_place(function: Any, kwargs: dict[str, Any]) -> bool:
    if kwargs.get("inplace"):
        return True
    # torch.compile does not know the names of functions.
    name = "" if torch.compiler.is_compiling() else getattr(function, "__name__", "")
    return name.endswith("_") and not name.endswith("__")


def _is_factor(factor: EdgeRows, rows: EdgeRows) -> bool:
    """One factor an edge, [E, 1] or [E, 1, 1], one a head, [E, H, 1], or one a feature."""
    if factor.kind not in ("edge", "value") or factor.ndim != rows.ndim:
        return False
    if factor.dtype != rows.dtype and not _mixes(factor, rows):
        return False
    if factor.shape == rows.shape and rows.ndim in (2, 3):
        return True
    if factor.shape[-1] != 1:
        return False
    return rows.ndim == 2 or (rows.ndim == 3 and factor.shape[1] in (1, rows.shape[1]))


def _mixes(factor: EdgeRows, rows: EdgeRows) -> bool:
    """Under autocast spmm gives both one dtype, as long as neither is float64."""
    dtypes = {factor.dtype, rows.dtype}
    half = {torch.float32, torch.bfloat16, torch.float16}
    return torch.is_autocast_enabled(rows.device.type) and dtypes <= half
