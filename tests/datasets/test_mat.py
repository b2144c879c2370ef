"""MATLAB 5 files: the same as scipy reads, bounded, and nothing that is damaged."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from gnnlib.datasets import DatasetError
from gnnlib.datasets._mat import Entries, adjacency_edges, load
from tests.datasets.test_damage import cuts, flipped

SPARSE = sp.csc_matrix(np.array([[0, 1.5, 0], [2, 0, 0]]))
DENSE = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.uint16)


def write(variables: dict, packed: bool = False) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=packed)
    return buffer.getvalue()


HEAD = write({})[:128]


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def variable(
    flags: int = 6, shape=(1, 2), name: bytes = b"A", *parts: bytes, shape_kind: int = 5
) -> bytes:
    head = [struct.pack("<II", flags, 0), struct.pack(f"<{len(shape)}i", *shape), name]
    kinds = [6, shape_kind, 1]
    inner = [element(kind, part) for kind, part in zip(kinds, head, strict=True)]
    return element(14, b"".join([*inner, *parts]))


def numbers(kind: int, layout: str, *values) -> bytes:
    return element(kind, struct.pack(f"<{len(values)}{layout}", *values))


def entries(found) -> np.ndarray:
    assert isinstance(found, Entries)
    dense = np.zeros(found.shape)
    dense[found.row, found.col] = found.values
    return dense


@pytest.mark.parametrize("packed", [False, True])
def test_matrices_are_read_as_scipy_wrote_them(packed):
    data = write({"S": SPARSE, "D": DENSE, "other": "text", "cell": [[1, "x"]]}, packed)
    found = load(data, "f.mat", ["S", "D"])
    assert list(found) == ["S", "D"]
    np.testing.assert_array_equal(entries(found["S"]), SPARSE.toarray())
    np.testing.assert_array_equal(found["D"], DENSE)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "bool"]
)
def test_every_kind_of_number_is_read(dtype, packed):
    values = np.array([[0, 1, 1], [1, 0, 7]]).astype(dtype)
    found = load(write({"A": values}, packed), "f.mat", ["A"])["A"]
    np.testing.assert_array_equal(found, values)
    one = load(write({"A": values[:1, 2:]}, packed), "f.mat", ["A"])["A"]  # within its tag
    np.testing.assert_array_equal(one, values[:1, 2:])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (3, 1)])
def test_matrices_may_be_empty(shape):
    data = write({"S": sp.csc_matrix(shape), "D": np.zeros(shape)})
    found = load(data, "f.mat", ["S", "D"])
    np.testing.assert_array_equal(entries(found["S"]), np.zeros(shape))
    assert found["D"].shape == shape


def test_room_for_more_entries_than_there_are_is_not_read():
    parts = numbers(5, "i", 0, 1, 77), numbers(5, "i", 0, 1, 2), numbers(9, "d", 3, 4)
    found = load(HEAD + variable(5, (2, 2), b"A", *parts), "f.mat", ["A"])["A"]
    np.testing.assert_array_equal(entries(found), [[3, 0], [0, 4]])


NUMBERS = numbers(9, "d", 1, 2)


def sparse(row=(0, 1), ends=(0, 1, 2), values=(3.0, 4.0), shape=(2, 2)) -> bytes:
    parts = numbers(5, "i", *row), numbers(5, "i", *ends), numbers(9, "d", *values)
    return HEAD + variable(5, shape, b"A", *parts)


WRONG = {
    "a page of HTML": (b"<!DOCTYPE html>" * 20, "no MATLAB 5 file .*begins with b'<!DOCTYPE"),
    "an empty file": (b"", "no MATLAB 5 file"),
    "MATLAB 7.3": (HEAD[:124] + b"\x00\x02IM", "no MATLAB 5 file"),
    "a big-endian file": (HEAD[:124] + b"\x01\x00MI", "no MATLAB 5 file with little-endian"),
    "no variable": (HEAD, "lacks the variable A"),
    "another variable": (write({"B": DENSE}), "lacks the variable A"),
    "a variable twice": (HEAD + variable(6, (1, 2), b"A", NUMBERS) * 2, "variable A twice"),
    "an element of numbers": (HEAD + NUMBERS, "must hold variables, got an element of type 9"),
    "a text": (write({"A": "text"}), "A must be a matrix of real numbers"),
    "a cell": (write({"A": np.array([[1, "x"]], dtype=object)}), "matrix of real numbers"),
    "a struct": (write({"A": {"b": 1}}), "matrix of real numbers"),
    "complex numbers": (write({"A": np.array([[1j]])}), "matrix of real numbers"),
    "three dimensions": (write({"A": np.zeros((2, 2, 2))}), r"got shape \(2, 2, 2\)"),
    "a negative shape": (HEAD + variable(6, (-1, -2), b"A", NUMBERS), r"got shape \(-1, -2\)"),
    "a shape of 16 bits": (HEAD + variable(shape_kind=3), "must begin with flags, shape and name"),
    "no flags": (HEAD + element(14, b""), "must begin with flags, shape and name"),
    "no numbers": (HEAD + variable(6, (1, 2), b"A"), "matrix of real numbers"),
    "a number too few": (HEAD + variable(6, (1, 3), b"A", NUMBERS), "1×3 numbers, got 2"),
    "a huge shape": (HEAD + variable(6, (2**31 - 1,) * 2, b"A", NUMBERS), "numbers, got 2"),
    "numbers in text": (HEAD + variable(6, (1, 2), b"A", element(16, b"12")), "of type 16"),
    "half a number": (HEAD + variable(6, (1, 2), b"A", element(9, b"12")), "holds 2 bytes"),
    "half a tag": (HEAD + b"\x0e\0\0\0", "4 bytes are no element"),
    "a size beyond the end": (HEAD + struct.pack("<II", 14, 2**31), "must have 2147483648 bytes"),
    "a small element of 5": (HEAD + b"\x0e\0\x05\0" + b"\0" * 9, "must have 5 bytes"),
    "a row too far": (sparse(row=(0, 2)), r"rows in \[0, 2\), got 0 to 2"),
    "a row below 0": (sparse(row=(0, -1)), r"rows in \[0, 2\), got -1 to 0"),
    "a column too few": (sparse(ends=(0, 2)), "the ends of its 2 columns"),
    "columns that go back": (sparse(ends=(0, 2, 1)), "the ends of its 2 columns, in order"),
    "columns from 1": (sparse(ends=(1, 1, 2)), "the ends of its 2 columns, in order"),
    "columns of nothing": (sparse(shape=(2, 2**31 - 1)), "ends of its 2147483647 columns"),
    "more entries than rows": (sparse(ends=(0, 1, 3)), "3 entries, got 2 rows and 2 values"),
    "fewer values": (sparse(values=(1.0,)), "2 entries, got 2 rows and 1 values"),
    "no zlib": (HEAD + struct.pack("<II", 15, 4) + b"1234", "incorrect header check"),
    "an empty zlib": (HEAD + struct.pack("<II", 15, 0), "what is packed is cut off"),
}


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_matrix_is_refused(data, message):
    with pytest.raises(DatasetError, match=f"^f.mat.*{message}"):
        load(data, "f.mat", ["A"])


def packed(content: bytes) -> bytes:
    small = zlib.compress(content, 9)
    return struct.pack("<II", 15, len(small)) + small


def test_what_unpacks_to_more_than_the_limit_is_refused():
    bomb = HEAD + packed(variable(6, (2**20, 1), b"B", element(2, bytes(2**20))))
    assert len(bomb) < 2000
    with pytest.raises(DatasetError, match=r"unpacks to more bytes than are read \(1000000\)"):
        load(bomb, "f.mat", ["A"], limit=10**6)
    with pytest.raises(DatasetError, match="lacks the variable A"):
        load(bomb, "f.mat", ["A"])
    half = packed(variable(6, (600, 1), b"B", element(2, bytes(600))))
    with pytest.raises(DatasetError, match="unpacks to more"):  # all of them together count
        load(HEAD + half * 2, "f.mat", ["A"], limit=1000)


def test_a_variable_of_very_many_elements_takes_no_memory():
    parts = packed(variable(6, (1, 2), b"A", bytes(8 * 10**6)))
    with pytest.raises(DatasetError, match="matrix of real numbers"):
        load(HEAD + parts, "f.mat", ["A"])
    with pytest.raises(DatasetError, match="one by one"):
        load(HEAD + packed(bytes(8 * 10**6)), "f.mat", ["A"])


def damaged(data: bytes) -> Iterator[bytes]:
    yield from cuts(data, step=7)
    yield from flipped(data, 1000)


@pytest.mark.parametrize("pack", [False, True])
def test_damage_gives_an_error_or_a_matrix(pack):
    data = write({"S": SPARSE, "D": DENSE}, pack)
    refused = 0
    for changed in damaged(data):
        try:
            found = load(changed, "f.mat", ["S", "D"])
        except DatasetError:
            refused += 1
        else:
            assert isinstance(found["S"], Entries)
            (num_rows, num_columns), row, col, values = found["S"]
            assert len(row) == len(col) == len(values) <= 2
            assert all(0 <= i < num_rows for i in row)
            assert all(0 <= j < num_columns for j in col)
            assert not isinstance(found["D"], Entries)
    assert refused > 300


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), r"be sparse and square, got ndarray of shape \(2, 2\)"),
        (SPARSE, r"be sparse and square, got Entries of shape \(2, 3\)"),
        (sp.csc_matrix(2 * np.eye(2)), "hold ones"),
        (sp.csc_matrix(np.array([[0, np.nan], [1, 0]])), "hold ones"),
    ],
)
def test_an_adjacency_matrix_is_square_sparse_and_of_ones(matrix, message):
    [found] = load(write({"A": matrix}), "f.mat", ["A"]).values()
    with pytest.raises(DatasetError, match=f"here must {message}"):
        adjacency_edges(found, "here")


def test_edges_are_in_both_directions_without_loops():
    matrix = sp.csc_matrix(np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]]))
    [found] = load(write({"A": matrix}), "f.mat", ["A"]).values()
    edge_index, num_nodes = adjacency_edges(found, "here")
    assert num_nodes == 3
    assert edge_index.tolist() == [[1, 2, 0, 0], [0, 0, 1, 2]]
