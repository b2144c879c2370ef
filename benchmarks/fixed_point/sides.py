"""gnnlib and torchdeq on a `Problem`: one call each that solves it and differentiates."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.fixed_point.problem import Problem

MAX_ITER = 1500
TORCHDEQ = {"Picard": "fixed_point_iter", "Anderson": "anderson", "Broyden": "broyden"}


class Run(NamedTuple):
    gradients: tuple[Tensor, ...]  # of W and B
    forward: int  # steps
    adjoint: int


def gnnlib(problem: Problem, forward_tol: float, adjoint_tol: float) -> Run:
    """With the default solvers, Auto and the GMRES adjoint."""
    from gnnlib.fixed_point import Implicit, Stop, solve

    state, report = solve(
        problem.step,
        problem.start,
        stop=Stop(tol=forward_tol, max_iter=MAX_ITER),
        backward=Implicit(tol=adjoint_tol, max_iter=MAX_ITER),
    )
    gradients = problem.gradients(state)
    assert report.backward is not None
    return Run(gradients, int(report.iterations), int(report.backward.iterations))


def torchdeq(
    problem: Problem,
    forward_tol: float,
    adjoint_tol: float,
    solver: str = "Picard",
    adjoint: str = "Picard",
) -> Run:
    """The state goes in as [1, N, S]: a [N, S] would be N problems to torchdeq."""
    steps: list[int] = []

    def write(info: dict[str, Tensor]) -> None:
        steps.append(int(info["nstep"].max()))

    states, info = _layer(forward_tol, adjoint_tol, solver, adjoint)(
        lambda z: problem.step(z[0])[None], problem.start[None], backward_writer=write
    )
    gradients = problem.gradients(states[-1][0])
    return Run(gradients, int(info["nstep"].max()), steps[-1])


@functools.cache
def _layer(forward_tol: float, adjoint_tol: float, solver: str, adjoint: str) -> torch.nn.Module:
    from torchdeq import get_deq  # pyright: ignore[reportMissingImports]

    # Broyden allocates two arrays of max_iter states before it begins.
    most = {name: 128 if name == "Broyden" else MAX_ITER for name in TORCHDEQ}
    return get_deq(
        ift=True,
        f_solver=TORCHDEQ[solver], f_tol=forward_tol, f_stop_mode="rel", f_max_iter=most[solver],
        b_solver=TORCHDEQ[adjoint], b_tol=adjoint_tol, b_stop_mode="rel", b_max_iter=most[adjoint],
    )  # fmt: skip
