"""HeterophilousGraphs: the format by small files, the facts by the real ones."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gnnlib.datasets import DatasetError, GeomGCN, HeterophilousGraphs
from gnnlib.datasets.heterophilous import PUBLISHED, parse
from gnnlib.features import SparseFeatures
from tests.datasets.manifest import check_source

MASKS = ("train_mask", "val_mask", "test_mask")
EDGES = np.array([(0, 1), (1, 0), (1, 2), (1, 2), (3, 3), (4, 0)])
X = np.random.default_rng(0).random((5, 3), dtype=np.float32)
part_of = np.stack(
    [np.random.default_rng(split).permutation([0, 1, 1, 2, 3]) for split in range(10)]
)


def members(**changed: Any) -> dict[str, Any]:
    """The arrays of a file, some of them others; None leaves one out."""
    found: dict[str, Any] = {"node_features": X, "edges": EDGES}
    found["node_labels"] = np.array([0, 1, 2, 1, 0])
    for part, name in enumerate(MASKS):
        found[f"{name}s"] = part_of == part
    return {name: value for name, value in (found | changed).items() if value is not None}


def write(**changed: Any) -> bytes:
    np.savez_compressed(buffer := io.BytesIO(), **members(**changed))
    return buffer.getvalue()


def read(raw_edges=False, directed=False, **changed):
    return parse({"small.npz": write(**changed)}, raw_edges, directed)


def edges(graph) -> list[tuple[int, int]]:
    return list(zip(*graph.edge_index.tolist(), strict=True))


def test_edges_are_in_both_directions_and_once_without_loops():
    graph = read()
    assert sorted(edges(graph)) == [(0, 1), (0, 4), (1, 0), (1, 2), (2, 1), (4, 0)]
    assert graph.adj.eid is None


def test_edges_of_a_directed_graph_keep_their_direction():
    assert sorted(edges(read(directed=True))) == [(0, 1), (1, 0), (1, 2), (4, 0)]


def test_raw_edges_are_the_list_as_published():
    assert edges(read(raw_edges=True)) == [tuple(edge) for edge in EDGES.tolist()]


def test_features_labels_and_all_masks_are_those_of_the_file():
    graph = read(node_labels=members()["node_labels"].astype(np.int8))
    np.testing.assert_array_equal(graph.x, X)
    assert graph.y.dtype == torch.int64
    assert graph.y.tolist() == [0, 1, 2, 1, 0]
    for part, name in enumerate(MASKS):
        assert torch.equal(graph[name], torch.from_numpy(part_of.T) == part)


def changed(name: str, place: Any, value: Any) -> dict[str, np.ndarray]:
    array = members()[name].copy()
    array[place] = value
    return {name: array}


WRONG = {
    "no edges": ({"edges": None}, "lacks the member edges.npy"),
    "labels in a matrix": ({"node_labels": np.zeros((5, 1), dtype=int)}, "must be a vector"),
    "no nodes": ({"node_labels": np.zeros(0, dtype=int)}, "node_labels must be a vector"),
    "labels of fractions": ({"node_labels": np.zeros(5)}, "node_labels must hold integers"),
    "a negative label": (changed("node_labels", 0, -1), "node_labels must be classes"),
    "a huge label": (changed("node_labels", 0, 2**40), "node_labels must be classes"),
    "a row too many": ({"node_features": np.ones((6, 3), "f4")}, "must have 5 rows"),
    "a vector of features": ({"node_features": np.ones(5, "f4")}, "must have 5 rows"),
    "features that are no numbers": (changed("node_features", 0, np.nan), "finite float32"),
    "features of 64 bits": ({"node_features": X.astype("f8")}, "be finite float32"),
    "three ends": ({"edges": np.zeros((2, 3), dtype=int)}, "edges must have two columns"),
    "a vector of ends": ({"edges": np.zeros(4, dtype=int)}, "edges must have two columns"),
    "ends that are fractions": ({"edges": np.zeros((2, 2))}, "edges must hold integers"),
    "an end out of range": (changed("edges", (1, 1), 5), r"must hold nodes in \[0, 5\)"),
    "a negative end": (changed("edges", (1, 1), -1), r"must hold nodes in \[0, 5\)"),
    "nine splits": ({"val_masks": part_of[:9] == 1}, "val_masks must be 10 x 5"),
    "masks of other nodes": ({"val_masks": part_of[:, :4] == 1}, "val_masks must be 10 x 5"),
    "masks of numbers": ({"test_masks": part_of}, "test_masks must hold booleans"),
    "a node in two masks": ({"test_masks": part_of <= 1}, "masks must have no node in common"),
}


@pytest.mark.parametrize(("others", "message"), WRONG.values(), ids=WRONG.keys())
def test_files_that_do_not_fit_are_refused(others, message):
    with pytest.raises(DatasetError, match=f"^small.npz.*{message}"):
        read(**others)


@pytest.mark.parametrize("split", [-1, 10])
def test_there_are_ten_splits(split, cache):
    with pytest.raises(ValueError, match=rf"split must be .*{split}"):
        HeterophilousGraphs("texas", split=split)


def test_an_unknown_name_is_refused(cache):
    with pytest.raises(
        ValueError, match="name must be one of .*'minesweeper'.*; got 'roman_empire'"
    ):
        HeterophilousGraphs("roman_empire")


# The real files.


@pytest.fixture
def real(mirror, cache, monkeypatch) -> Path:
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_real_graph_has_the_facts_of_the_manifest(name, real):
    facts = check_source(real, PUBLISHED[name].source)
    dataset = HeterophilousGraphs(name)
    graph = dataset[0]
    directed = name.endswith("_directed")
    assert dataset.name == name.replace("_", "-")
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == (
        facts["distinct_directed"] - facts["self_loops"]
        if directed
        else 2 * facts["undirected_edges_without_self_loops"]
    )
    assert graph.is_undirected() is not directed
    assert not graph.has_self_loops()
    assert (dataset.num_features, dataset.num_classes) == (facts["features"], facts["classes"])
    assert [int(graph[mask].sum()) for mask in MASKS] == facts["split0_train_val_test"]
    dense = name in ("minesweeper", "tolokers")
    assert isinstance(graph.x, torch.Tensor if dense else SparseFeatures)
    raw = HeterophilousGraphs(name, raw_edges=True)[0]
    assert raw.num_edges == facts["edge_entries_listed"]


def test_a_real_graph_equals_what_numpy_reads(real):
    with np.load(real / "heterophily/heterophilous_graphs_npz/wisconsin.npz") as found:
        for split in range(10):
            graph = HeterophilousGraphs("Wisconsin", split=split)[0]
            for mask in MASKS:
                np.testing.assert_array_equal(graph[mask], found[f"{mask}s"][split])
        np.testing.assert_array_equal(graph.x.to_dense(), found["node_features"])
        np.testing.assert_array_equal(graph.y, found["node_labels"])
        both = np.concatenate([found["edges"], found["edges"][:, ::-1]])
        assert set(edges(graph)) == set(map(tuple, both.tolist()))


def test_texas_with_four_classes_keeps_the_label_of_the_node_that_is_in_no_mask(real):
    five, four = (HeterophilousGraphs(name)[0] for name in ("texas", "texas_4_classes"))
    assert torch.equal(five.y, four.y)
    assert (four.y == 1).sum() == 1
    for split in range(10):
        graph = HeterophilousGraphs("texas-4-classes", split=split)[0]
        in_masks = graph.train_mask | graph.val_mask | graph.test_mask
        assert torch.equal(in_masks, graph.y != 1)


@pytest.mark.parametrize("name", ["chameleon", "squirrel"])
def test_filtered_graphs_are_those_without_duplicates(name, real):
    """Nodes with the same neighbors and class leak from training to testing."""

    def duplicates(graph) -> int:
        rows = {}
        for src, dst in edges(graph):
            rows.setdefault(dst, []).append(src)
        kinds = [(tuple(sorted(row)), int(graph.y[node])) for node, row in rows.items()]
        return len(kinds) - len(set(kinds))

    leaking, filtered = HeterophilousGraphs(name)[0], HeterophilousGraphs(f"{name}_filtered")[0]
    assert filtered.num_nodes < leaking.num_nodes
    assert duplicates(leaking) > 1000 > 50 > duplicates(filtered)


@pytest.mark.parametrize("name", ["texas", "wisconsin", "film"])
def test_geom_gcn_has_the_same_graphs(name, real):
    """The same data by another format: what is not symmetric is symmetrised alike."""
    ours, theirs = (
        HeterophilousGraphs("actor" if name == "film" else name, split=4)[0],
        GeomGCN(name, split=4)[0],
    )
    assert torch.equal(ours.edge_index, theirs.edge_index)
    assert torch.equal(ours.x.structure.col, theirs.x.structure.col)
    assert torch.equal(ours.x.structure.ptr, theirs.x.structure.ptr)
    assert torch.equal(ours.y, theirs.y)
    for mask in MASKS:
        assert torch.equal(ours[mask], theirs[mask])


def test_cornell_of_geom_gcn_has_the_features_and_labels_of_texas(real):
    ours, theirs, texas = (
        HeterophilousGraphs("cornell")[0],
        GeomGCN("cornell")[0],
        GeomGCN("texas")[0],
    )
    assert torch.equal(theirs.y, texas.y)
    assert torch.equal(theirs.x.to_dense(), texas.x.to_dense())

    def within_a_class(graph) -> float:
        src, dst = graph.edge_index
        return (graph.y[src] == graph.y[dst]).float().mean().item()

    assert round(within_a_class(theirs), 2) == 0.30
    assert round(within_a_class(ours), 2) == 0.12
    assert torch.equal(ours.adj.degree().sort().values, theirs.adj.degree().sort().values)
