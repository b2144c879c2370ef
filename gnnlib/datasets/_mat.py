"""Reads matrices from MATLAB 5 files: dense and sparse ones of real numbers, nothing else.

`scipy.io.loadmat` unpacks without a bound, and takes a sparse matrix whose indices are outside of
its shape, with which scipy then reads memory that is not its own. This reader is bounded, knows the
few kinds of variables that the datasets are made of, and checks what it returns.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from ._edges import distinct
from ._errors import DatasetError

_LARGEST = 2**27  # bytes of all variables, unpacked
_HEADER = 128  # bytes; the last four are version 1 and the byte order
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_SIGNED = {1: "<i1", 3: "<i2", 5: "<i4", 12: "<i8"}
_UNSIGNED = {2: "<u1", 4: "<u2", 6: "<u4", 13: "<u8"}
_NUMBERS = _SIGNED | _UNSIGNED | {7: "<f4", 9: "<f8"}
_SPARSE = 5  # the class of a sparse matrix; those of dense numbers are 6 (double) to 15 (uint64)
_DENSE = range(6, 16)
_COMPLEX = 0x0800
_MOST_PARTS = 7  # one more than those of a sparse matrix: flags, shape, name, rows, ends, values


class Entries(NamedTuple):
    """A sparse matrix as its entries, column by column; indices are within the shape.

    How many rows it has the file claims without a byte for each: compare it with something else
    before anything of that size is made.
    """

    shape: tuple[int, int]
    row: np.ndarray
    col: np.ndarray
    values: np.ndarray


def load(
    data: bytes, source: str, names: Iterable[str], *, limit: int = _LARGEST
) -> dict[str, np.ndarray | Entries]:
    """The variables `names` of the file in `data`: matrices [rows, columns], or their `Entries`.

    Args:
        source: the name of the file, for errors.
        limit: the bytes that may be unpacked.

    Raises:
        DatasetError: it is no MATLAB 5 file, is damaged, unpacks to more than `limit`, lacks one
            of `names`, or one of them is no matrix of real numbers.
    """
    if len(data) < _HEADER or data[_HEADER - 4 : _HEADER] != b"\x00\x01IM":
        raise DatasetError(
            f"{source} is no MATLAB 5 file with little-endian numbers: it begins with {data[:20]!r}"
        )
    wanted = list(names)
    found = {}
    for name, parts in _variables(data[_HEADER:], source, limit):
        if name in found:
            raise DatasetError(f"{source} holds the variable {name} twice")
        if name in wanted:
            found[name] = _matrix(parts, f"{source}, variable {name}")
    if missing := [name for name in wanted if name not in found]:
        raise DatasetError(f"{source} lacks the variable {missing[0]}")
    return found


def adjacency_edges(matrix: np.ndarray | Entries, where: str) -> tuple[np.ndarray, int]:
    """edge_index [2, E] in both directions, and the number of nodes, of an adjacency matrix."""
    rows, columns = matrix.shape
    if not isinstance(matrix, Entries) or rows != columns:
        raise DatasetError(
            f"{where} must be sparse and square, "
            f"got {type(matrix).__name__} of shape {matrix.shape}"
        )
    if not (matrix.values == 1).all():
        raise DatasetError(f"{where} must hold ones, and else nothing")
    return distinct(matrix.row, matrix.col, rows, both_ways=True), rows


def _variables(data: bytes, source: str, limit: int) -> Iterator[tuple[str, list]]:
    """The name of each variable, and its parts: flags, shape, name, numbers."""
    for kind, content in _elements(data, source):
        if kind == _COMPRESSED:
            plain = _unpacked(content, source, limit)
            limit -= len(plain)
            inner = list(islice(_elements(plain, source), 2))
            if len(inner) != 1:
                raise DatasetError(f"{source} must pack its variables one by one")
            [(kind, content)] = inner
        if kind != _MATRIX:
            raise DatasetError(f"{source} must hold variables, got an element of type {kind}")
        parts = list(islice(_elements(content, source), _MOST_PARTS))
        if [kind for kind, _ in parts[:3]] != [_UINT32, _INT32, _INT8] or len(parts[0][1]) != 8:
            raise DatasetError(f"{source}: a variable must begin with flags, shape and name")
        yield parts[2][1].decode("latin-1"), parts


def _elements(data: bytes, source: str) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of the elements that follow each other in `data`."""
    position = 0
    while position < len(data):
        tag = data[position : position + 8]
        if len(tag) < 8:
            raise DatasetError(f"{source} is cut off: {len(tag)} bytes are no element")
        kind, size = struct.unpack("<II", tag)
        if kind >> 16:  # a small element: its size stands before its type, its bytes in the tag
            size, kind = kind >> 16, kind & 0xFFFF
            start, end = position + 4, position + 8
        else:
            start = position + 8
            end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        content = data[start : start + size]
        if start + size > end or len(content) < size:
            raise DatasetError(
                f"{source} is damaged: an element must have {size} bytes, got {len(content)}"
            )
        yield kind, content
        position = end


def _unpacked(content: bytes, source: str, limit: int) -> bytes:
    engine = zlib.decompressobj()
    try:
        plain = engine.decompress(content, limit + 1)
    except zlib.error as error:
        raise DatasetError(f"{source} is damaged: {error}") from None
    if len(plain) > limit:
        raise DatasetError(f"{source} unpacks to more bytes than are read ({limit}): refused")
    if not engine.eof:
        raise DatasetError(f"{source} is damaged: what is packed is cut off")
    return plain


def _matrix(parts: list[tuple[int, bytes]], where: str) -> np.ndarray | Entries:
    flags = int.from_bytes(parts[0][1][:4], "little")
    shape = _numbers(parts[1], where, "<i4").tolist()
    if len(shape) != 2 or min(shape) < 0:
        raise DatasetError(f"{where} must be a matrix, got shape {tuple(shape)}")
    kind, rows, columns = flags & 0xFF, *shape
    expected = 6 if kind == _SPARSE else 4
    if kind not in (_SPARSE, *_DENSE) or flags & _COMPLEX or len(parts) != expected:
        raise DatasetError(f"{where} must be a matrix of real numbers (its flags are {flags:#x})")
    values = _numbers(parts[-1], where)
    if kind == _SPARSE:
        return _entries(parts, values, (rows, columns), where)
    if len(values) != rows * columns:
        raise DatasetError(f"{where} must hold {rows}×{columns} numbers, got {len(values)}")
    return values.reshape((rows, columns), order="F")


def _entries(
    parts: list[tuple[int, bytes]], values: np.ndarray, shape: tuple[int, int], where: str
) -> Entries:
    """The entries in use: a file may allot more, and the end of the last column says how many."""
    row, ptr = _numbers(parts[3], where, "<i4"), _numbers(parts[4], where, "<i4")
    lengths = np.diff(ptr.astype(np.int64))
    if len(ptr) != shape[1] + 1 or ptr[0] != 0 or (lengths < 0).any():
        raise DatasetError(f"{where} must hold the ends of its {shape[1]} columns, in order")
    size = int(ptr[-1])
    if size > min(len(row), len(values)):
        raise DatasetError(
            f"{where} must hold {size} entries, got {len(row)} rows and {len(values)} values"
        )
    row, values = row[:size].astype(np.int64), values[:size]
    if size and not 0 <= row.min() <= row.max() < shape[0]:
        raise DatasetError(
            f"{where} must have rows in [0, {shape[0]}), got {row.min()} to {row.max()}"
        )
    return Entries(shape, row, np.repeat(np.arange(shape[1]), lengths), values)


def _numbers(part: tuple[int, bytes], where: str, layout: str | None = None) -> np.ndarray:
    """The numbers of an element; if a layout is given, they must be in it."""
    kind, content = part
    found = _NUMBERS.get(kind)
    if found is None or (layout is not None and found != layout):
        raise DatasetError(f"{where} holds an element of type {kind} where numbers must stand")
    if len(content) % np.dtype(found).itemsize:
        raise DatasetError(f"{where} holds {len(content)} bytes, which are no numbers ({found})")
    return np.frombuffer(content, dtype=found)
