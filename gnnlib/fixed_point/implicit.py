"""The gradient of a fixed point by the implicit function theorem, to any order."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._capture import Outside, leaf_of
from ._iterate import Map, iterate
from ._space import Space
from .anderson import Anderson
from .auto import Auto
from .backward import Implicit
from .failure import OnFail, tell_backward
from .gmres import gmres
from .lipschitz import Lipschitz
from .picard import Picard
from .report import BackwardReport, Report
from .stop import Stop

FAST = 0.6  # a rate at which plain steps need no help


def attach(
    fn: Map,
    z: Tensor,
    space: Space,
    backward: Implicit,
    tol: float,
    on_fail: OnFail,
    nilpotent: np.ndarray | None,
    report: Report,
) -> Tensor:
    """f(z) at a solved z, with the gradient of the fixed point.

    One evaluation of f is kept. What it depends on is found while it runs, so parameters and
    captured tensors need not be named.
    """
    adjoint = _Adjoint(fn, space, backward, tol, on_fail, nilpotent, report, z.device.type)
    outside = Outside()
    with torch.enable_grad(), outside:
        start = leaf_of(z)
        adjoint.out = fn(start)
    if outside.explains(adjoint.out, [start]):
        adjoint.start, adjoint.outside = start, outside
        adjoint.versions = [t._version for t in outside.tensors]
        if not outside.tensors:
            return adjoint.out.detach()
        return _Implicit.apply(adjoint, *outside.tensors)
    with torch.enable_grad():
        adjoint.start = _Start.apply(z, z.new_zeros(0).requires_grad_())
        adjoint.out = fn(adjoint.start)
    return _Through.apply(adjoint, adjoint.out)


class _Implicit(torch.autograd.Function):
    """f(z) as a function of what f takes from outside. That is not saved once more: f holds it."""

    @staticmethod
    def forward(ctx, adjoint, *taken):
        result = adjoint.out.detach()
        ctx.adjoint = adjoint
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, v):
        wanted = [n for n, want in enumerate(ctx.needs_input_grad[1:]) if want]
        # An autocast around backward() is not to round the products with Jᵀ: no system of half
        # precision is solved to the tolerance of f's dtype.
        with torch.autocast(v.device.type, enabled=False):
            if torch.is_grad_enabled():
                found = ctx.adjoint.differentiable(ctx.saved_tensors[0], wanted, v)
            else:
                found = ctx.adjoint.first_order(wanted, v)
        grads: list[Tensor | None] = [None] * (len(ctx.needs_input_grad) - 1)
        for n, grad in zip(wanted, found, strict=True):
            grads[n] = grad
        return None, *grads


class _Start(torch.autograd.Function):
    """z as the beginning of a graph of its own that no gradient leaves: a leaf would keep one."""

    @staticmethod
    def forward(ctx, z, anchor):
        return z.view_as(z)

    @staticmethod
    def backward(ctx, grad):
        return None, None


class _Through(torch.autograd.Function):
    """The identity on f(z), whose backward turns v into u = v + Jᵀu. For an f that hands tensors
    to an autograd.Function of the user's, where what it takes from outside is not seen."""

    @staticmethod
    def forward(ctx, adjoint, out):
        ctx.adjoint = adjoint
        return out.view_as(out)

    @staticmethod
    def backward(ctx, v):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "no second derivative (create_graph=True) through a map that hands tensors to an "
                "autograd.Function: write it with torch's operations"
            )
        with torch.autocast(v.device.type, enabled=False):
            return None, ctx.adjoint.solve(v)


class _Adjoint:
    """The linear system of one solve's gradient."""

    out: Tensor  # f at the fixed point, as a function of `start` and of the stand-ins
    start: Tensor
    outside: Outside
    versions: list[int]  # of the tensors from outside, when they were taken

    def __init__(
        self,
        fn: Map,
        space: Space,
        backward: Implicit,
        tol: float,
        on_fail: OnFail,
        nilpotent: np.ndarray | None,
        report: Any,
        device: str,
    ):
        self.fn = fn
        self.space = space
        self.backward = backward
        self.tol = tol
        self.on_fail: OnFail = on_fail
        self.nilpotent = nilpotent
        self.report = report
        # f is computed again for second derivatives: then as now.
        self.autocast = functools.partial(
            torch.autocast,
            device,
            torch.get_autocast_dtype(device),
            torch.is_autocast_enabled(device),
        )

    def first_order(self, wanted: list[int], v: Tensor) -> Sequence[Tensor | None]:
        """The gradients of the tensors that f takes from outside, those of the wanted numbers."""
        stand_ins = [self.outside.stand_ins[n] for n in wanted]
        u = self.solve(v)
        return torch.autograd.grad(self.out, stand_ins, u, retain_graph=True, allow_unused=True)

    def differentiable(self, z: Tensor, wanted: list[int], v: Tensor) -> Sequence[Tensor | None]:
        """The same as a function of v, of the fixed point z and of all that f depends on.

        u is the fixed point of u ↦ v + J(z)ᵀu, with the implicit gradient in its turn.
        """
        taken = self.outside.tensors
        if self.versions != [t._version for t in taken]:
            raise RuntimeError("a tensor that f depends on was changed in place before backward")
        views = [t.view_as(t) for t in taken]  # where the gradients end, as at the stand-ins
        here = z.view_as(z)
        with Outside([*taken, here], [*views, here]), self.autocast():
            out = self.fn(here)

        def adjoint(u: Tensor) -> Tensor:
            here = z.view_as(z)
            with self.autocast():
                out = self.fn(here)
            return v + torch.autograd.grad(out, here, u, create_graph=True)[0]

        u = attach(
            adjoint, self.solve(v.detach()), self.space, self.backward, self.tol, self.on_fail,
            self.nilpotent, self.report,
        )  # fmt: skip
        chosen = [views[n] for n in wanted]
        return torch.autograd.grad(out, chosen, u, create_graph=True, allow_unused=True)

    @torch.no_grad()
    def solve(self, v: Tensor) -> Tensor:
        """u = v + Jᵀu."""

        def product(u: Tensor) -> Tensor:
            return torch.autograd.grad(self.out, self.start, u, retain_graph=True)[0]

        method, tol = self.backward, self.tol
        if method.solver != "gmres":
            u, done = self._iterate(method.solver, product, v)
        else:
            # The rate may have been that of the first steps alone: then they are not the last word.
            chosen = self._plain_first()
            u, plain = (v, None) if chosen is None else self._iterate(chosen, product, v)
            done = plain
            if done is None or not done.all_converged:
                u, done = gmres(product, v, self.space, tol, method.max_iter, method.restart)
                done.iterations += 0 if plain is None else plain.iterations
        self.report.backward = done
        tell_backward(done, tol, self.on_fail)
        return u

    def _plain_first(self) -> str | None:
        """The solver to try before GMRES. Its directions are too few where plain steps are exact
        after many."""
        is_exact = False if self.nilpotent is None else self.nilpotent > 0
        if not self.report.rate.numel():
            return None
        if np.all(is_exact | (self.report.rate.numpy() < FAST)):
            return "picard"
        return "auto" if np.any(is_exact) else None

    def _iterate(
        self, chosen: str, product: Callable[[Tensor], Tensor], v: Tensor
    ) -> tuple[Tensor, BackwardReport]:
        solver = {"picard": Picard(), "anderson": Anderson(), "auto": Auto()}[chosen]
        stop = Stop(self.tol, max_iter=self.backward.max_iter)
        _, u, report = iterate(
            lambda u: v + product(u), v, self.space, solver, stop, Lipschitz(None),
            nilpotent=self.nilpotent,
        )  # fmt: skip
        return u, BackwardReport(
            report.solver, report.iterations, report.residual, report.converged, report.history
        )
