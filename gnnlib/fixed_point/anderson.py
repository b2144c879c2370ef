"""Anderson's acceleration."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ._checks import check_count, check_positive
from ._space import Space
from ._steps import Problem


@dataclass(frozen=True)
class Anderson:
    """Steps to the mix of the last m states whose residuals cancel best (Anderson mixing).

    z ← Σᵢ αᵢ (zᵢ + β rᵢ),  rᵢ = f(zᵢ) − zᵢ,  α = argmin ‖Σᵢ αᵢ rᵢ‖² + λ Σᵢ αᵢ² ‖rᵢ‖²,  Σᵢ αᵢ = 1

    where β is `damping` and λ = 8 eps, the rounding error of <rᵢ, rⱼ> / (‖rᵢ‖ ‖rⱼ‖): relative,
    since an absolute one would outweigh the residuals of small problems, and those of the adjoints
    of mean losses always are. Each problem of a batch has coefficients of its own. A problem whose
    residual grows beyond `restart` times its best forgets its states.

    Args:
        m: states that are remembered.
        damping: β.
        restart: see above.

    Raises:
        ValueError: a number out of its range.

    Paper: D. G. Anderson, "Iterative Procedures for Nonlinear Integral Equations", J. ACM 12(4),
    1965; H. F. Walker and P. Ni, "Anderson Acceleration for Fixed-Point Iterations", SIAM J. Numer.
    Anal. 49(4), 2011.

    Example:
        >>> from gnnlib.fixed_point import solve
        >>> _, report = solve(lambda z: 0.99 * z + 1, torch.zeros(3), solver=Anderson())
        >>> int(report.iterations)  # plain steps would be about 1300
        4
    """

    m: int = 8
    damping: float = 1.0
    restart: float = 100.0

    def __post_init__(self) -> None:
        check_count("m", self.m)
        check_positive("damping", self.damping, most=1)
        check_positive("restart", self.restart)

    def start(self, problem: Problem) -> "AndersonSteps":
        return AndersonSteps(self, problem.space)


class AndersonSteps:
    name = "anderson"
    plain = False

    def __init__(self, settings: Anderson, space: Space):
        self.settings = settings
        self.space = space
        self.count = 0
        self.states = self.diffs = self.gram = self.known = self.best = None

    def next(self, z: Tensor, fz: Tensor, diff: Tensor, residual: Tensor | None) -> Tensor:
        states, diffs, gram, known = self._memory(fz)
        slot = self.count % self.settings.m
        self.count += 1
        states[slot], diffs[slot] = fz, diff
        used = min(self.count, self.settings.m)
        row = self.space.dots(diffs[:used], diff).double()  # [B, m]
        gram[:, slot, :used] = gram[:, :used, slot] = row
        if residual is not None:
            self._forget_if_grown(residual, known)
        known[:, slot] = True
        if used == 1:
            return fz if self.settings.damping == 1 else z.lerp(fz, self.settings.damping)
        ridge = 8 * torch.finfo(fz.dtype).eps
        alpha = _mixture(gram[:, :used, :used], known[:, :used], slot, ridge).to(fz.dtype)
        mixed = self.space.combine(alpha, states[:used])
        if self.settings.damping < 1:
            back = self.space.combine(alpha, diffs[:used])
            mixed = mixed.sub_(back, alpha=1 - self.settings.damping)
        return mixed

    def _memory(self, fz: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.states is None:
            m, count = self.settings.m, self.space.num_problems
            self.states = fz.new_empty((m,) + fz.shape)
            self.diffs = torch.empty_like(self.states)
            self.gram = fz.new_zeros((count, m, m), dtype=torch.float64)
            self.known = torch.zeros(count, m, dtype=torch.bool, device=fz.device)
        assert self.diffs is not None and self.gram is not None and self.known is not None
        return self.states, self.diffs, self.gram, self.known

    def _forget_if_grown(self, residual: Tensor, known: Tensor) -> None:
        if self.best is None:
            self.best = residual
            return
        grown = residual > self.settings.restart * self.best
        self.best = torch.minimum(self.best, residual)
        if grown.any():
            known &= ~grown.to(known.device).unsqueeze(1)
            self.best = torch.where(grown, residual, self.best)

    def keep(self, space: Space, problems: Tensor, rows: Tensor) -> None:
        self.space = space
        if self.states is not None:
            assert self.diffs is not None and self.gram is not None and self.known is not None
            self.states, self.diffs = self.states[:, rows], self.diffs[:, rows]
            self.gram, self.known = self.gram[problems], self.known[problems]
        if self.best is not None:
            self.best = self.best[problems.cpu()]


def _mixture(gram: Tensor, known: Tensor, latest: int, ridge: float) -> Tensor:
    """α of each problem, [B, m]; 0 at the states it has forgotten."""
    inverse = gram.diagonal(dim1=1, dim2=2).rsqrt()  # 1 / ‖rᵢ‖
    inverse = torch.where(known & (inverse < torch.inf), inverse, 0)
    eye = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    matrix = gram * (inverse.unsqueeze(1) * inverse.unsqueeze(2)) + ridge * eye
    alpha = inverse * torch.linalg.solve_ex(matrix, inverse)[0]
    alpha = alpha / alpha.sum(1, keepdim=True)
    # A residual of 0, or one that is not finite: a plain step.
    return torch.where(torch.isfinite(alpha).all(1, keepdim=True), alpha, eye[latest])
