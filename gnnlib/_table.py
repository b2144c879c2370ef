"""Columns by name, whatever they were read from, and how errors speak of their rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Table(NamedTuple):
    """Named columns of one length.

    Attributes:
        name: what errors call it.
        columns: the names.
        rows: how many there are.
        where: what errors call a row.
        array: the column of a name: bools, integers, floats (NaN is missing), or an object array of
            texts or bools (None is missing).
        categorical: the columns that hold categories, whatever their values are.
    """

    name: str
    columns: Sequence[Hashable]
    rows: int
    where: Callable[[int], str]
    array: Callable[[Any], np.ndarray]
    categorical: frozenset = frozenset()

    def check(self, name: Hashable, argument: str) -> None:
        """Raises a ValueError that lists the columns unless `name` is one."""
        if name not in self.columns:
            there = ", ".join(map(repr, self.columns)) or "none"
            raise ValueError(
                f"{argument} must name a column of {self.name}, whose columns are {there};"
                f" got {name!r}"
            )

    def column(self, name: Hashable, argument: str) -> np.ndarray:
        self.check(name, argument)
        return self.array(name)

    def at(self, row: int) -> str:
        return f"{self.name} {self.where(row)}"


def missing(values: np.ndarray) -> np.ndarray:
    """Which cells of a column are not there, [rows]."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype == object:
        return np.fromiter((cell is None for cell in values), dtype=bool, count=len(values))
    return np.zeros(len(values), dtype=bool)


def from_cells(cells: Sequence[Any], what: str) -> np.ndarray:
    """The column of these cells; None, NaN and a blank text are missing.

    Args:
        cells: numbers, bools or texts, and one kind of them.
        what: the column, in errors.

    Raises:
        TypeError: cells of another kind, or of several.

    Example:
        >>> from_cells([1, None, 2.5], "age"), from_cells(["a", " "], "name").tolist()
        (array([1. , nan, 2.5]), ['a', None])
    """
    cells = [_cleaned(cell) for cell in cells]
    kinds = {kind_of(cell) for cell in cells if cell is not None}
    whole = None not in cells
    if kinds <= {"integer", "float"}:
        if whole and kinds == {"integer"}:
            try:
                return np.array(cells, dtype=np.int64)
            except OverflowError:
                pass
        return np.array([_as_float(cell) for cell in cells])
    if len(kinds) > 1 or kinds & {None}:
        found = sorted({type(cell).__name__ for cell in cells if cell is not None})
        raise TypeError(
            f"{what} must hold numbers, bools or texts, and one kind of them, got"
            f" {' and '.join(found)}"
        )
    if whole and kinds == {"bool"}:
        return np.array(cells, dtype=bool)
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return column


def kind_of(cell: Any) -> str | None:
    """'bool', 'integer', 'float' or 'text'; None for anything else."""
    kinds = {
        "bool": (bool, np.bool_),
        "integer": (int, np.integer),
        "float": (float, np.floating),
        "text": str,
    }
    return next((kind for kind, types in kinds.items() if isinstance(cell, types)), None)


def _cleaned(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell if cell.strip() else None
    return None if isinstance(cell, (float, np.floating)) and cell != cell else cell


def _as_float(cell: Any) -> float:
    if cell is None:
        return np.nan
    try:
        return float(cell)
    except OverflowError:  # an integer beyond every float, which a feature may not be
        return np.inf if cell > 0 else -np.inf
