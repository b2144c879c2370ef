"""CSV files as tables of texts, read line by line from text or gzip, and what their cells mean."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._columns import is_number
from ._edge_lines import pieces
from ._save import GraphFileError
from ._table import from_cells

_ID = re.compile(r"0|-?[1-9][0-9]{0,17}")  # as Python would write it
_EMPTY = ("", "nan", "NaN")
_PAGE = ("<!doctype", "<html", "<?xml")


class Cells(NamedTuple):
    """The texts of a CSV file.

    Attributes:
        path: the file.
        columns: the cells of each column, by its name.
        lines: the number of the line that each row begins at, [rows].
    """

    path: Path
    columns: dict[str, list[str]]
    lines: array

    def values(self, name: str) -> np.ndarray:
        """A column: integers, floats, bools, or else texts."""
        return _typed(self.columns[name])


def read(path: Path, separator: str | None) -> Cells:
    """The cells of a file whose first line names the columns.

    Raises:
        GraphFileError: what is no such file; the message has the line and its text.
    """
    with open(path, "rb") as file:
        try:
            return _read(path, _lines(pieces(file, path), path), separator)
        except GraphFileError:
            raise
        except ValueError as error:  # of `pieces`
            raise GraphFileError(str(error)) from None


def _read(path: Path, lines: Iterator[str], separator: str | None) -> Cells:
    before, first = 0, ""
    for first in lines:
        if first.strip():
            break
        before += 1
    else:
        raise GraphFileError(f"{path} is empty: its first line must name the columns")
    if first.lstrip().lower().startswith(_PAGE):
        raise GraphFileError(f"{path} is a web page or XML, no CSV: it begins {_shown(first)}")
    if separator is None:
        separator = max(",;\t", key=first.count)
    rows = csv.reader(
        chain([first], lines), delimiter=separator, strict=True, skipinitialspace=True
    )
    numbers, line = array("q"), 1
    try:
        names = _header(path, next(rows), first)
        kept: list[list[str]] = []
        line = rows.line_num + 1
        for row in rows:
            if len(row) == len(names):
                numbers.append(before + line)
                kept.append(row)
            elif len(row) > 1 or any(map(str.strip, row)):
                raise GraphFileError(
                    f"{path} line {before + line} must have {len(names)} cells"
                    f" ({_shown(separator.join(names))}), got {len(row)}:"
                    f" {_shown(separator.join(row))}"
                )
            line = rows.line_num + 1
    except csv.Error as error:
        raise GraphFileError(f"{path} line {before + line} is no CSV: {error}") from None
    columns = zip(*kept) if kept else [()] * len(names)
    stripped = ([cell.strip() for cell in column] for column in columns)
    return Cells(path, dict(zip(names, stripped)), numbers)


def _header(path: Path, row: list[str], text: str) -> list[str]:
    names = [name.strip() for name in row]
    if all(map(is_number, names)):
        raise GraphFileError(
            f"{path} must name its columns in the first line, got {_shown(text)};"
            " read_edge_list reads a file of edges alone"
        )
    for k, name in enumerate(names):
        if name in names[:k]:
            raise GraphFileError(f"{path} must name each column once, got {name!r} again")
    return names


def _lines(parts: Iterator[bytes], path: Path) -> Iterator[str]:
    """The lines of UTF-8 with their ends, without a byte order mark."""
    line = 1
    for part in parts:
        try:
            text = part.decode("utf-8")
        except UnicodeDecodeError as error:
            line += part.count(b"\n", 0, error.start)
            begin = part.rfind(b"\n", 0, error.start) + 1
            text = _shown(part[begin:].split(b"\n", 1)[0])
            raise GraphFileError(f"{path} line {line} is no UTF-8: {text}") from None
        if "\0" in text:
            line += text.count("\n", 0, text.index("\0"))
            raise GraphFileError(f"{path} line {line} has a zero byte: it is no text")
        yield from io.StringIO(text.removeprefix("\ufeff") if line == 1 else text, newline="")
        line += part.count(b"\n")


def _shown(line: str | bytes) -> str:
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.rstrip("\r\n")
    return repr(text if len(text) <= 60 else text[:60] + "…")


# what cells mean ---------------------------------------------------------------------------------


def ids(*columns: list[str]) -> list[np.ndarray]:
    """Columns of ids: integers if each cell is one, as Python writes it; else texts."""
    if all(_ID.fullmatch(cell) for column in columns for cell in column):
        return [np.array(column, dtype=object).astype(np.int64) for column in columns]
    return [_texts(column) for column in columns]


def _texts(cells: list[str]) -> np.ndarray:
    return from_cells(cells, "")


def _typed(cells: list[str]) -> np.ndarray:
    numbers = _numbers(cells)
    if numbers is not None:
        if all(map(_ID.fullmatch, cells)):
            return np.array(cells, dtype=object).astype(np.int64)
        return np.array(numbers)
    told = {"true": True, "false": False}
    there = [cell if cell not in _EMPTY else "" for cell in cells]
    if all(cell.lower() in told for cell in there if cell):
        return from_cells([told.get(cell.lower()) for cell in there], "")
    return _texts(there)


def _numbers(cells: list[str]) -> list[float] | None:
    """The numbers that the cells spell, as `is_number` has it, NaN where there is none; or None."""
    text = "".join(cells)
    if not text.isascii() or "_" in text:
        return None
    try:
        return [float(cell or "nan") for cell in cells]
    except ValueError:
        return None
