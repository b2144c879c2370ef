"""What a fixed-point solve tells about itself."""

import enum
from dataclasses import dataclass, field

import torch
from torch import Tensor


class Status(enum.Enum):
    """How the solve of one problem ended."""

    CONVERGED = "converged"
    MAX_ITER = "reached max_iter"
    DIVERGED = "diverged"
    NONFINITE = "not finite"


@dataclass
class BackwardReport:
    """How the linear system of an implicit gradient was solved, u = v + Jᵀu.

    Attributes:
        solver: "gmres", "anderson", "picard", or "auto: …" in a batch where plain steps are exact
            for some problems.
        iterations: products with Jᵀ that each problem took, [B].
        residual: ‖v + Jᵀu − u‖ / ‖v + Jᵀu‖ at the end, [B].
        converged: [B].
        history: (iteration, residual [B]) at each look.
    """

    solver: str
    iterations: Tensor
    residual: Tensor
    converged: Tensor
    history: list[tuple[int, Tensor]] = field(default_factory=list, repr=False)

    @property
    def all_converged(self) -> bool:
        return bool(self.converged.all())


@dataclass
class Report:
    """What a fixed-point solve did, problem by problem. All tensors are on the CPU.

    Attributes:
        solver: the solver's name; after "auto" stands what it chose.
        iterations: evaluations of f that each problem took, [B].
        residual: the left side of the stopping rule at the end, [B]; see `Stop`.
        tol: its right side.
        converged: [B].
        status: one `Status` a problem.
        rate: by which factor the residual shrank from one plain step z ← f(z) to the next, at the
            last two of them, [B]; NaN where there were no two.
        lipschitz_bound: a proven bound on the Lipschitz constant of f; None: none is known.
        norm: the norm it holds in, "frobenius" or "node".
        certified: there is a proof that the fixed point is unique and the iteration reaches it.
        error_bound: L / (1 − L) ‖f(z) − z‖ in that norm, [B]: the result is at most so far from
            the fixed point, rounding aside. None without a bound below 1.
        evaluations: calls of f.
        node_updates: rows that were computed in them, all calls together.
        history: (iteration, residual [B]) at each look; a problem that has ended keeps its last.
        backward: filled when the gradient is computed; None until then, and for gradients that
            solve nothing.
    """

    solver: str
    iterations: Tensor
    residual: Tensor
    tol: float
    converged: Tensor
    status: list[Status]
    rate: Tensor
    lipschitz_bound: float | None
    norm: str
    certified: bool
    error_bound: Tensor | None
    evaluations: int
    node_updates: int
    history: list[tuple[int, Tensor]] = field(default_factory=list, repr=False)
    backward: BackwardReport | None = None

    @property
    def all_converged(self) -> bool:
        return bool(self.converged.all())

    def __str__(self) -> str:
        count = self.converged.shape[0]
        parts = [f"{int(self.converged.sum())} of {count} converged"] if count > 1 else []
        if count == 1:
            parts.append(self.status[0].value)
        if count:
            parts.append(f"in {int(self.iterations.max())} steps ({self.solver})")
            parts.append(f"residual {worst(self.residual):.1e}, tol {self.tol:.1e}")
        if self.lipschitz_bound is not None:
            parts.append(f"Lipschitz bound {self.lipschitz_bound:.4g} ({self.norm} norm)")
        parts.append("certified" if self.certified else "not certified")
        if self.backward is not None:
            end = "converged" if self.backward.all_converged else "not converged"
            steps = int(self.backward.iterations.max()) if count else 0
            parts.append(f"backward {end} in {steps} steps ({self.backward.solver})")
        return ", ".join(parts)


def worst(residual: Tensor) -> float:
    """The largest residual; NaN if any is, 0 if there is none."""
    return float(torch.amax(residual)) if residual.numel() else 0.0
