"""Steps to a relative residual of 1e-5, forward and adjoint, and the gradient error they leave.

    python -m benchmarks.fixed_point.steps

The mean of seeds 0 to 4. torchdeq counts as its `nstep` does. `gradient error` is the larger of
those of W and B against a float64 solve, ‖g − g64‖ / ‖g64‖, the median of the seeds.
"""

import statistics
from functools import partial

from benchmarks.fixed_point import sides
from benchmarks.fixed_point.problem import cora, errors, exact
from benchmarks.report import write

TOL = 1e-5
SEEDS = range(5)
MOST = {0.9: (27, 24), 0.98: (52, 56)}  # what gnnlib may take, forward and adjoint


def main() -> None:
    rows: list[dict[str, object]] = []
    contenders = {"gnnlib, Auto and GMRES": sides.gnnlib} | {
        f"torchdeq, {name}": partial(sides.torchdeq, solver=name, adjoint=name)
        for name in sides.TORCHDEQ
    }
    for kappa, (most_forward, most_adjoint) in MOST.items():
        for name, run in contenders.items():
            runs = [run(cora(kappa, seed), TOL, TOL) for seed in SEEDS]
            error = statistics.median(
                max(errors(one.gradients, exact(kappa, seed)))
                for seed, one in zip(SEEDS, runs, strict=True)
            )
            rows.append(
                {
                    "W": f"{kappa} I",
                    "side": name,
                    "forward": statistics.fmean(one.forward for one in runs),
                    "adjoint": statistics.fmean(one.adjoint for one in runs),
                    "limit for gnnlib": f"{most_forward} / {most_adjoint}",
                    "gradient error": error,
                }
            )
    write(
        "fixed_point_steps",
        f"Steps to a relative residual of {TOL:g}, Cora, 64 states",
        "python -m benchmarks.fixed_point.steps",
        rows,
    )


if __name__ == "__main__":
    main()
