"""Every format that is read, cut at many points and with bits flipped: typed errors only.

What is not refused must be a graph whose own checks hold. The full count of flips is marked slow.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch

from gnnlib._save import GraphFileError
from gnnlib.batch import Batch
from gnnlib.datasets import DatasetError
from gnnlib.datasets._cache import _load, cached
from gnnlib.datasets._unpickle import load
from gnnlib.datasets.planetoid import parse
from gnnlib.graph import Graph
from tests.datasets import historic
from tests.graphs import assert_same_graph, make_graph

FILES = historic.Small().files()
FLIPS = [100, pytest.param(10_000, marks=pytest.mark.slow)]


def flipped(data: bytes, count: int) -> Iterator[bytes]:
    """`data` with one bit changed, `count` times."""
    draw = random.Random(0)
    for _ in range(count):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        yield bytes(damaged)


def cuts(data: bytes, step: int) -> Iterator[bytes]:
    """The beginnings of `data`: all of the first 50 lengths, then each `step`-th, not the whole."""
    for end in [*range(50), *range(50, len(data), step)]:
        yield data[: min(end, len(data) - 1)]


def count_refused(read: Callable[[bytes], Graph], damaged: Iterable[bytes]) -> int:
    """How many are refused by one of the two errors there are; the others are valid graphs."""
    refused = 0
    for data in damaged:
        try:
            graph = read(data)
        except (DatasetError, GraphFileError):
            refused += 1
        else:
            assert graph.validate() is graph
    return refused


def reader(part: str) -> Callable[[bytes], Graph]:
    def read(data: bytes) -> Graph:
        if part != "test.index":
            load(data, part)  # alone first, which is fast and refuses most
        return parse(FILES | {part: data}, "small")

    return read


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("part", ["x", "tx", "ty", "graph", "test.index"])  # one of each kind
def test_flipped_bits_in_a_historic_file(part, flips):
    refused = count_refused(reader(part), flipped(FILES[part], flips))
    assert refused > 0.6 * flips


@pytest.mark.parametrize("part", FILES)
def test_a_cut_historic_file(part):
    data = FILES[part].rstrip()  # without its last line end test.index is still whole
    points = list(cuts(data, step=1 + len(data) // 60))
    assert count_refused(reader(part), points) == len(points)


GRAPHS = {
    "dense": lambda: make_graph("self_loops"),
    "sparse": lambda: make_graph("unsorted", sparse=True),
    "batch": lambda: Batch.from_graphs([make_graph("ring"), make_graph("one_node")]),
}


@pytest.fixture(params=GRAPHS)
def graph(request) -> Graph:
    graph = GRAPHS[request.param]()
    assert graph.adj is not None  # built, so that it is in the file
    return graph


def loader(path: Path) -> Callable[[bytes], Graph]:
    def read(data: bytes) -> Graph:
        path.write_bytes(data)
        return Graph.load(path)

    return read


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bits_in_a_graph_file(graph, flips, tmp_path):
    graph.save(tmp_path / "graph")
    data = (tmp_path / "graph").read_bytes()
    refused = count_refused(loader(tmp_path / "graph"), flipped(data, flips))
    assert 0.3 * flips < refused < flips  # a feature with another value is a graph too


def test_a_cut_graph_file(graph, tmp_path):
    graph.save(tmp_path / "graph")
    data = (tmp_path / "graph").read_bytes()
    points = list(cuts(data, step=1 + len(data) // 100))
    assert count_refused(loader(tmp_path / "graph"), points) == len(points)


@pytest.mark.parametrize("flips", FLIPS)
def test_no_damaged_file_of_the_cache_is_used(graph, flips, tmp_path):
    cached(tmp_path, ["source"], lambda: graph)
    [path] = tmp_path.glob("graph-*.safetensors")
    data = path.read_bytes()
    for damaged in [*cuts(data, step=97), *flipped(data, flips), data + b"\0", b""]:
        path.write_bytes(damaged)
        assert _load(path) is None
    again = cached(tmp_path, ["source"], lambda: graph)
    assert_same_graph(again, graph)
    assert path.read_bytes() == data  # built again, and the damaged file replaced


def test_random_bytes_are_no_file_of_any_format(tmp_path):
    draw = random.Random(0)
    noise = [draw.randbytes(size) for size in (0, 1, 7, 8, 9, 64, 1000, 10_000) for _ in range(5)]
    for read in [*map(reader, FILES), loader(tmp_path / "graph")]:
        assert count_refused(read, noise) == len(noise)


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path):
    make_graph("ring").save(tmp_path / "graph")
    data = (tmp_path / "graph").read_bytes()
    promises = [size.to_bytes(8, "little") + data[8:] for size in (2**20, 2**40, 2**63, 2**64 - 1)]
    assert count_refused(loader(tmp_path / "graph"), promises) == len(promises)
    assert torch.equal(loader(tmp_path / "graph")(data).edge_index, make_graph("ring").edge_index)
