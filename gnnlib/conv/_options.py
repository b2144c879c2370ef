"""The options that every layer with a fixed point has."""

from ..fixed_point import Anderson, Auto, Implicit, Phantom, Picard, Stop, Unrolled
from ..fixed_point.failure import OnFail, check_on_fail

Solver = Auto | Picard | Anderson
Backward = Implicit | Phantom | Unrolled


def solve_options(
    solver: Solver | None, stop: Stop | None, backward: Backward | None, on_fail: OnFail
) -> tuple[Solver, Stop, Backward]:
    """Solver, stop and backward with their defaults in the place of None.

    Raises:
        TypeError: an option of a wrong kind.
        ValueError: an unknown on_fail.
    """
    check_kind("solver", solver, (Auto, Picard, Anderson, type(None)))
    check_kind("stop", stop, (Stop, type(None)))
    check_kind("backward", backward, (Implicit, Phantom, Unrolled, type(None)))
    check_on_fail(on_fail)
    return solver or Auto(), stop or Stop(), backward or Implicit()


def check_kind(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        names = " or ".join("None" if k is type(None) else f"{k.__name__}(…)" for k in kinds)
        raise TypeError(f"{name} must be {names}, got {value!r}")
