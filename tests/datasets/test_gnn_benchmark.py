"""Amazon, Coauthor and CitationFull: the format by small files, the facts by the real ones."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnnlib.datasets import Amazon, CitationFull, Coauthor, Dataset, DatasetError
from gnnlib.datasets._csr_npz import parse
from gnnlib.datasets.gnn_benchmark import PUBLISHED
from gnnlib.features import SparseFeatures
from tests.datasets import csr_npz
from tests.datasets.manifest import check_source
from tests.pyg import io as pyg_io

OPEN = {
    "amazon-computers": lambda **options: Amazon("computers", **options),
    "amazon-photo": lambda **options: Amazon("photo", **options),
    "coauthor-cs": lambda **options: Coauthor("cs", **options),
    "coauthor-physics": lambda **options: Coauthor("physics", **options),
    "cora-ml": lambda **options: CitationFull("cora_ml", **options),
}


def read(raw_edges=False, largest_component=False, **changed):
    return parse({"small.npz": csr_npz.write(**changed)}, raw_edges, largest_component)


def edges(graph) -> list[tuple[int, int]]:
    return list(zip(*graph.edge_index.tolist(), strict=True))


def test_edges_are_in_both_directions_and_once_without_loops():
    graph = read()
    assert graph.num_nodes == csr_npz.NUM_NODES
    assert sorted(edges(graph)) == [(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (3, 1), (4, 5), (5, 4)]
    assert graph.adj.eid is None


def test_raw_edges_are_the_entries_of_the_matrix():
    assert edges(read(raw_edges=True)) == csr_npz.EDGES


def test_features_and_labels_are_those_of_the_file():
    graph = read(labels=csr_npz.LABELS.astype(np.int8))
    assert isinstance(graph.x, SparseFeatures)
    assert graph.x.dtype == torch.float32
    np.testing.assert_array_equal(graph.x.to_dense(), csr_npz.X)
    assert graph.y.dtype == torch.int64
    np.testing.assert_array_equal(graph.y, csr_npz.LABELS)


def test_the_largest_component_keeps_its_features_and_labels():
    graph = read(largest_component=True)
    assert graph.num_nodes == 4
    assert sorted(edges(graph)) == [(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (3, 1)]
    np.testing.assert_array_equal(graph.x.to_dense(), csr_npz.X[:4])
    np.testing.assert_array_equal(graph.y, csr_npz.LABELS[:4])
    assert edges(read(True, True)) == csr_npz.EDGES[:4]


def changed(name: str, place: int, value) -> dict[str, np.ndarray]:
    array = csr_npz.members()[name].copy()
    array[place] = value
    return {name: array}


COUNT = len(csr_npz.members()["attr_indices"])
WRONG = {
    "no labels": ({"labels": None}, "lacks the member labels.npy"),
    "no features": ({"attr_data": None}, "lacks the member attr_data.npy"),
    "names as labels": ({"labels": np.array(["a"])}, "labels must hold numbers"),
    "objects as labels": ({"labels": np.array([None])}, r"labels must hold numbers.*'\|O'"),
    "labels that are fractions": ({"labels": np.ones(7)}, "labels must be a vector of integers"),
    "a matrix of labels": (
        {"labels": np.ones((7, 1), dtype=int)},
        "labels must be a vector of integers",
    ),
    "a negative label": (changed("labels", 2, -1), "labels must be classes"),
    "a huge label": (changed("labels", 2, 2**40), "labels must be classes"),
    "a label too few": (
        {"labels": csr_npz.LABELS[1:]},
        "must have one number of nodes, got 7 x 7, 7 and 6",
    ),
    "a node too many": (
        changed("adj_shape", 1, 8),
        "must have one number of nodes, got 7 x 8, 7 and 7",
    ),
    "no nodes": (
        {"adj_shape": np.array([0, 0]), "adj_indptr": np.array([0])},
        "adj_shape must be two sizes",
    ),
    "three sizes": ({"adj_shape": np.array([7, 7, 7])}, "adj_shape must be two sizes"),
    "columns beyond all bounds": (changed("attr_shape", 1, 2**40), "attr_shape must be two sizes"),
    "rows beyond all bounds": (changed("attr_shape", 0, 2**30), "in 1073741824 steps"),
    "a shape of fractions": ({"adj_shape": np.ones(2)}, "adj_shape must hold integers"),
    "indices that are fractions": (
        {"adj_indices": np.ones(6)},
        "adj_indices must hold integers",
    ),
    "indices without a sign": (
        {"adj_indices": np.ones(6, dtype=np.uint64)},
        "adj_indices must hold integers",
    ),
    "a matrix of indices": (
        {"adj_indices": np.ones((6, 1), dtype=int)},
        "adj_indices must be a vector",
    ),
    "an index out of range": (changed("adj_indices", 1, 7), r"adj_indices must be in \[0, 7\)"),
    "a negative index": (changed("attr_indices", 0, -1), r"attr_indices must be in \[0, 4\)"),
    "rows that go back": (
        changed("adj_indptr", 2, 5),
        "adj_indptr must rise from 0 to the 6 indices in 7 steps",
    ),
    "rows that begin late": (changed("adj_indptr", 0, 1), "adj_indptr must rise from 0"),
    "rows that end early": (changed("attr_indptr", -1, 1), "attr_indptr must rise from 0"),
    "a row too few": (
        {"adj_indptr": csr_npz.members()["adj_indptr"][:-1]},
        "adj_indptr must rise from 0",
    ),
    "values too few": (
        {"attr_data": np.ones(3)},
        f"attr_data must have a value for each of {COUNT} indices",
    ),
    "a value that is no number": (changed("attr_data", 1, np.nan), "finite float32 numbers"),
    "a value that is too large": (
        {"attr_data": np.full(COUNT, 1e300)},
        "attr_data must hold finite float32 numbers",
    ),
}


@pytest.mark.parametrize(("others", "message"), WRONG.values(), ids=WRONG.keys())
def test_files_that_do_not_fit_are_refused(others, message):
    with pytest.raises(DatasetError, match=f"^small.npz.*{message}"):
        read(**others)


@pytest.mark.parametrize("name", ["Computers", "COMPUTERS"])
def test_a_name_may_have_any_case(name, cache):
    with pytest.raises(DatasetError, match="gnn_benchmark_npz_compressed needs the file amazon_cs"):
        Amazon(name)


def test_an_unknown_name_is_refused(cache):
    with pytest.raises(ValueError, match="name must be one of 'photo', 'computers'; got 'photos'"):
        Amazon("photos")
    with pytest.raises(ValueError, match="name must be one of 'cora_ml'; got 'cora'"):
        CitationFull("cora")


# The real files.


@pytest.fixture
def real(mirror, cache, monkeypatch) -> Path:
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


def facts_of(mirror: Path, name: str) -> dict:
    return check_source(mirror, PUBLISHED[name].source)


def path_of(mirror: Path, name: str) -> Path:
    source = PUBLISHED[name].source
    return mirror / source.category / source.dataset / source.files[0].name


def split(dataset: Dataset) -> list[list[int]]:
    graph = dataset[0]
    masks = graph.train_mask, graph.val_mask, graph.test_mask
    return [graph.y[mask].bincount(minlength=dataset.num_classes).tolist() for mask in masks]


@pytest.mark.parametrize("name", OPEN)
def test_a_real_graph_has_the_facts_of_the_manifest(name, real):
    facts = facts_of(real, name)
    dataset = OPEN[name]()
    graph = dataset[0]
    assert dataset.name == name
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert (dataset.num_features, dataset.num_classes) == (facts["features"], facts["classes"])
    assert graph.x.values.numel() == facts["feature_nonzeros"]
    assert graph.is_undirected()
    assert not graph.has_self_loops()
    isolated = graph.adj.degree() == 0
    assert isolated.sum() == facts["nodes_without_edges"]
    classes = graph.y.bincount().tolist()
    assert split(dataset) == [
        [20] * facts["classes"],
        [30] * facts["classes"],
        [size - 50 for size in classes],
    ]


def test_a_real_graph_equals_what_numpy_and_scipy_read(real):
    with np.load(path_of(real, "cora-ml")) as found:
        matrices = [
            sp.csr_array(
                tuple(found[f"{matrix}_{part}"] for part in ("data", "indices", "indptr")),
                found[f"{matrix}_shape"],
            )
            for matrix in ("adj", "attr")
        ]
        labels = found["labels"]
    adjacency, features = matrices
    raw = CitationFull("cora_ml", raw_edges=True)[0]
    np.testing.assert_array_equal(raw.edge_index.numpy(), adjacency.nonzero())
    both = ((adjacency + adjacency.T) != 0).toarray()
    np.fill_diagonal(both, False)
    graph = CitationFull("cora_ml")[0]
    np.testing.assert_array_equal(graph.edge_index.numpy(), np.stack(np.nonzero(both.T))[::-1])
    np.testing.assert_array_equal(graph.x.to_dense().numpy(), features.toarray())
    np.testing.assert_array_equal(graph.y, labels)


def test_binary_features_and_edges_are_those_of_pyg(real):
    theirs = pyg_io.read_npz(str(path_of(real, "cora-ml")))
    ours = CitationFull("cora_ml", binary=True)[0]
    np.testing.assert_array_equal(ours.x.to_dense(), theirs.x)
    np.testing.assert_array_equal(ours.y, theirs.y)
    assert set(edges(ours)) == set(edges(theirs))
    assert ours.num_edges == theirs.num_edges


def test_raw_edges_keep_one_direction_and_self_loops(real):
    raw = Amazon("photo", raw_edges=True)[0]
    assert raw.num_edges == facts_of(real, "amazon-photo")["edge_entries_listed"]
    assert not raw.is_undirected()
    assert raw.has_self_loops()


def test_the_largest_component_is_that_of_the_papers(real):
    facts = facts_of(real, "cora-ml")
    graph = CitationFull("cora_ml", largest_component=True)[0]
    assert graph.num_nodes == facts["largest_component"] < facts["nodes"]
    assert graph.train_mask.sum() == 20 * facts["classes"]
    assert (graph.adj.degree() > 0).all()


def test_features_are_counts_unless_binary_ones_are_asked_for(real):
    counts, binary = Coauthor("cs")[0].x, Coauthor("cs", binary=True)[0].x
    assert counts.values.max() == 105
    assert set(binary.values.tolist()) == {1.0}
    assert torch.equal(counts.structure.col, binary.structure.col)


def test_the_seed_draws_the_split(real):
    masks = [CitationFull("cora-ml", seed=seed)[0].train_mask for seed in (0, 0, 1)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_the_format_of_an_older_file_is_read_too(mirror):
    """Cora as gnn-benchmark has it: labels of 8 bits, not compressed."""
    path = mirror / "citation" / "gnn_benchmark_npz" / "cora.npz"
    graph = parse({path.name: path.read_bytes()})
    assert (graph.num_nodes, graph.num_edges) == (2708, 10556)
    assert sorted(graph.y.bincount().tolist()) == [180, 217, 298, 351, 418, 426, 818]
    assert graph.x.values.numel() == 49216
    assert parse({path.name: path.read_bytes()}, largest_component=True).num_nodes == 2485
