"""The protocol of the solvers: what a solve asks of them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from ._space import Space


@dataclass(frozen=True)
class Problem:
    """What a solver may know before it begins."""

    space: Space
    tol: float
    plain: np.ndarray  # [B], where plain steps are the way: exact ones, or where each row counts


class Steps(Protocol):
    """One solve's memory: turns evaluations of f into the next state."""

    @property
    def name(self) -> str: ...

    @property
    def plain(self) -> bool | Tensor:
        """Whether the last state came from a step z ← f(z): of all problems or each [B] (CPU)."""
        ...

    def next(self, z: Tensor, fz: Tensor, diff: Tensor, residual: Tensor | None) -> Tensor:
        """The next state [N, D], from z, f(z), f(z) − z and, at a look, the residuals [B] (CPU)."""
        ...

    def keep(self, space: Space, problems: Tensor, rows: Tensor) -> None:
        """Go on with some of the problems alone."""
        ...


class Solver(Protocol):
    """A method; its settings are its fields, its memory is in the `Steps` of each solve."""

    def start(self, problem: Problem) -> Steps: ...
