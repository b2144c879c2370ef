"""The book-keeping of a solve: what each problem's residual did and how it ended."""

import torch
from torch import Tensor

from .lipschitz import Lipschitz
from .report import Report, Status

DIVERGED = 1e3  # times the best ‖f(z) − z‖ …
LOOKS = 3  # … at so many looks one after the other


class Ledger:
    """One line for each problem of a batch; `ids` are the problems that are still computed."""

    def __init__(self, count: int, tol: float, may_diverge: bool):
        self.tol = tol
        self.may_diverge = may_diverge
        self.ids = torch.arange(count)
        self.running = torch.ones(count, dtype=torch.bool)
        self.iterations = torch.zeros(count, dtype=torch.int64)
        self.residual = torch.full((count,), torch.inf, dtype=torch.float64)
        self.size = self.residual.clone()  # ‖f(z) − z‖
        self.best = self.residual.clone()  # the least of it
        self.above = torch.zeros(count, dtype=torch.int64)  # looks above DIVERGED times the best
        self.rate = torch.full((count,), torch.nan, dtype=torch.float64)
        self.status = [Status.MAX_ITER] * count
        self.history: list[tuple[int, Tensor]] = []
        self.looked = 0
        self.evaluations = 0
        self.node_updates = 0

    def look(
        self, step: int, residual: Tensor, size: Tensor, plain: bool | Tensor, exact: bool
    ) -> None:
        """Enter the numbers of a look, those of the problems in `ids`."""
        ids = self.ids[self.running[self.ids]]
        chosen = self.running[self.ids]
        residual, size = residual[chosen], size[chosen]
        if exact:
            residual = torch.where(residual.isfinite(), 0.0, residual)
            size = torch.where(size.isfinite(), 0.0, size)
        before = self.size[ids]
        rate = (size / before) ** (1 / (step - self.looked))
        keep = torch.isfinite(before) & (before > 0)
        keep &= plain if isinstance(plain, bool) else plain[chosen]
        self.rate[ids] = torch.where(keep, rate, self.rate[ids])
        self.looked = step
        self.residual[ids], self.size[ids], self.iterations[ids] = residual, size, step
        self.best[ids] = torch.fmin(self.best[ids], size)
        self.above[ids] = torch.where(size > DIVERGED * self.best[ids], self.above[ids] + 1, 0)
        self.history.append((step, self.residual.clone()))
        self._end(ids[~torch.isfinite(size)], Status.NONFINITE)
        self._end(ids[residual <= self.tol], Status.CONVERGED)
        if self.may_diverge:
            self._end(ids[(self.above[ids] >= LOOKS) & self.running[ids]], Status.DIVERGED)

    def _end(self, ids: Tensor, status: Status) -> None:
        for problem in ids.tolist():
            self.status[problem] = status
        self.running[ids] = False

    def report(self, solver: str, lipschitz: Lipschitz) -> Report:
        return Report(
            solver=solver,
            iterations=self.iterations,
            residual=self.residual,
            tol=self.tol,
            converged=torch.tensor([s is Status.CONVERGED for s in self.status], dtype=torch.bool),
            status=self.status,
            rate=self.rate,
            lipschitz_bound=lipschitz.bound,
            norm=lipschitz.norm,
            certified=bool(lipschitz.certified),
            error_bound=None,
            evaluations=self.evaluations,
            node_updates=self.node_updates,
            history=self.history,
        )
