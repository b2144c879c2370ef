"""What the fixed-point layers of a model say about their last solves."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from ..fixed_point import Report


class Convergence(NamedTuple):
    """The worst of all layers and graphs.

    `iterations` and `residual` are those of the solve in the forward pass, `backward_iterations`
    those of the adjoint solve, None where there was none. `residual` is None when it is not finite.
    """

    iterations: int
    backward_iterations: int | None
    residual: float | None
    converged: bool  # forward and, where there was one, backward


def reports_of(model: nn.Module) -> dict[str, Report]:
    """The last report of each fixed-point layer: of each module that has a `last_report`."""
    found: dict[int, tuple[str, Report]] = {}
    for name, module in model.named_modules():
        report = getattr(module, "last_report", None)
        if report is not None:  # a module that hands on the report of a layer in it gives its place
            found[id(report)] = name, report
    return dict(found.values())


def convergence_of(model: nn.Module) -> Convergence | None:
    """How the last solves of a model ended; None for a model without fixed-point layers."""
    reports = list(reports_of(model).values())
    if not reports:
        return None
    adjoints = [report.backward for report in reports if report.backward is not None]
    residual = torch.cat([report.residual for report in reports]).max().item()  # NaN wins
    return Convergence(
        iterations=max(int(report.iterations.max()) for report in reports),
        backward_iterations=max((int(a.iterations.max()) for a in adjoints), default=None),
        residual=residual if math.isfinite(residual) else None,
        converged=all(bool(part.converged.all()) for part in [*reports, *adjoints]),
    )


def worst_of(solves: Sequence[Convergence | None]) -> Convergence | None:
    """The worst of several passes; None if a model without fixed-point layers made them.

    Example:
        >>> worst_of([Convergence(3, 2, 0.1, True), Convergence(5, None, None, False)])
        Convergence(iterations=5, backward_iterations=2, residual=None, converged=False)
    """
    known = [solve for solve in solves if solve is not None]
    if not known:
        return None
    adjoints = [s.backward_iterations for s in known if s.backward_iterations is not None]
    residuals = [s.residual for s in known if s.residual is not None]
    return Convergence(
        iterations=max(s.iterations for s in known),
        backward_iterations=max(adjoints, default=None),
        residual=max(residuals) if len(residuals) == len(known) else None,
        converged=all(s.converged for s in known),
    )
