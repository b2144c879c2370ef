"""Arrays from .npz files: as numpy reads them, but never a pickle and never more than is there."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gnnlib.datasets import DatasetError
from gnnlib.datasets._npz import arrays

DTYPES = ["b1", "i1", "u1", "<i2", "<i4", "<i8", "<u8", "<f2", "<f4", "<f8"]


def npz(**members: bytes) -> bytes:
    """A zip of .npy files with these bytes."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    np.lib.format.write_array(buffer := io.BytesIO(), array, version)
    return buffer.getvalue()


def with_header(text: str, content: bytes = b"") -> bytes:
    """An .npy file with another header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n" + content


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 6), (0,), (0, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_comes_back_as_numpy_wrote_it(dtype, shape, order, version):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
    found = arrays(npz(a=npy(array, version)), "file", ["a"])["a"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_only_the_arrays_asked_for_are_read(save):
    save(buffer := io.BytesIO(), a=np.arange(3), objects=np.array([None, {}], dtype=object))
    assert list(arrays(buffer.getvalue(), "file", ["a"])) == ["a"]
    with pytest.raises(DatasetError, match=r"file: objects must hold numbers.* dtype '\|O'"):
        arrays(buffer.getvalue(), "file", ["a", "objects"])
    with pytest.raises(DatasetError, match="file lacks the member b.npy"):
        arrays(buffer.getvalue(), "file", ["a", "b"])


HEAD = "{'descr': '<i8', 'fortran_order': False, 'shape': %s, }"
WRONG = {
    "no npy file": (b"1, 2, 3", "is no vector or matrix in the npy format"),
    "nothing": (b"", "is no vector or matrix"),
    "text": (npy(np.array(["a"])), "must hold numbers or booleans, got dtype '<U1'"),
    "complex numbers": (npy(np.ones(1, dtype="c16")), "got dtype '<c16'"),
    "another byte order": (npy(np.ones(1, dtype=">i8")), "got dtype '>i8'"),
    "records": (npy(np.ones(1, dtype=[("a", "i4")])), "is no vector or matrix"),
    "one number": (npy(np.array(1.0)), "is no vector or matrix"),
    "three dimensions": (npy(np.ones((1, 1, 1))), "is no vector or matrix"),
    "code in the header": (with_header("__import__('os').abort()"), "is no vector or matrix"),
    "code as the shape": (with_header(HEAD % "(len('a'),)", bytes(8)), "is no vector or matrix"),
    "a negative size": (with_header(HEAD % "(-1,)"), "is no vector or matrix"),
    "a size of a terabyte": (
        with_header(HEAD % "(137438953472,)", bytes(8)),
        "is no vector or matrix",
    ),
    "a size of gigabytes": (
        with_header(HEAD % "(1000000000,)", bytes(8)),
        r"must have 8000000000 bytes for dtype <i8 and shape \(1000000000,\), got 8",
    ),
    "too much": (npy(np.arange(3)) + b"\0", r"must have 24 bytes .* got 25"),
    "too little": (npy(np.arange(3))[:-1], r"must have 24 bytes .* got 23"),
    "a boolean of 2": (npy(np.ones(3, dtype=bool))[:-1] + b"\2", "booleans, got a byte of 2"),
    "a header of another length": (
        npy(np.arange(3)).replace(b"\x76\x00", b"\x75\x00", 1),
        "is no vector or matrix",
    ),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_array_of_numbers_is_refused(content, message):
    with pytest.raises(DatasetError, match=f"^file: a .*{message}"):
        arrays(npz(a=content), "file", ["a"])


def test_a_file_that_would_unpack_to_gigabytes_is_refused():
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(np.arange(3)))
    data = buffer.getvalue().replace(
        struct.pack("<I", len(npy(np.arange(3)))), struct.pack("<I", 2**32 - 2)
    )
    with pytest.raises(DatasetError, match="file unpacks to more than"):
        arrays(data, "file", ["a"])


def test_every_array_of_numbers_in_the_real_files_is_as_numpy_reads_it(mirror: Path):
    paths = sorted(mirror.glob("citation/*_npz/*.npz")) + sorted(mirror.glob("*/*/texas*.npz"))
    assert len(paths) > 10
    for path in paths:
        with np.load(path, allow_pickle=False) as real:
            expected = {name: real[name] for name in real.files if real[name].dtype.kind != "U"}
        found = arrays(path.read_bytes(), path.name, list(expected))
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
