"""Text files of numbers, one row a line: read by C code, after C code has looked at every line."""

import re

import numpy as np

from ._errors import DatasetError
from ._text import shown

Number = type[np.int64] | type[np.float32]

_MOST_COLUMNS = 1000
_NUMBERS = {
    np.int64: rb"-?\d{1,18}",
    np.float32: rb"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?",
}


def matrix(
    data: bytes,
    source: str,
    dtype: Number,
    *,
    columns: int | None = None,
    separator: bytes = b",",
) -> np.ndarray:
    """The numbers in `data` as [rows, columns]; blank lines may only stand at the end.

    Args:
        source: the name of the file, for errors.
        columns: numbers in each line; by default as many as in the first, up to 1000.
        separator: what stands between two numbers, with or without blanks around it.

    Raises:
        DatasetError: a line is not of that form, or a number is not finite in `dtype`.

    Example:
        >>> matrix(b"1, 2\\n2, 1\\n", "MUTAG_A.txt", np.int64)
        array([[1, 2],
               [2, 1]])
    """
    data = data.rstrip()
    if columns is None:
        columns = min(data.split(b"\n", 1)[0].count(separator) + 1, _MOST_COLUMNS)
    if not data:
        return np.empty((0, columns), dtype)
    number = rb"[ \t]*" + _NUMBERS[dtype] + rb"[ \t]*"
    row = number + (re.escape(separator) + number) * (columns - 1)
    if bad := re.search(rb"^(?!" + row + rb"\r?$).*$", data, re.MULTILINE):
        line = data.count(b"\n", 0, bad.start()) + 1
        kind = "integer" if dtype is np.int64 else "number"
        what = f"one {kind}" if columns == 1 else f"{columns} {kind}s ({separator.decode()!r})"
        raise DatasetError(f"{source} line {line} must hold {what}, got {shown(bad[0])}")
    wide = np.int64 if dtype is np.int64 else np.float64
    values = np.fromstring(data.replace(separator, b" "), wide, sep=" ").reshape(-1, columns)
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    if not np.isfinite(values).all():
        line = int((~np.isfinite(values)).any(1).argmax()) + 1
        raise DatasetError(f"{source} line {line} holds a number beyond float32")
    return values
