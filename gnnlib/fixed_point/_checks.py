"""The doors of the numbers that the solvers' options take."""

import math
from numbers import Real
from typing import Any


def check_positive(name: str, value: Any, most: float = math.inf) -> None:
    """A finite number above 0, at most `most`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not (0 < number <= most and number < math.inf):
        limit = "positive and finite" if most == math.inf else f"in (0, {most:g}]"
        raise ValueError(f"{name} must be {limit}, got {value}")


def check_count(name: str, value: object, least: int = 1) -> None:
    """An int of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
