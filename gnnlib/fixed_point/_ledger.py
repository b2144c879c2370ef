"""The book-keeping of a solve: what each problem's residual did and how it ended."""

import numpy as np
import torch
from torch import Tensor

from .lipschitz import Lipschitz
from .report import Report, Status

DIVERGED = 1e3  # times the best ‖f(z) − z‖ …
LOOKS = 3  # … at so many looks one after the other


class Ledger:
    """One line for each problem of a batch; `ids` are the problems that are still computed.

    In numpy, whose calls on a few numbers cost a tenth of torch's: a look is part of every step.
    """

    def __init__(
        self, count: int, tol: float, max_iter: int, nilpotent: np.ndarray, may_diverge: bool
    ):
        self.tol = tol
        self.nilpotent = nilpotent  # plain steps that are exact; 0: there is no such number
        self.most = np.maximum(nilpotent, max_iter)
        self.due = set(self.most.tolist()) | set(nilpotent.tolist())
        self.may_diverge = may_diverge & (nilpotent == 0)
        self.ids = np.arange(count)
        self.running = np.ones(count, dtype=bool)
        self.iterations = np.zeros(count, dtype=np.int64)
        self.residual = np.full(count, np.inf)
        self.size = np.full(count, np.inf)  # ‖f(z) − z‖
        self.best = np.full(count, np.inf)  # the least of it
        self.above = np.zeros(count, dtype=np.int64)  # looks above DIVERGED times the best
        self.rate = np.full(count, np.nan)
        self.status = [Status.MAX_ITER] * count
        self.history: list[tuple[int, Tensor]] = []
        self.looked = 0
        self.evaluations = 0
        self.node_updates = 0

    def is_due(self, step: int) -> bool:
        """Whether a problem may end at this step for its number alone."""
        return step in self.due

    def look(self, step: int, numbers: Tensor, plain: bool | Tensor) -> None:
        """Enter residual and ‖f(z) − z‖ of the problems in `ids`, [2, B]."""
        chosen = self.running[self.ids]
        ids = self.ids[chosen]
        residual, size = numbers.numpy()[:, chosen]
        took_plain = np.full(ids.shape, plain) if isinstance(plain, bool) else plain.numpy()[chosen]
        exact = took_plain & (self.nilpotent[ids] > 0) & (step >= self.nilpotent[ids])
        residual = np.where(exact & np.isfinite(residual), 0.0, residual)
        before = self.size[ids]
        keep = took_plain & np.isfinite(before) & (before > 0)
        after = ids[keep]
        self.rate[after] = (size[keep] / before[keep]) ** (1 / (step - self.looked))
        self.looked = step
        self.residual[ids], self.size[ids], self.iterations[ids] = residual, size, step
        self.best[ids] = best = np.fmin(self.best[ids], size)
        self.history.append((step, torch.from_numpy(self.residual.copy())))
        self._end(ids[~np.isfinite(size)], Status.NONFINITE)
        self._end(ids[residual <= self.tol], Status.CONVERGED)
        self.above[ids] = np.where(size > DIVERGED * best, self.above[ids] + 1, 0)
        diverged = (self.above[ids] >= LOOKS) & self.may_diverge[ids] & self.running[ids]
        self._end(ids[diverged], Status.DIVERGED)
        self._end(ids[(step >= self.most[ids]) & self.running[ids]], Status.MAX_ITER)

    def _end(self, ids: np.ndarray, status: Status) -> None:
        if not ids.size:
            return
        for problem in ids.tolist():
            self.status[problem] = status
        self.running[ids] = False

    def report(self, solver: str, lipschitz: Lipschitz) -> Report:
        converged = [status is Status.CONVERGED for status in self.status]
        # What is not a number has no distance to anything: it disproves any bound.
        is_finite = Status.NONFINITE not in self.status
        return Report(
            solver=solver,
            iterations=torch.from_numpy(self.iterations),
            residual=torch.from_numpy(self.residual),
            tol=self.tol,
            converged=torch.tensor(converged, dtype=torch.bool),
            status=self.status,
            rate=torch.from_numpy(self.rate),
            lipschitz_bound=lipschitz.bound if is_finite else None,
            norm=lipschitz.norm,
            certified=bool(lipschitz.certified) and is_finite,
            error_bound=None,
            evaluations=self.evaluations,
            node_updates=self.node_updates,
            history=self.history,
        )
