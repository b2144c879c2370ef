"""What happens when an iteration does not arrive."""

import warnings
from typing import Literal

import torch

from .._errors import unknown_choice
from .lipschitz import Lipschitz
from .report import BackwardReport, Report, Status, worst

OnFail = Literal["raise", "warn", "ignore"]
ON_FAIL = ("raise", "warn", "ignore")


class FixedPointDivergence(RuntimeError):
    """A fixed-point iteration left every bound, or met NaN or infinity.

    Attributes:
        report: the `Report` (or `BackwardReport`) of the solve.
        graphs: the ids of the problems that failed; each is a graph where a conv solves.
    """

    def __init__(self, message: str, report: Report | BackwardReport, graphs: list[int]):
        super().__init__(message)
        self.report = report
        self.graphs = graphs

    def __reduce__(self):
        # By default an exception is copied and pickled with its message alone.
        return type(self), (str(self), self.report, self.graphs)


class FixedPointWarning(UserWarning):
    """A fixed-point iteration ended before its residual was below the tolerance."""


def check_on_fail(on_fail: str) -> None:
    if on_fail not in ON_FAIL:
        raise unknown_choice("on_fail", on_fail, ON_FAIL)


def tell(report: Report, on_fail: OnFail, lipschitz: Lipschitz) -> None:
    """Raises or warns about the problems of a forward solve that failed."""
    if on_fail == "ignore" or report.all_converged:
        return
    nonfinite = [b for b, status in enumerate(report.status) if status is Status.NONFINITE]
    diverged = [b for b, status in enumerate(report.status) if status is Status.DIVERGED]
    text = None
    if nonfinite:
        first = min(int(report.iterations[b]) for b in nonfinite)
        text = f"f(z) is not finite{_named(nonfinite, report)} at step {first}"
        if first == 1:
            text += ": it is so at the start, look for NaN or infinity in x and in the weights"
        else:
            text += f"; {_remedies(report, nonfinite, lipschitz)}"
    elif diverged:
        text = (
            f"the iteration diverges{_named(diverged, report)}; "
            f"{_remedies(report, diverged, lipschitz)}"
        )
    if text is not None:
        if on_fail == "raise":
            raise FixedPointDivergence(text, report, nonfinite + diverged)
        warnings.warn(text, FixedPointWarning, stacklevel=4)
    slow = [b for b, status in enumerate(report.status) if status is Status.MAX_ITER]
    if slow:
        reached = worst(report.residual[slow])
        steps = int(report.iterations[slow].max())
        warnings.warn(
            f"no fixed point within max_iter={steps} steps{_named(slow, report)}: residual "
            f"{reached:.1e} is above tol {report.tol:.1e}; the state used is the last one"
            f"{_rate(report, slow)}; {_patience(report, slow, lipschitz)}",
            FixedPointWarning,
            stacklevel=4,
        )


def tell_backward(report: BackwardReport, tol: float, on_fail: OnFail) -> None:
    """Raises or warns about the linear systems of a backward pass that failed."""
    if on_fail == "ignore" or report.all_converged:
        return
    failed = (~report.converged).nonzero().flatten().tolist()
    where = _listed(failed, report.converged.shape[0])
    reached = worst(report.residual[failed])
    text = (
        f"the gradient's linear system is not solved{where}: residual {reached:.1e} after "
        f"{int(report.iterations[failed].max())} products ({report.solver}) is above tol {tol:.1e}"
    )
    if on_fail == "raise" and not torch.isfinite(report.residual[failed]).all():
        raise FixedPointDivergence(text, report, failed)
    warnings.warn(text, FixedPointWarning, stacklevel=3)


def _remedies(report: Report, graphs: list[int], lipschitz: Lipschitz) -> str:
    bound = lipschitz.bound
    if lipschitz.certified:
        shown = "" if bound is None else f" (bound {bound:.4g})"
        return f"the map is a certified contraction{shown}: look for NaN or infinity in its inputs"
    known = (
        "no Lipschitz bound is known" if bound is None else f"its Lipschitz bound is {bound:.4g}"
    )
    return (
        f"f is not known to be a contraction: {known}{_rate(report, graphs)}. Take "
        "contraction=Contraction(kappa=0.9), a smaller kappa, Picard(damping=0.5), or "
        "backward=Unrolled(steps)"
    )


def _patience(report: Report, graphs: list[int], lipschitz: Lipschitz) -> str:
    """What to do about a solve that takes too long; one that does not shrink has no end."""
    if not lipschitz.certified and (report.rate[graphs] >= 1).any():
        return "such steps do not converge: take a contraction, or backward=Unrolled(steps)"
    return "a larger max_iter or tol, or a smaller kappa, ends this"


def _rate(report: Report, graphs: list[int]) -> str:
    rate = report.rate[graphs]
    rate = rate[torch.isfinite(rate)]
    return f", the measured rate {float(rate.max()):.3g} a step" if rate.numel() else ""


def _named(graphs: list[int], report: Report) -> str:
    return _listed(graphs, len(report.status))


def _listed(graphs: list[int], count: int) -> str:
    if count == 1:
        return ""
    if len(graphs) == 1:
        return f" in graph {graphs[0]}"
    shown = ", ".join(map(str, graphs[:5])) + (", …" if len(graphs) > 5 else "")
    return f" in {len(graphs)} of {count} graphs ({shown})"
