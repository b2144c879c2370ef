"""The loop that every solver runs in: evaluate, look, freeze what has arrived, step."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ._ledger import Ledger
from ._space import Space
from ._steps import Problem, Solver
from .lipschitz import Lipschitz
from .report import Report
from .stop import Stop, amplification, measure, out_of_range

Map = Callable[[Tensor], Tensor]
Narrow = Callable[[Tensor], Map]

COMPACT = 0.75  # go on with the running problems alone once they are at most this share of the rows


@torch.no_grad()
def iterate(
    fn: Map,
    z0: Tensor,
    space: Space,
    solver: Solver,
    stop: Stop,
    lipschitz: Lipschitz,
    narrow: Narrow | None = None,
    nilpotent: np.ndarray | None = None,
) -> tuple[Tensor, Tensor, Report]:
    """The last state z [N, D], f(z), and the report; `fn` takes and gives states [N, D].

    `nilpotent` [B] is the number of plain steps that are exact for each problem, 0 where none is.

    A problem that has arrived is frozen: its state no longer changes. Where `narrow` can make f
    for some of the problems alone, the frozen ones are also no longer computed.
    """
    tol = stop.tolerance(z0.dtype, lipschitz)
    if nilpotent is None:
        nilpotent = np.zeros(space.num_problems, dtype=np.int64)
    # What is sure to arrive may grow on its way, as may what an accelerated step disturbs.
    may_diverge = not lipschitz.certified
    ledger = Ledger(space.num_problems, tol, stop.max_iter, nilpotent, may_diverge)
    steps = solver.start(Problem(space, tol, (nilpotent > 0) | (stop.kind == "node")))
    full: _Full | None = None
    z, step = z0, 0
    diff = torch.empty_like(z)  # one for all steps: a new one each time costs as much as a norm
    while True:
        fz = fn(z)
        step += 1
        ledger.evaluations += 1
        ledger.node_updates += space.num_rows
        torch.sub(fz, z, out=diff)
        residual = None
        if step % stop.check_every == 0 or ledger.is_due(step):
            numbers = measure(stop.kind, space, diff, fz, lipschitz).cpu()
            if out_of_range(numbers, ledger.running[ledger.ids]):
                numbers = measure(stop.kind, space, diff.double(), fz.double(), lipschitz).cpu()
            residual = numbers[0]
            ledger.look(step, numbers, steps.plain)
            if not ledger.running.any():
                break
        after = steps.next(z, fz, diff, residual)
        if space.ptr is not None and not (running := ledger.running[ledger.ids]).all():
            on = torch.from_numpy(running).to(z.device)
            after = torch.where(space.spread(on).unsqueeze(1), after, z)
            if narrow is not None and residual is not None:
                kept = on.nonzero().squeeze(1)
                smaller, rows = space.keep(kept)
                if rows.shape[0] <= COMPACT * space.num_rows:
                    full = (full or _Full(z)).store(z, fz)
                    full.rows = full.rows[rows]
                    ledger.ids = ledger.ids[running]
                    steps.keep(smaller, kept, rows)
                    ids = torch.from_numpy(ledger.ids).to(z.device)
                    space, fn, after = smaller, narrow(ids), after[rows]
                    diff = torch.empty_like(after)
        z = after
    report = ledger.report(steps.name, lipschitz)
    if full is not None:
        full.store(z, fz)
        z, fz = full.z, full.fz
    return z, fz, report


def bound_error(report: Report, space: Space, diff: Tensor, lipschitz: Lipschitz) -> None:
    """Fill in how far f(z) can be from the fixed point, where a bound is known."""
    if report.lipschitz_bound is not None and lipschitz.contracts:
        distance = space.norm(diff.double(), lipschitz.norm).cpu()
        report.error_bound = amplification(report.lipschitz_bound) * distance


class _Full:
    """The states of all rows, from before the first problem was left out."""

    def __init__(self, z: Tensor):
        self.z, self.fz = torch.empty_like(z), torch.empty_like(z)
        self.rows = torch.arange(z.shape[0], device=z.device)

    def store(self, z: Tensor, fz: Tensor) -> "_Full":
        self.z[self.rows], self.fz[self.rows] = z, fz
        return self
