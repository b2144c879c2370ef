"""The ways to a gradient through a fixed point."""

from dataclasses import dataclass
from typing import Literal

from .._errors import unknown_choice
from ._checks import check_count, check_positive

SOLVERS = ("gmres", "anderson", "picard")


@dataclass(frozen=True)
class Implicit:
    """The exact gradient of the fixed point, by the implicit function theorem.

    z* = f(z*, θ) has dz*/dθ = (I − J)⁻¹ ∂f/∂θ with J = ∂f/∂z at z*. For an incoming gradient v the
    backward pass solves u = v + Jᵀu and gives u to the one evaluation of f at z* that is kept: its
    memory does not depend on the number of steps. The gradient can itself be differentiated.

    Args:
        solver: how u is found: "gmres", which turns to plain steps where these shrank the residual
            by 0.6 or more or are exact; "anderson"; "picard".
        tol: ‖v + Jᵀu − u‖ / ‖v + Jᵀu‖ to reach; None: the tolerance of the solve.
        max_iter: the most products with Jᵀ.
        restart: directions that GMRES keeps.

    Raises:
        ValueError: an unknown solver, a number out of its range.

    Paper: L. B. Almeida, "A learning rule for asynchronous perceptrons with feedback in a
    combinatorial environment", ICNN 1987; F. J. Pineda, "Generalization of back-propagation to
    recurrent neural networks", Phys. Rev. Lett. 59, 1987.

    Example:
        >>> import torch
        >>> from gnnlib.fixed_point import solve
        >>> k = torch.tensor(0.5, requires_grad=True)
        >>> z, report = solve(lambda z: k * z + 1, torch.zeros(1), lipschitz=0.5)
        >>> z.sum().backward()  # z = 1 / (1 − k)
        >>> round(k.grad.item(), 3), report.backward.all_converged
        (4.0, True)
    """

    solver: Literal["gmres", "anderson", "picard"] = "gmres"
    tol: float | None = None
    max_iter: int = 200
    restart: int = 20

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise unknown_choice("solver", self.solver, SOLVERS)
        if self.tol is not None:
            check_positive("tol", self.tol)
        check_count("max_iter", self.max_iter)
        check_count("restart", self.restart)


@dataclass(frozen=True)
class Phantom:
    """A cheap approximate gradient: that of a few damped steps from the fixed point.

    z ← (1 − τ) z + τ f(z), k times from z* without its history, where τ is `tau`.

    Args:
        k: steps; their memory is kept.
        tau: damping. Small ones look further back.

    Raises:
        ValueError: k < 1, or tau outside (0, 1].

    Paper: Geng et al., "On Training Implicit Models", NeurIPS 2021.

    Example:
        >>> import torch
        >>> from gnnlib.fixed_point import solve
        >>> k = torch.tensor(0.5, requires_grad=True)
        >>> z, _ = solve(lambda z: k * z + 1, torch.zeros(1), backward=Phantom(k=3, tau=0.8))
        >>> z.sum().backward()
        >>> round(k.grad.item(), 3)  # 4 in the limit
        3.136
    """

    k: int = 5
    tau: float = 0.5

    def __post_init__(self) -> None:
        check_count("k", self.k)
        check_positive("tau", self.tau, most=1)


@dataclass(frozen=True)
class Unrolled:
    """No fixed point: a number of steps z ← f(z), and exact backpropagation through them.

    The iterative mode. Memory grows with the steps. There is no search and no stopping rule; the
    report tells how far from a fixed point the last step was. `torch.compile` and `torch.export`
    trace it, then without a report.

    Args:
        steps: how many.

    Raises:
        ValueError: steps < 1.

    Example:
        >>> import torch
        >>> from gnnlib.fixed_point import solve
        >>> z, report = solve(lambda z: 0.5 * z + 1, torch.zeros(1), backward=Unrolled(3))
        >>> z.item(), report.converged.item()
        (1.75, False)
    """

    steps: int

    def __post_init__(self) -> None:
        check_count("steps", self.steps)


Backward = Implicit | Phantom | Unrolled
