"""What columns become: features, classes, masks and weights. Errors name the row and the column."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from ._table import Table, missing

CATEGORIES = 256  # a column of texts becomes at most so many features
MASKS = ("train_mask", "val_mask", "test_mask")
_LARGEST = float(np.finfo(np.float32).max)


def features(
    table: Table, names: Iterable[Hashable], categories: Iterable[Hashable], argument: str
) -> tuple[Tensor, tuple[str, ...]]:
    """The columns side by side, [rows, F] (float32), and a name for each feature.

    Numbers and bools are one feature each; texts, and what `categories` names, are one-hot.

    Raises:
        ValueError: a column that is not there, a cell that is missing or not finite, a column of
            too many categories, or of texts some of which are numbers.
    """
    one_hot = table.categorical.union(categories)
    parts, named = [np.empty((table.rows, 0), dtype=np.float32)], []
    for name in names:
        values = table.column(name, argument)
        if (absent := missing(values)).any():
            raise ValueError(
                f"{table.at(int(absent.argmax()))}: {name!r} is missing; a feature must be there"
                f" in every row (fill it in, or leave the column out of {argument}=[…])"
            )
        if name in one_hot or values.dtype == object:
            if name not in one_hot:
                _check_texts(table, name, values)
            columns, kinds = _one_hot(table, name, values)
            parts.append(columns)
            named += [f"{name}={kind}" for kind in kinds]
        else:
            parts.append(numbers(table, name, values)[:, None])
            named.append(str(name))
    return torch.from_numpy(np.concatenate(parts, axis=1)), tuple(named)


def numbers(table: Table, name: Hashable, values: np.ndarray) -> np.ndarray:
    """The column as float32, each of them finite."""
    if values.dtype == object:
        raise TypeError(f"{name!r} of {table.name} must hold numbers, got {_a_text(values)!r}")
    bad = ~(np.abs(values.astype(np.float64)) <= _LARGEST)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{table.at(row)}: {name!r} must be a finite number (below {_LARGEST:.3g}), got"
            f" {values[row]}"
        )
    return values.astype(np.float32)


def classes(table: Table, name: Hashable) -> tuple[Tensor, np.ndarray]:
    """The class number of each row, [rows] (int64, -1 where the label is missing), and the labels,
    in sorted order.

    Raises:
        ValueError: there is no label, or one that is a fraction.
    """
    values = table.column(name, "label")
    there = ~missing(values)
    if not there.any():
        raise ValueError(f"{table.name} has no label: all {table.rows} cells of {name!r} are empty")
    given = values[there]
    if given.dtype.kind == "f":
        broken = ~(np.abs(given) < 2**53) | (given != np.floor(given))
        if broken.any():
            row = int(there.nonzero()[0][broken.argmax()])
            raise ValueError(
                f"{table.at(row)}: label {name!r} must be a text, a bool or a whole number, which"
                f" stands for a class; got {values[row]}"
            )
        given = given.astype(np.int64)
    known = sorted(set(given.tolist()))
    number = {label: k for k, label in enumerate(known)}
    y = torch.full((table.rows,), -1)
    y[torch.from_numpy(there)] = torch.tensor([number[label] for label in given.tolist()])
    return y, np.array(known)


def masks(table: Table, split: Hashable | None) -> dict[str, Tensor]:
    """The masks of a column that says 'train', 'val' or 'test', or of columns that are masks."""
    own = [name for name in MASKS if name in table.columns]
    if split is None:
        return {name: _mask(table, name) for name in own}
    if own:
        raise ValueError(
            f"split={split!r} and the column {own[0]!r} of {table.name} both say what is trained on"
        )
    cells = table.column(split, "split").tolist()
    parts = [name.removesuffix("_mask") for name in MASKS]
    for row, part in enumerate(cells):
        if part not in parts and part is not None and part == part:
            said = "'train', 'val' or 'test', or empty"
            raise ValueError(f"{table.at(row)}: {split!r} must be {said}; got {part!r}")
    return {
        name: torch.tensor([cell == part for cell in cells]) for name, part in zip(MASKS, parts)
    }


def weights(table: Table, name: Hashable) -> Tensor:
    """The column as edge weights, [rows] (float32).

    Raises:
        ValueError: a weight that is missing, negative or not finite.
    """
    values = table.column(name, "edge_weight")
    if (absent := missing(values)).any():
        raise ValueError(f"{table.at(int(absent.argmax()))}: the weight {name!r} is missing")
    found = numbers(table, name, values)
    if (found < 0).any():
        row = int((found < 0).argmax())
        raise ValueError(
            f"{table.at(row)}: the weight {name!r} must be 0 or more, got {values[row]};"
            " edge_attr=[…] takes any number"
        )
    return torch.from_numpy(found)


def _mask(table: Table, name: str) -> Tensor:
    values = table.array(name)
    fits = values.dtype.kind in "biuf" and np.isin(values, (0, 1))
    if not np.all(fits):
        row = 0 if values.dtype == object else int((~np.asarray(fits)).argmax())
        raise ValueError(
            f"{table.at(row)}: {name!r} must be true or false in every row, got {values[row]}"
        )
    return torch.from_numpy(values.astype(bool))


def _one_hot(
    table: Table, name: Hashable, values: np.ndarray
) -> tuple[np.ndarray, Sequence[object]]:
    cells = values.tolist()
    kinds = set(cells)
    if len(kinds) > CATEGORIES:
        raise ValueError(
            f"{name!r} of {table.name} must have at most {CATEGORIES} categories, to be one-hot;"
            f" got {len(kinds)} (features=[…] chooses the columns)"
        )
    ordered = sorted(kinds)
    number = {kind: k for k, kind in enumerate(ordered)}
    columns = np.zeros((len(cells), len(ordered)), dtype=np.float32)
    columns[np.arange(len(cells)), [number[cell] for cell in cells]] = 1
    return columns, ordered


def _check_texts(table: Table, name: Hashable, values: np.ndarray) -> None:
    """Refuses texts some of which are numbers: one bad cell makes texts of a column of numbers."""
    spelled = np.fromiter(map(is_number, values), dtype=bool, count=len(values))
    if spelled.any() and not spelled.all():
        row, other = int(spelled.argmax()), int((~spelled).argmax())
        what = f"the text {values[other]!r}, but {table.where(row)} has the number {values[row]}"
        row = other
    elif spelled.any():
        row = 0
        what = f"the text {values[0]!r}, which is a number"
    else:  # 1,5 is how many write 1.5
        commas = (is_number(cell.replace(",", ".", 1)) for cell in values)
        spelled = np.fromiter(commas, dtype=bool, count=len(values))
        if not spelled.any():
            return
        row = int(spelled.argmax())
        what = f"the text {values[row]!r}, which is a number with a comma for its point"
    raise ValueError(
        f"{table.at(row)}: {name!r} is {what}; if all are categories, pass categories=[{name!r}]"
    )


def is_number(text: object) -> bool:
    """Whether a text spells a number as CSV files do, 'inf' and 'nan' among them.

    Example:
        >>> [is_number(text) for text in ("1.5e3", "-inf", "1_000", "٣", "")]
        [True, True, False, False, False]
    """
    if not isinstance(text, str) or not text.isascii() or "_" in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _a_text(values: np.ndarray) -> object:
    return next((cell for cell in values if not is_number(cell)), values[0])
