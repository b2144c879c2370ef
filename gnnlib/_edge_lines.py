"""The lines of an edge list: two ids and perhaps a weight, from text or gzip, piece by piece."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

PIECE = 2**23  # bytes that are read at once
_LIMIT = 10**18  # ids are below it
_LARGEST = float(np.finfo(np.float32).max)  # weight
_DIGITS = b"0123456789"
_TO_BLANKS = bytes.maketrans(b",;\t", b"   ")
_GAP = rb"(?:[ \t]*[,;][ \t]*|[ \t]+)"


class Form(NamedTuple):
    """What a line looks like.

    Attributes:
        separator: between the cells; None is blanks, or a comma or semicolon with or without them.
        comments: a line that begins with one of these characters is left out.
        weighted: a line has three cells, else two.
        named: ids are any texts, else numbers.
    """

    separator: str | None
    comments: str
    weighted: bool
    named: bool

    @property
    def columns(self) -> int:
        return 3 if self.weighted else 2

    def cells(self, line: bytes) -> list[bytes]:
        if self.separator is None:
            return re.split(_GAP, line)
        return [cell.strip() for cell in line.split(self.separator.encode())]

    def is_comment(self, line: bytes) -> bool:
        return not line or line.startswith(tuple(c.encode() for c in self.comments))


class Rows(NamedTuple):
    """The lines of a piece.

    Attributes:
        ids: source and destination of each line, [E, 2], if they are numbers.
        names: likewise, if they are texts.
        weights: [E] float32; without weights no array.
    """

    ids: np.ndarray
    names: list[tuple[bytes, ...]]
    weights: np.ndarray | None


def pieces(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The bytes of a file, unpacked if they are gzip, in pieces that end where a line ends.

    Raises:
        ValueError: the gzip file is damaged, or a line does not end within a piece.
    """
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    source = gzip.GzipFile(fileobj=file) if packed else file
    rest = b""
    while True:
        try:
            data = source.read(PIECE)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if not data:
            break
        data = rest + data
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) > PIECE:
            raise ValueError(f"{path} has a line of more than {PIECE} bytes")
        yield data[:end]
        rest = data[end:]
    if rest:
        yield rest + b"\n"


def first_lines(data: bytes, form: Form) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a piece that are no comments: which line it is, from 0, and its cells."""
    for k, line in enumerate(io.BytesIO(data)):
        if not form.is_comment(line := line.strip()):
            yield k, form.cells(line)


def are_numbers(cells: list[bytes]) -> bool:
    """Whether a line begins with two ids that are numbers."""
    return all(cell.isdigit() for cell in cells[:2])


def rows(data: bytes, form: Form, path: Path, first_line: int) -> Rows:
    """The lines of a piece.

    Raises:
        ValueError: a line has another number of cells, or one that is no id or weight.
    """
    fast = None if form.named else _of_one_form(data, form)
    return _line_by_line(data, form, path, first_line) if fast is None else fast


def _of_one_form(data: bytes, form: Form) -> Rows | None:
    """The lines of a piece if all have the same characters between their numbers, which is quick to
    see; None if they do not, or are no numbers.
    """
    plain = _DIGITS + b"." if form.weighted else _DIGITS
    gap = _GAP if form.separator is None else rb"[ \t]*" + re.escape(form.separator.encode())
    between = data[: data.find(b"\n") + 1].translate(None, plain)
    count = data.count(b"\n")
    if not re.fullmatch(rb"(?:%s){%d}\r?\n" % (gap, form.columns - 1), between):
        return None
    if data.translate(None, plain) != between * count:
        return None
    blanks = data.translate(_TO_BLANKS)
    if form.separator is not None:
        blanks = blanks.replace(form.separator.encode(), b" ")
    values = np.fromstring(blanks, np.float64 if form.weighted else np.int64, sep=" ")
    if len(values) != form.columns * count:
        return None
    values = values.reshape(count, form.columns)
    if not form.weighted:
        return None if values.max(initial=0) >= _LIMIT else Rows(values, [], None)
    if values[:, :2].max(initial=0) >= 2**53 or values[:, 2].max(initial=0) > _LARGEST:
        return None
    ids = values[:, :2].astype(np.int64)
    return Rows(ids, [], values[:, 2].astype(np.float32)) if (ids == values[:, :2]).all() else None


def _line_by_line(data: bytes, form: Form, path: Path, first_line: int) -> Rows:
    ids, weights = [], []
    for number, line in enumerate(data.split(b"\n"), first_line):
        line = line.strip()
        if form.is_comment(line):
            continue
        cells = form.cells(line)
        pair = tuple(cells[:2]) if form.named else tuple(_as_id(cell) for cell in cells[:2])
        weight = _as_weight(cells[2]) if form.weighted and len(cells) == 3 else 1.0
        if len(cells) != form.columns or None in pair or b"" in pair or weight is None:
            what = "names" if form.named else f"ids in [0, {_LIMIT:.0e})"
            wanted = f"two {what}{' and a finite weight' if form.weighted else ''}"
            text = line.decode("utf-8", "replace")
            shown = repr(text if len(text) <= 60 else text[:60] + "…")
            raise ValueError(f"{path} line {number} must hold {wanted}, got {shown}")
        ids.append(pair)
        weights.append(weight)
    names = ids if form.named else []
    numbers = np.array([] if form.named else ids, dtype=np.int64).reshape(-1, 2)
    return Rows(numbers, names, np.array(weights, np.float32) if form.weighted else None)


def _as_id(cell: bytes) -> int | None:
    return int(cell) if cell.isdigit() and len(cell) <= 18 else None


def _as_weight(cell: bytes) -> float | None:
    try:
        weight = float(cell.decode("ascii"))
    except ValueError:  # UnicodeDecodeError is one
        return None
    return weight if abs(weight) <= _LARGEST else None
