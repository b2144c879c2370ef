"""Formats of .npz files, damaged as in test_damage.py: as a whole, and within their arrays.

The checksums of a zip find most of the damage to the whole. So each array is damaged by itself too,
and packed with a checksum that fits.
"""

import io
import random
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import pytest

from gnnlib.datasets import _csr_npz, _geom_splits, geom_gcn, heterophilous
from gnnlib.graph import Graph
from tests.datasets import csr_npz, test_geom_gcn, test_heterophilous
from tests.datasets.test_damage import count_refused, cuts, flipped

FLIPS = [50, pytest.param(2000, marks=pytest.mark.slow)]


class Format(NamedTuple):
    data: bytes
    read: Callable[[bytes], Graph]


FORMATS = {
    "gnn_benchmark": Format(
        csr_npz.write(class_names=None), lambda data: _csr_npz.parse({"small.npz": data})
    ),
    "heterophilous": Format(
        test_heterophilous.write(), lambda data: heterophilous.parse({"small.npz": data})
    ),
    "geom_splits": Format(
        test_geom_gcn.split(),
        lambda data: Graph([[], []], num_nodes=4, **_geom_splits.parse(data, "small.npz", 4)),
    ),
}
ARRAYS = [
    (name, member)
    for name, format in FORMATS.items()
    for member in zipfile.ZipFile(io.BytesIO(format.data)).namelist()
]


@pytest.fixture(params=FORMATS)
def format(request) -> Format:
    return FORMATS[request.param]


def replaced(data: bytes, member: str, content: bytes) -> bytes:
    """The archive with other bytes in one of its members."""
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer := io.BytesIO(), "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, content if name == member else old.read(name))
    return buffer.getvalue()


def member_of(data: bytes, member: str) -> bytes:
    return zipfile.ZipFile(io.BytesIO(data)).read(member)


def test_what_is_not_damaged_is_read(format):
    assert count_refused(format.read, [format.data]) == 0


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bits_in_a_file(format, flips):
    refused = count_refused(format.read, flipped(format.data, flips))
    assert 0.5 * flips < refused < flips  # a file's time and permissions are not looked at


def test_a_cut_file(format):
    points = list(cuts(format.data, step=1 + len(format.data) // 100))
    assert count_refused(format.read, points) == len(points)


@pytest.mark.parametrize("flips", [50, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "member"), ARRAYS)
def test_flipped_bits_in_an_array(name, member, flips):
    data, read = FORMATS[name]
    damaged = flipped(member_of(data, member), flips)
    refused = count_refused(read, (replaced(data, member, content) for content in damaged))
    assert refused > 0.3 * flips  # at the least the header; another value can be right as well


@pytest.mark.parametrize(("name", "member"), ARRAYS)
def test_a_cut_array(name, member):
    data, read = FORMATS[name]
    content = member_of(data, member)
    points = [replaced(data, member, part) for part in cuts(content, step=7)]
    assert count_refused(read, points) == len(points)


def test_random_bytes_in_place_of_an_array():
    draw = random.Random(0)
    for name, member in ARRAYS:
        data, read = FORMATS[name]
        noise = [replaced(data, member, draw.randbytes(size)) for size in (0, 1, 10, 200)]
        assert count_refused(read, noise) == len(noise)


@pytest.mark.parametrize("flips", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("table", ["edges", "nodes", "lists"])
def test_flipped_bits_in_a_table(table, flips):
    def read(data: bytes) -> Graph:
        edges = data if table == "edges" else test_geom_gcn.EDGES
        nodes = test_geom_gcn.NODES if table == "edges" else data
        return geom_gcn.parse(edges, nodes, "small")

    whole = getattr(test_geom_gcn, table.upper())
    assert count_refused(read, [whole]) == 0
    assert 0.5 * flips < count_refused(read, flipped(whole, flips)) < flips
    points = list(cuts(whole, step=1))
    refused = count_refused(read, points)
    assert refused > 0.6 * len(points)  # a number may be whole without its last digit
