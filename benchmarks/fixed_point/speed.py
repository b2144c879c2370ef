"""Forward and backward time at equal gradient error, against torchdeq's fastest setting.

    python -m benchmarks.fixed_point.speed

The error to reach is that of torchdeq's Picard iteration at a relative residual of 1e-5: for W and
for B, the median and the worst of seeds 0 to 2 (in a few seeds an entry of Z lies so near the kink
of relu that it falls on the other side, and its gradient with it). Each side then has the fastest
of all its settings that reach it: forward and adjoint tolerances of their own, from 1e-4 to 1e-6,
and for torchdeq each pair of its solvers. gnnlib keeps its default solvers. The settings are found
by a rough timing; the fastest few are then timed in turns, on seed 0.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.fixed_point import sides
from benchmarks.fixed_point.problem import cora, errors, exact
from benchmarks.report import write
from benchmarks.timing import interleave

SEEDS = range(3)
TOLERANCES = [10 ** (-4 - k / 2) for k in range(5)]
LEAST = {0.5: 1.0, 0.9: 2.0, 0.98: 2.8}  # times faster than torchdeq's best

Side = Callable[..., sides.Run]  # (problem, forward_tol, adjoint_tol)


class Setting(NamedTuple):
    seconds: float  # of the fastest seed, each timed once
    name: str
    solve: Callable[[], sides.Run]
    steps: str
    errors: list[float]  # of W and of B: the medians, then the worst of the seeds


def measure(name: str, side: Side, kappa: float, forward: float, adjoint: float) -> Setting:
    seconds, found = [], []
    for seed in SEEDS:
        problem, reference = cora(kappa, seed), exact(kappa, seed)
        start = time.perf_counter()
        run = side(problem, forward, adjoint)
        seconds.append(time.perf_counter() - start)
        found.append((run, errors(run.gradients, reference)))
    runs, each = zip(*found, strict=True)
    by_gradient = list(zip(*each, strict=True))
    return Setting(
        min(seconds),
        f"{name}, {forward:.0e} / {adjoint:.0e}",
        partial(side, cora(kappa), forward, adjoint),
        f"{runs[0].forward} / {runs[0].adjoint}",
        [summary(one) for summary in (statistics.median, max) for one in by_gradient],
    )


def frontier(name: str, side: Side, kappa: float, limits: list[float]) -> list[Setting]:
    """The loosest pairs of tolerances within the limits. A looser forward one allows only a
    tighter adjoint one, so they are met on one walk down a staircase."""
    found: list[Setting] = []
    tightness = len(TOLERANCES) - 1
    for forward in TOLERANCES:
        while tightness >= 0:
            setting = measure(name, side, kappa, forward, TOLERANCES[tightness])
            if any(got > limit for got, limit in zip(setting.errors, limits, strict=True)):
                break
            found.append(setting)
            tightness -= 1
    return sorted(found)


def torchdeq(kappa: float, limits: list[float]) -> list[Setting]:
    found: list[Setting] = []
    for forward, adjoint in itertools.product(sides.TORCHDEQ, repeat=2):
        side = partial(sides.torchdeq, solver=forward, adjoint=adjoint)
        start = time.perf_counter()
        side(cora(kappa), TOLERANCES[0], TOLERANCES[0])
        # What is slower than the best at the loosest tolerances is slower at any others.
        if not found or time.perf_counter() - start < min(found).seconds:
            found += frontier(f"torchdeq, {forward} / {adjoint}", side, kappa, limits)
    return sorted(found)


def compare(kappa: float, rounds: int = 15) -> list[dict[str, object]]:
    goal = measure("torchdeq, Picard / Picard", sides.torchdeq, kappa, 1e-5, 1e-5)
    ours = frontier("gnnlib", sides.gnnlib, kappa, goal.errors)
    chosen = [*ours[:2], *torchdeq(kappa, goal.errors)[:3]]
    seconds = interleave({one.name: one.solve for one in chosen}, rounds)
    best = min(time for name, time in seconds.items() if name.startswith("gnnlib"))
    return [
        {
            "W": f"{kappa} I",
            "side": one.name,
            "steps": one.steps,
            "error W": one.errors[0],
            "error B": one.errors[1],
            "worst W": one.errors[2],
            "worst B": one.errors[3],
            "ms": 1e3 * seconds[one.name],
            "× gnnlib": seconds[one.name] / best,
            "at least": LEAST[kappa],
        }
        for one in sorted(chosen, key=lambda one: seconds[one.name])
    ]


def main() -> None:
    rows = [row for kappa in LEAST for row in compare(kappa)]
    write(
        "fixed_point_speed",
        "Forward and backward at equal gradient error, Cora, 64 states, CPU",
        "python -m benchmarks.fixed_point.speed",
        rows,
    )


if __name__ == "__main__":
    main()
