"""Auto: plain steps while they are the fastest way, Anderson's when they are not."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._space import Space
from ._steps import Problem
from .anderson import Anderson, AndersonSteps

FIRST = 5  # plain steps, after which their rate is known
MOST = 30  # plain steps in all that are awaited rather than sped up


@dataclass(frozen=True)
class Auto:
    """Plain steps first; Anderson's when the rate of the plain ones says that many remain.

    After five steps z ← f(z) the rate ρ at which the residual shrinks predicts that
    log(tol / residual) / log(ρ) more are needed. Where that makes more than 30 in all, the problem
    goes on with `Anderson()`; it is asked again at each later look. Where finitely many plain steps
    are exact (`nilpotent`), they are taken; so they are by Stop(kind="node"): Anderson's mix fits
    the large rows, and disturbs those far away that are yet to be reached.

    Example:
        >>> from gnnlib.fixed_point import solve
        >>> near, far = (solve(lambda z: k * z + 1, torch.zeros(3))[1] for k in (0.1, 0.99))
        >>> near.solver, far.solver
        ('auto: picard', 'auto: anderson')
    """

    def start(self, problem: Problem) -> "AutoSteps":
        return AutoSteps(problem)


class AutoSteps:
    def __init__(self, problem: Problem):
        self.space = problem.space
        self.tol = problem.tol
        self.may_mix = ~torch.from_numpy(problem.plain)  # [B]
        self.mixes: Tensor | None = None  # [B], where Anderson has taken over (CPU)
        self.anderson = AndersonSteps(Anderson(), problem.space)
        self.seen: list[tuple[int, Tensor]] = []  # the last looks: step, residual
        self.step = 0
        self.all_mix = False
        self.device_mixes: Tensor | None = None

    @property
    def name(self) -> str:
        return "auto: picard" if self.mixes is None else "auto: anderson"

    @property
    def plain(self) -> bool | Tensor:
        return True if self.mixes is None else ~self.mixes

    def next(self, z: Tensor, fz: Tensor, diff: Tensor, residual: Tensor | None) -> Tensor:
        self.step += 1
        if residual is not None and not self.all_mix:
            self.seen = [*self.seen[-2:], (self.step, residual)]
            if self.step >= FIRST and len(self.seen) > 1:
                self._decide(diff.device)
        if self.mixes is None:
            return fz
        mixed = self.anderson.next(z, fz, diff, residual)
        if self.all_mix:
            return mixed
        assert self.device_mixes is not None
        return torch.where(self.space.spread(self.device_mixes).unsqueeze(1), mixed, fz)

    def _decide(self, device: torch.device) -> None:
        (begin, before), (end, now) = self.seen[0], self.seen[-1]
        rate = (now / before) ** (1 / (end - begin))
        remaining = torch.where(rate < 1, math.log(self.tol) - now.log(), -math.inf) / rate.log()
        slow = torch.where(rate < 1, end + remaining > MOST, True) & (now > self.tol) & self.may_mix
        if self.mixes is not None:
            slow |= self.mixes
        if slow.any():
            self._mix(slow, device)

    def _mix(self, mixes: Tensor, device: torch.device) -> None:
        self.mixes = mixes
        self.all_mix = bool(mixes.all())
        self.device_mixes = mixes.to(device)

    def keep(self, space: Space, problems: Tensor, rows: Tensor) -> None:
        self.space = space
        self.anderson.keep(space, problems, rows)
        self.may_mix = self.may_mix[problems.cpu()]
        self.seen = [(step, residual[problems.cpu()]) for step, residual in self.seen]
        if self.mixes is not None:
            self._mix(self.mixes[problems.cpu()], problems.device)
