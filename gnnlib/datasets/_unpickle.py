"""Reads the pickles that Python 2 wrote for the Planetoid files, and runs nothing that they name.

`pickle.Unpickler` calls what a file tells it to call, and even with a guarded `find_class` it sets
attributes and allocates memo slots where a file points. The historic files need thirty opcodes and
six names, so this is a reader of exactly those: the names are constants here, no opcode imports,
calls or sets an attribute, and every value takes memory in proportion to the bytes that spell it.
"""

import math
import pickle
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from ._errors import DatasetError


class CSR(NamedTuple):
    """A sparse matrix by rows, as scipy lays it out; checked."""

    shape: tuple[int, int]
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class _Name(Enum):
    """The only six globals that a file may name."""

    DTYPE = b"numpy dtype"
    NDARRAY = b"numpy ndarray"
    RECONSTRUCT = b"numpy.core.multiarray _reconstruct"
    CSR = b"scipy.sparse.csr csr_matrix"
    DEFAULTDICT = b"collections defaultdict"
    LIST = b"__builtin__ list"


@dataclass(eq=False)
class _Object:
    """An object that the file has made; BUILD fills in its value."""

    kind: _Name
    code: bytes = b""  # of a dtype
    value: np.dtype | np.ndarray | CSR | None = None


def load(data: bytes, source: str) -> Any:
    """The array, `CSR` or dict that the pickle `data` holds; strings stay bytes.

    `source` names the file in messages.

    Raises:
        DatasetError: `data` is cut off, holds anything that the historic files do not hold, or
            describes an array or a matrix that does not fit its own bytes.
    """
    return _Reader(data, source).run()


class _Reader:
    def __init__(self, data: bytes, source: str):
        self.data = data
        self.source = source
        self.position = 0
        self.stack = []
        self.marks = []
        self.memo = {}

    def error(self, reason: str) -> DatasetError:
        return DatasetError(f"{self.source} is refused at byte {self.position}: {reason}")

    def take(self, count: int) -> bytes:
        piece = self.data[self.position : self.position + count]
        if len(piece) < count:
            raise self.error(f"{count} more bytes must follow, got {len(piece)}")
        self.position += count
        return piece

    def number(self, layout: str) -> int:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise self.error("a line must end, got the end of the file")
        return self.take(end + 1 - self.position)[:-1]

    def pop(self):
        if not self.stack:
            raise self.error("an operand is missing")
        return self.stack.pop()

    def pop_to_mark(self) -> list:
        if not self.marks:
            raise self.error("a mark is missing")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def top(self, kind: type):
        if not self.stack or type(self.stack[-1]) is not kind:
            raise self.error(f"{kind.__name__.strip('_').lower()} expected, to work on")
        return self.stack[-1]

    def run(self):
        if self.take(2) != pickle.PROTO + b"\x02":
            raise self.error("it is not a pickle of protocol 2")
        while (opcode := self.take(1)) != pickle.STOP:
            self.step(opcode)
        result = self.pop()
        if self.stack or self.position != len(self.data):
            raise self.error("nothing may be left over at the end")
        return result.value if isinstance(result, _Object) else result

    def step(self, opcode: bytes) -> None:
        push = self.stack.append
        match opcode:
            case pickle.BININT2:
                push(self.number("<H"))
            case pickle.BININT1:
                push(self.number("<B"))
            case pickle.BININT:
                push(self.number("<i"))
            case pickle.LONG_BINPUT:
                self.remember(self.number("<I"))
            case pickle.BINPUT:
                self.remember(self.number("<B"))
            case pickle.LONG_BINGET:
                push(self.recall(self.number("<I")))
            case pickle.BINGET:
                push(self.recall(self.number("<B")))
            case pickle.MARK:
                self.marks.append(len(self.stack))
            case pickle.EMPTY_LIST:
                push([])
            case pickle.APPEND:
                item = self.pop()
                self.top(list).append(item)
            case pickle.APPENDS:
                items = self.pop_to_mark()
                self.top(list).extend(items)
            case pickle.EMPTY_DICT:
                push({})
            case pickle.SETITEM:
                value, key = self.pop(), self.pop()
                self.set_items([key, value])
            case pickle.SETITEMS:
                self.set_items(self.pop_to_mark())
            case pickle.EMPTY_TUPLE:
                push(())
            case pickle.TUPLE1:
                push((self.pop(),))
            case pickle.TUPLE2:
                last, first = self.pop(), self.pop()
                push((first, last))
            case pickle.TUPLE3:
                last, middle, first = self.pop(), self.pop(), self.pop()
                push((first, middle, last))
            case pickle.TUPLE:
                push(tuple(self.pop_to_mark()))
            case pickle.NONE:
                push(None)
            case pickle.NEWTRUE:
                push(True)
            case pickle.NEWFALSE:
                push(False)
            case pickle.SHORT_BINSTRING:
                push(self.take(self.number("<B")))
            case pickle.BINSTRING:
                push(self.take(self.number("<I")))
            case pickle.GLOBAL:
                push(self.name())
            case pickle.REDUCE | pickle.NEWOBJ:
                arguments, name = self.pop(), self.pop()
                push(self.make(opcode, name, arguments))
            case pickle.BUILD:
                state = self.pop()
                self.build(self.top(_Object), state)
            case _:
                raise self.error(f"opcode {opcode!r} is not used by these files")

    def remember(self, slot: int) -> None:
        if not self.stack:
            raise self.error("an operand is missing")
        self.memo[slot] = self.stack[-1]

    def recall(self, slot: int):
        if slot not in self.memo:
            raise self.error(f"slot {slot} is empty")
        return self.memo[slot]

    def set_items(self, items: list) -> None:
        keys, values = items[0::2], items[1::2]
        if len(keys) != len(values):
            raise self.error("a key has no value")
        if not all(type(key) in (int, bytes) for key in keys):
            raise self.error("a key must be a whole number or a string")
        self.top(dict).update(zip(keys, values, strict=True))

    def name(self) -> _Name:
        name = self.line() + b" " + self.line()
        known = {member.value: member for member in _Name}
        if name not in known:
            choices = ", ".join(value.decode() for value in known)
            raise self.error(f"the name {name[:80]!r} is not one of {choices}")
        return known[name]

    def make(self, opcode: bytes, name, arguments):
        reduce = opcode == pickle.REDUCE
        match name, arguments:
            case _Name.CSR, () if not reduce:
                return _Object(_Name.CSR)
            case _Name.DEFAULTDICT, (_Name.LIST,) if reduce:
                return {}
            case _Name.RECONSTRUCT, (_Name.NDARRAY, (0,), b"b") if reduce:
                return _Object(_Name.NDARRAY)
            case _Name.DTYPE, (b"i4" | b"i8" | b"f4" | b"f8" as code, 0, 1) if reduce:
                return _Object(_Name.DTYPE, code)
        raise self.error("these files make no such object")

    def build(self, target: _Object, state) -> None:
        if target.value is not None:
            raise self.error("an object is filled in twice")
        match target.kind, state:
            case _Name.DTYPE, (3, b"<" | b">" as order, None, None, None, -1, -1, 0):
                target.value = np.dtype((order + target.code).decode())
            case _Name.NDARRAY, (
                1,
                tuple(shape),
                _Object(value=np.dtype() as dtype),
                bool(),
                bytes(raw),
            ):
                target.value = self.array(shape, dtype, "F" if state[3] else "C", raw)
            case _Name.CSR, {
                b"format": b"csr",
                b"_shape": (int(rows), int(columns)),
                b"indptr": _Object(value=np.ndarray() as indptr),
                b"indices": _Object(value=np.ndarray() as indices),
                b"data": _Object(value=np.ndarray() as values),
            }:
                target.value = self.matrix(CSR((rows, columns), indptr, indices, values))
            case _:
                raise self.error(
                    f"the state of a {target.kind.name.lower()} has another form in these files"
                )

    def array(self, shape: tuple, dtype: np.dtype, order, raw: bytes) -> np.ndarray:
        if not 1 <= len(shape) <= 2 or not all(type(n) is int and n > 0 for n in shape):
            raise self.error("an array must have one or two dimensions, none of them empty")
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise self.error(
                f"an array of shape {shape} and {dtype} must have as many bytes, got {len(raw)}"
            )
        return np.frombuffer(raw, dtype).reshape(shape, order=order)

    def matrix(self, m: CSR) -> CSR:
        rows, columns = m.shape
        parts = {"indptr": m.indptr, "indices": m.indices, "data": m.data}
        for name, part in parts.items():
            if part.ndim != 1 or part.dtype.kind != ("f" if name == "data" else "i"):
                raise self.error(
                    f"{name} of a sparse matrix has shape {part.shape} and {part.dtype}"
                )
        if len(m.indptr) != rows + 1 or len(m.indices) != len(m.data):
            raise self.error(
                f"a sparse matrix of shape {m.shape} has {len(m.indptr)} row bounds, "
                f"{len(m.indices)} columns and {len(m.data)} values"
            )
        falls = m.indptr[1:] < m.indptr[:-1]  # a difference could overflow
        if m.indptr[0] != 0 or m.indptr[-1] != len(m.data) or falls.any():
            raise self.error(f"the row bounds of a sparse matrix must rise from 0 to {len(m.data)}")
        if columns > len(self.data):
            raise self.error(f"a file of {len(self.data)} bytes cannot describe {columns} columns")
        if m.indices.min() < 0 or m.indices.max() >= columns:
            raise self.error(f"the columns of a sparse matrix must be in [0, {columns})")
        return m
