"""solve: the fixed point of any contraction, with its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._memo import is_tracing
from ._iterate import Map, Narrow, bound_error, iterate
from ._space import Space
from ._steps import Solver
from .auto import Auto
from .backward import Backward, Implicit, Phantom, Unrolled
from .failure import OnFail, check_on_fail, tell
from .implicit import attach
from .lipschitz import Lipschitz
from .picard import Picard
from .report import Report
from .stop import Stop


def solve(
    fn: Callable[[Tensor], Tensor],
    z0: Tensor,
    *,
    segments: Tensor | None = None,
    solver: Solver | None = None,
    stop: Stop | None = None,
    backward: Backward | None = None,
    on_fail: OnFail = "raise",
    lipschitz: Lipschitz | float | None = None,
    narrow: Narrow | None = None,
    nilpotent: int | Tensor | None = None,
) -> tuple[Tensor, Report]:
    """The fixed point z* = f(z*), and a report of how it was found.

    Nothing here knows of graphs: f may be any map that keeps shape and dtype. The gradient reaches
    every tensor that f depends on.

    Args:
        fn: f, called with states like z0. It must give the same for the same state: dropout inside
            it needs one mask for all steps.
        z0: where the iteration starts, [N, …]. No gradient goes to it, except by `Unrolled`.
        segments: row pointers [B + 1] of independent problems: those of problem b are the rows
            segments[b] to segments[b + 1]. Each stops on its own. None: all is one problem.
        solver: `Auto()`, `Picard()` or `Anderson()`; None: Auto.
        stop: when to stop; None: `Stop()`.
        backward: `Implicit()`, `Phantom()` or `Unrolled(steps)`; None: Implicit.
        on_fail: "raise": divergence is an error, and a warning tells of a problem that reached
            `max_iter`; "warn": both are warnings; "ignore": the report alone tells.
        lipschitz: what is known of f's Lipschitz constant, for the report and for
            Stop(kind="error").
        narrow: `narrow(problems)` gives f for the rows of some problems alone (ids in ascending
            order). With it, problems that have arrived are no longer computed.
        nilpotent: a number of steps after which f no longer depends on where it began, as on a
            graph without cycles: so many plain steps are exact, and max_iter does not cut them. A
            tensor [B] has one number a problem, 0 where there is none.

    Returns:
        f(z) at the last state z, like z0, and the `Report`.

    Raises:
        FixedPointDivergence: NaN or infinity, or ‖f(z) − z‖ above 1000 times its least for 3 looks.
        ValueError: an option out of its range, segments that do not fit z0, Stop(kind="error")
            without a bound below 1, an f that changes shape or dtype.
        TypeError: something of another kind.

    Example:
        Kepler's equation E = M + e sin E, for four places of a planet and its gradient in e:

        >>> M, e = torch.tensor([0.5, 1.0, 1.5, 2.0]), torch.tensor(0.3, requires_grad=True)
        >>> E, report = solve(lambda E: M + e * E.sin(), torch.zeros(4), lipschitz=0.3)
        >>> E.detach()
        tensor([0.6912, 1.2881, 1.7926, 2.2360])
        >>> E.sum().backward()
        >>> report.certified, report.all_converged, round(e.grad.item(), 3)
        (True, True, 3.456)
    """
    solver = Auto() if solver is None else solver
    stop, backward = stop or Stop(), backward or Implicit()
    check_on_fail(on_fail)
    lipschitz = _as_lipschitz(lipschitz)
    _check(fn, z0, solver, stop, backward, lipschitz)
    if isinstance(backward, Unrolled) and is_tracing():
        return _unroll(fn, z0, backward.steps), None  # pyright: ignore[reportReturnType]
    segments = _check_segments(segments, z0)
    space = Space(segments, z0.shape[0] if z0.dim() else 1)
    if isinstance(backward, Unrolled):
        return _unrolled(fn, z0, space, stop, backward.steps, lipschitz, on_fail)
    exact = _as_steps(nilpotent, space.num_problems)
    return _solved(fn, z0, space, solver, stop, backward, on_fail, lipschitz, narrow, exact)


@torch.compiler.disable()
def _solved(
    fn: Map,
    z0: Tensor,
    space: Space,
    solver: Solver,
    stop: Stop,
    backward: Implicit | Phantom,
    on_fail: OnFail,
    lipschitz: Lipschitz,
    narrow: Narrow | None,
    nilpotent: np.ndarray | None,
) -> tuple[Tensor, Report]:
    inner = _on_rows(fn, z0)
    small = None
    if (make := narrow) is not None:
        small = lambda problems: _on_rows(make(problems), z0)  # noqa: E731
    start = _rows(z0.detach())
    z, fz, report = iterate(inner, start, space, solver, stop, lipschitz, small, nilpotent)
    bound_error(report, space, fz - z, lipschitz)
    tell(report, on_fail, lipschitz)
    if torch.is_grad_enabled():
        if isinstance(backward, Phantom):
            for _ in range(backward.k):
                fz = fz.lerp(inner(fz), backward.tau)
        else:
            tol = stop.tol if backward.tol is None else backward.tol
            tol = Stop(tol).tolerance(z.dtype)
            fz = attach(inner, z, space, backward, tol, on_fail, nilpotent, report)
    return fz.view(z0.shape), report


def _unroll(fn: Map, z: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        z = fn(z)
    return z


def _unrolled(
    fn: Map,
    z0: Tensor,
    space: Space,
    stop: Stop,
    steps: int,
    lipschitz: Lipschitz,
    on_fail: OnFail,
) -> tuple[Tensor, Report]:
    z = _unroll(_checked(fn, z0), z0, steps - 1)
    out = fn(z)
    # The last step once more in the books, so that the report says how far from fixed it is.
    once = Stop(stop.tol, stop.kind, max_iter=1)
    with torch.no_grad():
        rows, result = _rows(z.detach()), _rows(out.detach())
        _, _, report = iterate(lambda _: result, rows, space, Picard(), once, lipschitz)
        bound_error(report, space, result - rows, lipschitz)
    report.solver = "unrolled"
    report.iterations += steps - 1
    report.evaluations += steps - 1
    report.node_updates *= steps
    report.history = [(steps, residual) for _, residual in report.history]
    if not torch.isfinite(report.residual).all():
        tell(report, on_fail, lipschitz)
    return out, report


def _rows(z: Tensor) -> Tensor:
    """[N, …] as [N, D]."""
    return z.reshape(1, -1) if z.dim() == 0 else z.reshape(z.shape[0], z.shape[1:].numel())


def _on_rows(fn: Map, z0: Tensor) -> Map:
    """f between states [N, D], with N of its own."""
    tail = z0.shape[1:]
    checked = _checked(fn, z0)
    if z0.dim() == 2:
        return checked
    if z0.dim() == 0:
        return lambda z: checked(z.view(())).reshape(1, 1)
    return lambda z: _rows(checked(z.view(z.shape[:1] + tail)))


def _checked(fn: Map, z0: Tensor) -> Map:
    def call(z: Tensor) -> Tensor:
        out = fn(z)
        if not isinstance(out, Tensor):
            raise TypeError(f"fn must return a tensor, got {type(out).__name__}")
        if out.shape != z.shape or out.dtype != z0.dtype or out.device != z0.device:
            raise ValueError(
                f"fn must keep the shape, dtype and device of the state: got {tuple(out.shape)}, "
                f"{out.dtype}, {out.device} from {tuple(z.shape)}, {z0.dtype}, {z0.device}"
            )
        return out

    return call


def _as_lipschitz(value: Lipschitz | float | None) -> Lipschitz:
    if value is None or isinstance(value, Lipschitz):
        return value or Lipschitz(None)
    return Lipschitz(float(value))


def _check(
    fn: Any,
    z0: Any,
    solver: Any,
    stop: Any,
    backward: Any,
    lipschitz: Lipschitz,
) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__}")
    if not isinstance(z0, Tensor):
        raise TypeError(f"z0 must be a tensor, got {type(z0).__name__}")
    if not z0.is_floating_point():
        raise TypeError(f"z0 must be a floating tensor, got {z0.dtype}: use z0.float()")
    if not hasattr(solver, "start"):
        raise TypeError(f"solver must be Auto(), Picard() or Anderson(), got {solver!r}")
    if not isinstance(stop, Stop):
        raise TypeError(f"stop must be a Stop, got {stop!r}")
    if not isinstance(backward, Backward):
        raise TypeError(f"backward must be Implicit(), Phantom() or Unrolled(), got {backward!r}")
    if stop.kind == "error" and not lipschitz.contracts:
        raise ValueError(
            f"Stop(kind='error') needs a Lipschitz bound below 1, got {lipschitz.bound}: take "
            "kind='graph' or 'node'"
        )


def _as_steps(nilpotent: Any, count: int) -> np.ndarray | None:
    if nilpotent is None:
        return None
    if isinstance(nilpotent, Tensor):
        if nilpotent.shape != (count,) or nilpotent.is_floating_point() or (nilpotent < 0).any():
            raise ValueError(
                f"nilpotent must be one int of 0 or more for each of {count} problems, got "
                f"{nilpotent.dtype} of shape {tuple(nilpotent.shape)}"
            )
        return nilpotent.cpu().numpy().astype(np.int64)
    if not isinstance(nilpotent, int) or nilpotent < 1:
        raise ValueError(f"nilpotent must be a number of steps, at least 1, got {nilpotent!r}")
    return np.full(count, nilpotent)


def _check_segments(segments: Tensor | None, z0: Tensor) -> Tensor | None:
    if segments is None:
        return None
    if not isinstance(segments, Tensor) or segments.dtype not in (torch.int32, torch.int64):
        kind = segments.dtype if isinstance(segments, Tensor) else type(segments).__name__
        raise TypeError(f"segments must be a tensor of int32 or int64 row pointers, got {kind}")
    if z0.dim() == 0 or segments.dim() != 1 or segments.shape[0] < 1:
        raise ValueError(
            f"segments must be row pointers [B + 1] of z0 [N, …], got {tuple(segments.shape)} for "
            f"z0 of shape {tuple(z0.shape)}"
        )
    ends = segments[[0, -1]].tolist()
    if ends != [0, z0.shape[0]] or bool((segments.diff() < 0).any()):
        raise ValueError(
            f"segments must rise from 0 to the {z0.shape[0]} rows of z0, got {ends[0]} … {ends[1]}"
        )
    return segments.to(z0.device)
