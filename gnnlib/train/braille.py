"""Curves drawn with braille characters, whose cells are two dots wide and four dots high."""

import math
from collections.abc import Sequence

EMPTY = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row and column in a cell

Cell = tuple[str, int | None]


def draw(
    series: Sequence[Sequence[float]], width: int, height: int, low: float, high: float
) -> list[list[Cell]]:
    """Curves over the same x, each stretched over the whole width.

    Values outside [low, high] are drawn at its ends; NaN leaves a gap. Between two values the
    curve is straight.

    Args:
        series: the values of each curve.
        width, height: of the picture, in characters.
        low, high: the values at the bottom and at the top.

    Shapes:
        result: `height` rows of `width` pairs of a character and the number of the last curve in
        it (None where there is none).

    Example:
        >>> for row in draw([[0, 1, 2, 3]], width=4, height=2, low=0, high=3):
        ...     print("".join(character for character, _ in row))
        ⠀⠀⡠⠊
        ⡠⠊⠀⠀
    """
    codes = [[0] * width for _ in range(height)]
    owners: list[list[int | None]] = [[None] * width for _ in range(height)]
    for number, values in enumerate(series):
        previous = None
        for x in range(2 * width):
            y = _dot(_value_at(values, x, 2 * width), 4 * height, low, high)
            if y is None:
                previous = None
                continue
            for dot in _between(previous, y):
                row, column = dot // 4, x // 2
                codes[row][column] |= DOTS[dot % 4][x % 2]
                owners[row][column] = number
            previous = y
    return [
        [(chr(EMPTY + code), owner) for code, owner in zip(*rows, strict=True)]
        for rows in zip(codes, owners, strict=True)
    ]


def _value_at(values: Sequence[float], x: int, columns: int) -> float:
    """The value at dot column x; NaN right of a curve that is a single point."""
    if len(values) < 2:
        return values[0] if values and x == 0 else math.nan
    place = x * (len(values) - 1) / (columns - 1)
    left = int(place)
    part = place - left
    if part == 0:
        return values[left]
    return (1 - part) * values[left] + part * values[left + 1]


def _dot(value: float, dots: int, low: float, high: float) -> int | None:
    """The row of dots, counted from the top, or None for NaN."""
    if math.isnan(value):
        return None
    share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
    return round((1 - share) * (dots - 1))


def _between(previous: int | None, y: int) -> range:
    """The rows of dots that join a column to the one before, without that one's own."""
    if previous is None or previous == y:
        return range(y, y + 1)
    return range(previous + 1, y + 1) if previous < y else range(y, previous)
