"""Members of archives: what is asked for, and nothing from an archive that is suspicious."""

import gzip
import io
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from gnnlib.datasets import DatasetError
from gnnlib.datasets._archive import gunzip, members
from tests.datasets.test_damage import cuts, flipped

FILES = {"set/a.txt": b"1, 2\n2, 1\n" * 50, "set/b.txt": b"0\n1\n", "set/README.txt~": b"litter"}


def make_zip(files=FILES, method=zipfile.ZIP_DEFLATED, change: Callable | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if change is not None:
                change(info)
            archive.writestr(info, content)
    return buffer.getvalue()


def make_tar(files=FILES, change: Callable | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVES = {"zip": make_zip, "stored zip": lambda files=FILES: make_zip(files, 0), "tar": make_tar}


@pytest.fixture(params=ARCHIVES)
def make(request) -> Callable:
    return ARCHIVES[request.param]


def test_members_that_are_asked_for_are_read_and_no_others(make):
    found = members(make(), "set.zip", ["set/b.txt"], optional=["set/a.txt", "set/c.txt"])
    assert found == {"set/a.txt": FILES["set/a.txt"], "set/b.txt": FILES["set/b.txt"]}


@pytest.mark.parametrize("name", ["set//a.txt", "./set/a.txt", "set/.//./a.txt"])
def test_slashes_and_dots_of_no_meaning_are_passed_over(make, name):
    assert members(make({name: b"a"}), "set.zip", ["set/a.txt"]) == {"set/a.txt": b"a"}


def test_a_member_that_is_missing_is_named(make):
    with pytest.raises(DatasetError, match="set.zip lacks the member set/c.txt"):
        members(make(), "set.zip", ["set/a.txt", "set/c.txt"])


@pytest.mark.parametrize(
    "name",
    ["/etc/a", "../a", "set/../../a", "set/..", "C:/a", "C:a", "set\\a", "\\\\host\\a", "a\n"],
)
def test_a_name_that_points_elsewhere_refuses_the_archive(make, name):
    with pytest.raises(DatasetError, match="set.zip: the name .* is not that of a member: refused"):
        members(make(FILES | {name: b""}), "set.zip", ["set/a.txt"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_stands_there_twice_refuses_the_archive(make):
    with pytest.raises(DatasetError, match="set.zip: the member set/b.txt stands there twice"):
        members(make(FILES | {"set//b.txt": b"other"}), "set.zip", ["set/a.txt"])


def test_a_folder_is_no_member():
    folder = make_tar({"set/c.txt": b""}, lambda info: setattr(info, "type", tarfile.DIRTYPE))
    for data in (make_zip({"set/c.txt/": b""}), folder):
        with pytest.raises(DatasetError, match="set.zip: the member set/c.txt/? is a folder"):
            members(data, "set.zip", ["set/c.txt"])


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"S"]
)
def test_a_link_or_a_device_refuses_the_tar(kind):
    def change(info):
        info.type, info.linkname = kind, "/etc/passwd"

    with pytest.raises(DatasetError, match="the member set/a.txt is a link or a device|damaged"):
        members(make_tar({"set/a.txt": b""}, change), "set.tar.gz", [])


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_a_device_refuses_the_zip(kind):
    data = make_zip(change=lambda info: setattr(info, "external_attr", (kind | 0o777) << 16))
    with pytest.raises(DatasetError, match="the member set/a.txt is a link or a device: refused"):
        members(data, "set.zip", [])


def test_an_encrypted_member_refuses_the_zip():
    data = bytearray(make_zip())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1  # the flag in the list of members
    with pytest.raises(DatasetError, match="the member set/a.txt is encrypted: refused"):
        members(bytes(data), "set.zip", ["set/b.txt"])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_whose_size_cannot_be_bounded_is_refused(method):
    with pytest.raises(DatasetError, match=f"set/a.txt is packed by method {method}, not by defl"):
        members(make_zip(method=method), "set.zip", ["set/a.txt"])


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(make):
    data = make({"bomb": bytes(100_000), "small": b"1"})
    assert len(members(data, "set.zip", ["bomb"], limit=200_000)["bomb"]) == 100_000
    with pytest.raises(DatasetError, match="set.zip unpacks to more than 99999 bytes: refused"):
        members(data, "set.zip", ["bomb"], limit=99_999)
    if make is not make_tar:  # what is not asked for is not unpacked
        assert members(data, "set.zip", ["small"], limit=99_999) == {"small": b"1"}


@pytest.mark.parametrize("declared", [0, 10, 99_999, 100_001])
def test_a_zip_that_lies_about_a_size_is_refused(declared):
    data = bytearray(make_zip({"bomb": bytes(100_000)}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + at, declared)
    with pytest.raises(DatasetError, match="set.zip: the member bomb"):
        members(bytes(data), "set.zip", ["bomb"])


def test_a_page_in_place_of_an_archive_is_shown():
    with pytest.raises(DatasetError, match="set.zip is neither zip nor tar.gz: .*<!DOCTYPE html>"):
        members(b"<!DOCTYPE html><html>please log in</html>", "set.zip", ["set/a.txt"])
    with pytest.raises(DatasetError, match="set.csv.gz is no gzip file: .*<html>"):
        gunzip(b"<html>", "set.csv.gz")


def test_a_gz_is_unpacked_up_to_the_limit():
    data = gzip.compress(bytes(1000))
    assert gunzip(data, "set.gz") == gunzip(data, "set.gz", limit=1000) == bytes(1000)
    with pytest.raises(DatasetError, match="set.gz unpacks to more than 999 bytes: refused"):
        gunzip(data, "set.gz", limit=999)


def read_all(data: bytes) -> int:
    """1 if the archive is refused; else 0, and what it gives is what was put in."""
    try:
        found = members(data, "set.zip", list(FILES))
    except DatasetError:
        return 1
    assert found == FILES
    return 0


@pytest.mark.parametrize("flips", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_flipped_bits_give_the_same_members_or_a_typed_error(make, flips):
    refused = sum(map(read_all, flipped(make(), flips)))
    assert refused > 0.5 * flips


def test_a_cut_archive_is_refused(make):
    data = make()
    # A tar ends in packed zeros and a gz in the sum of its bytes: without them it is damaged too.
    points = list(cuts(data, step=3))
    assert sum(map(read_all, points)) == len(points)


def test_random_bytes_are_no_archive():
    draw = random.Random(0)
    noise = [draw.randbytes(size) for size in (0, 1, 2, 30, 100, 1000) for _ in range(20)]
    for head in (b"", b"PK", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"\x1f\x8b\x08\0"):
        assert all(read_all(head + data) for data in noise)
        for data in noise:
            with pytest.raises(DatasetError):
                gunzip(head + data, "set.gz")
