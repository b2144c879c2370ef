"""Picard's iteration: z ← f(z)."""

from dataclasses import dataclass

from torch import Tensor

from ._checks import check_positive
from ._space import Space
from ._steps import Problem


@dataclass(frozen=True)
class Picard:
    """Plain steps, z ← z + β (f(z) − z).

    Converges from any start where f is a contraction, by its Lipschitz constant a step.

    Args:
        damping: β. Below 1 it can tame a map that overshoots.

    Raises:
        ValueError: damping outside (0, 1].

    Example:
        >>> import torch
        >>> from gnnlib.fixed_point import solve
        >>> z, report = solve(torch.cos, torch.zeros(1), solver=Picard(), lipschitz=0.9)
        >>> round(z.item(), 4)
        0.7391
    """

    damping: float = 1.0

    def __post_init__(self) -> None:
        check_positive("damping", self.damping, most=1)

    def start(self, problem: Problem) -> "PicardSteps":
        return PicardSteps(self.damping)


class PicardSteps:
    name = "picard"

    def __init__(self, damping: float = 1.0):
        self.damping = damping
        self.plain = damping == 1

    def next(self, z: Tensor, fz: Tensor, diff: Tensor, residual: Tensor | None) -> Tensor:
        return fz if self.damping == 1 else z.lerp(fz, self.damping)

    def keep(self, space: Space, problems: Tensor, rows: Tensor) -> None:
        pass
