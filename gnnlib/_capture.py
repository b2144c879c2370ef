"""What a function takes from outside: the tensors with gradient that are none of its arguments.

A message, and the map of a fixed point, are differentiated in a backward pass of their own, and the
gradients of such tensors, parameters above all, must come out of it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_active: list[Outside] = []


class Outside(TorchFunctionMode):
    """Notes the tensors with gradient that the user's code takes from outside.

    Such a tensor is a leaf, or the result of a node of the autograd graph that is older than this
    object: nodes count up. The code gets a stand-in for it, where gradients end. Otherwise that of
    a parameter would contain what flows back through another captured tensor made of it, and the
    graph outside adds that again.

    Args:
        tensors: those already known.
        stand_ins: for each of them.
    """

    def __init__(self, tensors: Sequence[Tensor] = (), stand_ins: Sequence[Tensor] = ()):
        super().__init__()
        self.pairs = {id(t): (t, s) for t, s in zip(tensors, stand_ins, strict=True)}
        self.inside = {id(s) for s in stand_ins}
        with torch.enable_grad():
            marker = torch.zeros((), requires_grad=True).clone()
        assert marker.grad_fn is not None
        self.start = marker.grad_fn._sequence_nr()

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for tensor, _ in self.pairs.values()]

    @property
    def stand_ins(self) -> list[Tensor]:
        return [stand_in for _, stand_in in self.pairs.values()]

    def __enter__(self):
        _active.append(self)
        return super().__enter__()

    def __exit__(self, *exception):
        _active.remove(self)
        return super().__exit__(*exception)

    def explains(self, result: Tensor, known: Iterable[Tensor] = ()) -> bool:
        """Whether the graph of `result` begins in stand-ins and `known` leaves alone.

        What goes to a user's autograd.Function is not seen, so it need not.
        """
        leaves = {id(t) for t in known} | self.inside
        pending, seen = [result.grad_fn], set()
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if (id(leaf) not in leaves) if leaf is not None else (node._sequence_nr() < self.start):
                return False
            pending += [following for following, _ in node.next_functions]
        return True

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*self._swap(args), **self._swap(kwargs or {}))

    def _swap(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._stand_in(value) if value.requires_grad else value
        if type(value) in (list, tuple):
            return type(value)(map(self._swap, value))
        if type(value) is dict:
            return {key: self._swap(item) for key, item in value.items()}
        return value

    def _stand_in(self, tensor: Tensor) -> Tensor:
        key = id(tensor)
        if key not in self.pairs:
            made_here = tensor.grad_fn is not None and tensor.grad_fn._sequence_nr() >= self.start
            if made_here or key in self.inside:
                return tensor
            leaf = leaf_of(tensor)
            self.pairs[key] = tensor, leaf
            self.inside.add(id(leaf))
        return self.pairs[key][1]


def sees_all(message: Callable[[list[Tensor]], Tensor], edges: list[Tensor]) -> bool:
    """Whether Outside sees all that a message of `edges` takes from outside.

    It does not see what goes to an autograd.Function: then only torch's own autograd, over all
    edges at once, is sure to be right.
    """
    outside = Outside()
    with outside:
        result = message(writable(edges))
    return outside.explains(result, edges)


def leaf_of(tensor: Tensor) -> Tensor:
    leaf = tensor.detach().requires_grad_()
    for outside in _active:  # one that looks on from further out must not take it for a parameter
        outside.inside.add(id(leaf))
    return leaf


def writable(edges: list[Tensor]) -> list[Any]:
    """The same memory, but no leaf: the user's code may write into it."""
    return [_Alias.apply(edge) if edge.requires_grad else edge for edge in edges]


class _Alias(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        return tensor.detach()

    @staticmethod
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad
