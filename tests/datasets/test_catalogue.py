"""The catalogue says what the datasets are."""

import shutil

import pytest
import torch

from gnnlib.datasets import CATALOGUE, Dataset
from gnnlib.datasets._cache import checksum
from gnnlib.datasets.planetoid import _CHECKSUMS, _edges
from gnnlib.train import Task

OPENABLE = sorted(CATALOGUE.keys() - {"pubmed"})  # the mirror lacks a file of PubMed


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))


def facts(dataset: Dataset) -> dict[str, object]:
    return {
        "num_graphs": len(dataset),
        "num_nodes": sum(graph.num_nodes for graph in dataset),
        "num_edges": sum(graph.num_edges for graph in dataset),
        "num_features": dataset.num_features,
        "num_classes": dataset.num_classes,
        "licence": dataset.licence,
        "citation": dataset.citation,
    }


@pytest.mark.filterwarnings("ignore:.* SMILES that RDKit cannot read")
@pytest.mark.parametrize("name", OPENABLE)
def test_an_entry_has_the_facts_of_the_real_data(name, real, monkeypatch):
    entry = CATALOGUE[name]
    assert entry.cached()
    dataset = entry.open()
    found = facts(dataset)
    assert found == {key: getattr(entry, key) for key in found}
    assert entry.name == dataset.name.lower().replace("_", "-")
    level = "graph" if entry.task.startswith("graph ") else "node"
    y = torch.cat([graph.y if level == "node" else graph.graph_y for graph in dataset])
    task = Task.of(level, y)
    assert f"{level} {task.kind}" == entry.task
    assert task.num_outputs(y) == entry.num_classes
    monkeypatch.delenv("GNNLIB_MIRROR")
    assert entry.cached()  # by the graph alone, if there was a file to read


def test_the_edges_of_pubmed_are_counted_right(mirror):
    path = mirror / "citation" / "planetoid_pubmed" / "ind.pubmed.graph"
    edge_index, num_nodes = _edges(path.read_bytes(), path.name, raw_edges=False)
    entry = CATALOGUE["pubmed"]
    assert (num_nodes, edge_index.shape[1]) == (entry.num_nodes, entry.num_edges)


def test_the_download_is_as_large_as_the_files(mirror):
    for name in ("cora", "citeseer", "pubmed"):
        files = list((mirror / "citation" / f"planetoid_{name}").glob("ind.*"))
        there = {path.name.split(".", 2)[2]: path for path in files}
        assert all(checksum(path) == _CHECKSUMS[name][part] for part, path in there.items())
        total = sum(path.stat().st_size for path in files)
        missing = _CHECKSUMS[name].keys() - there.keys()
        size = CATALOGUE[name].download_size
        assert size > total if missing else size == total


@pytest.mark.parametrize("name", ["cora", "cora-ml", "minesweeper"])  # one of each source
def test_what_is_cached_opens_without_a_download(name, mirror, cache, monkeypatch):
    entry = CATALOGUE[name]
    assert not entry.cached()
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    assert entry.cached()
    entry.open()
    monkeypatch.delenv("GNNLIB_MIRROR")
    assert entry.cached()  # the graph that was read
    assert entry.open()[0].num_edges == entry.num_edges
    shutil.rmtree(cache)
    assert not entry.cached()


def test_raw_files_in_the_cache_count_when_they_are_whole(mirror, cache):
    entry, folder = CATALOGUE["citeseer"], cache / "citation" / "planetoid_citeseer"
    shutil.copytree(mirror / "citation" / "planetoid_citeseer", folder)
    assert entry.cached()
    (folder / "ind.citeseer.y").write_bytes(b"half")
    assert not entry.cached()


def test_bundled_data_are_always_there(cache):
    for name in ("breast-cancer", "chains", "digits", "karate"):
        assert CATALOGUE[name].cached()
        assert CATALOGUE[name].download_size == 0
