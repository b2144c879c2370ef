"""When a fixed-point iteration has arrived."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .._errors import unknown_choice
from ._checks import check_count, check_positive
from ._space import Space
from .lipschitz import Lipschitz

KINDS = ("graph", "node", "error")


@dataclass(frozen=True)
class Stop:
    """The rule that ends an iteration z ← f(z), asked of each problem of a batch on its own.

    - "graph": ‖f(z) − z‖ / ‖f(z)‖ ≤ `tol`, over all entries of the problem.
    - "node": max over the rows v of ‖f(z)_v − z_v‖∞ / ‖f(z)_v‖∞ ≤ `tol`. A row far away, where
      little arrives, counts as much as any other: the rule for long-range tasks.
    - "error": L / (1 − L) ‖f(z) − z‖ / ‖f(z)‖ ≤ `tol`, with L the Lipschitz bound of f in the norm
      it is certified in. The left side bounds the relative error of the result, f(z).

    All three are relative, since an absolute tolerance is a hidden cap on how far information
    travels. No dtype resolves less than its rounding: the tolerance that holds is
    max(`tol`, 16 eps), and for "error" max(`tol`, 16 eps L / (1 − L)) where that is more.

    Args:
        tol: the tolerance.
        kind: "graph", "node" or "error".
        max_iter: the most evaluations of f.
        check_every: evaluations from one look at the residual to the next. A look makes the CPU
            wait for the GPU; nothing else in a solve does.

    Raises:
        ValueError: a number out of its range, an unknown kind.
        TypeError: something that is no number.

    Example:
        >>> Stop(tol=1e-4, kind="node").max_iter
        200
    """

    tol: float = 1e-6
    kind: Literal["graph", "node", "error"] = "graph"
    max_iter: int = 200
    check_every: int = 1

    def __post_init__(self) -> None:
        check_positive("tol", self.tol)
        if self.kind not in KINDS:
            raise unknown_choice("kind", self.kind, KINDS)
        check_count("max_iter", self.max_iter)
        check_count("check_every", self.check_every)

    def tolerance(self, dtype: torch.dtype, lipschitz: Lipschitz | None = None) -> float:
        """What the left side of the rule has to reach for a state of this dtype."""
        least = 16 * torch.finfo(dtype).eps
        if self.kind == "error" and lipschitz is not None and lipschitz.bound is not None:
            least *= max(1.0, amplification(lipschitz.bound))
        return max(self.tol, least)


def measure(
    kind: str, space: Space, diff: Tensor, fz: Tensor, lipschitz: Lipschitz | None
) -> Tensor:
    """The left side of the rule and ‖f(z) − z‖ for each problem, [2, B]; `diff` is f(z) − z."""
    # Below this a number has no digits left to be relative to.
    least = torch.finfo(fz.dtype).tiny / torch.finfo(fz.dtype).eps
    size = space.norm(diff).double()
    if kind == "node":
        relative = space.max(_largest(diff) / _largest(fz).clamp(min=least)).double()
    elif kind == "graph" or lipschitz is None or lipschitz.norm == "frobenius":
        relative = size / space.norm(fz).double().clamp(min=least)
    else:
        scale = space.norm(fz, lipschitz.norm).double().clamp(min=least)
        relative = space.norm(diff, lipschitz.norm).double() / scale
    if kind == "error":
        assert lipschitz is not None and lipschitz.bound is not None
        relative = relative * amplification(lipschitz.bound)
    return torch.stack([relative, size])


def out_of_range(numbers: Tensor, running: np.ndarray) -> bool:
    """Whether squares may have left the range of float32 in the results [2, B] of `measure` for a
    problem that is `running` [B].

    A step of 1e-25 would count as none, and one of 1e25 as infinite: such are measured once more,
    in float64, which costs too much to be the rule.
    """
    relative, size = numbers.numpy()[:, running]
    return not bool(((relative > 0) & (size > 1e-15) & (size < math.inf)).all())


def _largest(rows: Tensor) -> Tensor:
    return rows.abs().amax(1) if rows.shape[1] else rows.new_zeros(rows.shape[0])


def amplification(bound: float) -> float:
    """L / (1 − L): how much larger than the last step the error of its result can be."""
    return bound / (1 - bound) if bound < 1 else math.inf
