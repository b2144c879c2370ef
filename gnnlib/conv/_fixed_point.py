"""What every layer with a fixed point has: the options of its solve, and the last report."""

from collections.abc import Callable

from torch import Tensor, nn

from .._memo import is_tracing
from ..fixed_point import (
    Anderson,
    Auto,
    Implicit,
    Lipschitz,
    Phantom,
    Picard,
    Report,
    Stop,
    Unrolled,
    solve,
)
from ..fixed_point.failure import OnFail, check_on_fail

Solver = Auto | Picard | Anderson
Backward = Implicit | Phantom | Unrolled


class FixedPointLayer(nn.Module):
    """A layer whose result is the fixed point of a map of its own.

    Raises:
        TypeError: an option of a wrong kind.
        ValueError: an unknown on_fail.
    """

    last_report: Report | None
    """Of the last call; None before it, where it raised an error, and in a compiled program."""

    def __init__(
        self,
        solver: Solver | None,
        stop: Stop | None,
        backward: Backward | None,
        on_fail: OnFail,
    ):
        super().__init__()
        check_kind("solver", solver, (Auto, Picard, Anderson, type(None)))
        check_kind("stop", stop, (Stop, type(None)))
        check_kind("backward", backward, (Implicit, Phantom, Unrolled, type(None)))
        check_on_fail(on_fail)
        self.solver = solver or Auto()
        self.stop = stop or Stop()
        self.backward = backward or Implicit()
        self.on_fail: OnFail = on_fail
        self.last_report = None

    def _fixed_point(
        self,
        step: Callable[[Tensor], Tensor],
        start: Tensor,
        segments: Tensor | None,
        narrow: Callable[[Tensor], Callable[[Tensor], Tensor]],
        lipschitz: Lipschitz | None,
        nilpotent: int | Tensor | None = None,
    ) -> Tensor:
        """The fixed point of `step` by the options of the layer; see `solve` for the arguments."""
        if not is_tracing():
            self.last_report = None  # not that of an earlier call, if this one fails
        z, report = solve(
            step,
            start,
            segments=segments,
            solver=self.solver,
            stop=self.stop,
            backward=self.backward,
            on_fail=self.on_fail,
            lipschitz=lipschitz,
            narrow=None if segments is None else narrow,
            nilpotent=nilpotent,
        )
        if not is_tracing():
            self.last_report = report
        return z


def check_kind(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        names = " or ".join("None" if k is type(None) else f"{k.__name__}(…)" for k in kinds)
        raise TypeError(f"{name} must be {names}, got {value!r}")
