"""Tables in text files: lines of numbers, and CSV. Errors name the file, the line and its text."""

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np

from ._errors import DatasetError


def as_number(cell: str | bytes) -> int:
    """The number that ASCII digits spell, at most nine of them; -1 for anything else.

    Example:
        >>> as_number(b"42"), as_number("-1"), as_number("²")
        (42, -1, -1)
    """
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 10 else -1


def numbers(
    data: bytes,
    source: str,
    limits: Sequence[int],
    *,
    separator: bytes | None = None,
    first_line: int = 1,
) -> np.ndarray:
    """The lines of `data` as rows [num_lines, num_columns] (int64), column c in [0, limits[c]).

    Args:
        separator: between the numbers of a line; None is white space.
        first_line: the number of the first line, for errors.

    Raises:
        DatasetError: a line that holds anything else.

    Example:
        >>> numbers(b"0 1\\r\\n2 0\\r\\n", "edges.txt", (3, 3)).tolist()
        [[0, 1], [2, 0]]
    """
    found = []
    for number, line in enumerate(data.splitlines(), first_line):
        row = [as_number(cell) for cell in line.split(separator)]
        if len(row) != len(limits) or not all(0 <= n < end for n, end in zip(row, limits)):
            ranges = " and ".join(f"[0, {end})" for end in limits)
            raise DatasetError(
                f"{source} line {number} must hold {len(limits)} numbers in {ranges}, "
                f"got {shown(line)}"
            )
        found += row
    return np.array(found, dtype=np.int64).reshape(-1, len(limits))


def table(data: bytes, source: str, header: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row of the CSV `data`, whose first line must be `header`.

    Raises:
        DatasetError: it is no UTF-8, no CSV, or a row has not as many cells as the header.

    Example:
        >>> list(table(b'id,name\\n0,"Riga, Latvia"\\n', "names.csv", "id,name"))
        [(2, ['0', 'Riga, Latvia'])]
    """
    rows = csv.reader(io.StringIO(decoded(data, source), newline=""), strict=True)
    columns = header.split(",")
    try:
        first = next(rows, [])
        if first != columns:
            raise DatasetError(f"{source} line 1 must be {header!r}, got {shown(','.join(first))}")
        for row in rows:
            if len(row) != len(columns):
                raise DatasetError(
                    f"{source} line {rows.line_num} must hold {len(columns)} cells ({header}), "
                    f"got {len(row)}: {shown(','.join(row))}"
                )
            yield rows.line_num, row
    except csv.Error as error:
        raise DatasetError(f"{source} line {rows.line_num} is no CSV: {error}") from None


def decoded(data: bytes, source: str) -> str:
    """The text in `data`, which must be UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{source} line {line} is no UTF-8: {error.reason}") from None


def shown(line: str | bytes) -> str:
    """The beginning of a line, for an error."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    return repr(text if len(text) <= 60 else text[:60] + "…")
