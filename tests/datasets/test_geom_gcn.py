"""GeomGCN and the splits of Geom-GCN: the formats by small files, the facts by the real ones."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import connected_components

from gnnlib.datasets import DatasetError, GeomGCN, Planetoid, _geom_splits
from gnnlib.datasets.geom_gcn import _CHECKSUMS, parse
from gnnlib.features import SparseFeatures

MASKS = ("train_mask", "val_mask", "test_mask")
EDGES = b"node_id\tnode_id\n2\t0\n0\t1\n0\t1\n1\t0\n1\t1"
NODES = b"node_id\tfeature\tlabel\n2\t0,0,1,0\t1\n0\t1,1,0,0\t0\n1\t0,0,0,0\t2"
LISTS = b"node_id\tfeature(feature_amount:6)\tlabel\n2\t6\t1\n0\t5,0,5\t0\n1\t3\t2"


def read(edges=EDGES, nodes=NODES, raw_edges=False):
    return parse(edges, nodes, "small", raw_edges)


def edges_of(graph) -> list[tuple[int, int]]:
    return list(zip(*graph.edge_index.tolist(), strict=True))


def test_rows_go_to_their_nodes():
    graph = read()
    assert isinstance(graph.x, SparseFeatures)
    assert graph.x.to_dense().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert graph.y.tolist() == [0, 2, 1]


def test_lists_are_columns_up_to_the_amount_of_the_header():
    graph = read(nodes=LISTS)
    expected = [[1, 0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1]]
    assert graph.x.to_dense().tolist() == expected
    assert graph.y.tolist() == [0, 2, 1]


def test_edges_are_in_both_directions_and_once_without_loops():
    assert sorted(edges_of(read())) == [(0, 1), (0, 2), (1, 0), (2, 0)]
    assert edges_of(read(raw_edges=True)) == [(2, 0), (0, 1), (0, 1), (1, 0), (1, 1)]


def test_a_line_end_after_the_last_row_is_no_row():
    assert read(EDGES + b"\n", NODES + b"\n").num_edges == 4


WRONG = {
    "no text": ({"edges": b"\xff"}, "edges.txt must be text in ASCII"),
    "nothing": ({"nodes": b""}, "label.txt must have 3 columns below a header"),
    "a header alone": ({"edges": b"node_id\tnode_id\n"}, "edges.txt must have 2 columns"),
    "no header": ({"edges": b"0\t1\n1\t0"}, r"must have two columns of node_id, got '0\\t1'"),
    "another header": ({"nodes": NODES[3:]}, "must have node_id, feature and label"),
    "a huge amount": ({"nodes": LISTS.replace(b":6", b":9999999")}, "must have node_id, feature"),
    "a third end": ({"edges": EDGES + b"\t1"}, "must have 2 columns"),
    "no label": ({"nodes": NODES[:-2]}, "must have 3 columns"),
    "a node that is no number": ({"edges": EDGES + b"\n0\tx"}, "must have integers"),
    "a negative node": ({"edges": EDGES + b"\n0\t-1"}, "must have integers"),
    "a node of many digits": ({"edges": EDGES + b"\n0\t" + b"1" * 99}, "must have integers"),
    "a node out of range": ({"edges": EDGES + b"\n0\t3"}, r"must have nodes in \[0, 3\), got 3"),
    "a node twice": ({"nodes": NODES.replace(b"\n1\t", b"\n2\t")}, r"each node of \[0, 3\) once"),
    "a node left out": ({"nodes": NODES.replace(b"\n1\t", b"\n3\t")}, r"each node of \[0, 3\)"),
    "a class out of range": ({"nodes": NODES[:-1] + b"3"}, "must have classes.*, got 3"),
    "a feature of 2": ({"nodes": NODES.replace(b"1,1", b"1,2")}, "as many features, 0 or 1"),
    "a feature too few": ({"nodes": NODES.replace(b"1,1,", b"1,")}, "as many features, 0 or 1"),
    "no feature": ({"nodes": NODES.replace(b"0,0,1,0", b"")}, "must have integers"),
    "a column out of range": ({"nodes": LISTS.replace(b"3\t2", b"7\t2")}, r"in \[0, 6\], got 7"),
}


@pytest.mark.parametrize(("files", "message"), WRONG.values(), ids=WRONG.keys())
def test_tables_that_do_not_fit_are_refused(files, message):
    with pytest.raises(DatasetError, match=f"^small/out1.*{message}"):
        read(**files)


def split(**changed: Any) -> bytes:
    masks = {name: np.eye(4, dtype=np.uint8)[part] for part, name in enumerate(MASKS)}
    np.savez(buffer := io.BytesIO(), **(masks | changed))
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", ["u1", "b1"])
def test_masks_may_be_numbers_or_booleans(dtype):
    masks = _geom_splits.parse(split(test_mask=np.array([0, 0, 0, 1], dtype=dtype)), "file", 4)
    assert {name: mask.nonzero().flatten().tolist() for name, mask in masks.items()} == {
        "train_mask": [0],
        "val_mask": [1],
        "test_mask": [3],
    }
    assert all(mask.dtype == torch.bool for mask in masks.values())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(3, dtype=bool), r"test_mask must have shape \(4,\), got \(3,\)"),
        (np.ones((4, 1), dtype=bool), "test_mask must have shape"),
        (np.array([0, 0, 0, 2], dtype=np.uint8), "test_mask must hold booleans, or 0 and 1"),
        (np.array([0, 0, 0, 1]), "test_mask must hold booleans, or 0 and 1"),
        (np.array([1, 0, 0, 0], dtype=bool), "no node may be in two masks"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, message):
    with pytest.raises(DatasetError, match=f"^file: {message}"):
        _geom_splits.parse(split(test_mask=mask), "file", 4)


@pytest.mark.parametrize("split", [-1, 10, "full"])
@pytest.mark.parametrize("dataset", [GeomGCN, Planetoid])
def test_there_are_ten_splits(dataset, split, cache):
    name = "cora" if dataset is Planetoid else "texas"
    with pytest.raises((ValueError, TypeError), match="split must be"):
        dataset(name, split=split)


def test_an_unknown_name_is_refused(cache):
    with pytest.raises(ValueError, match="name must be one of 'film', .*got 'films'"):
        GeomGCN("films")


# The real files.


@pytest.fixture
def real(mirror, cache, monkeypatch) -> Path:
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


def manifest(mirror: Path, folder: str) -> dict[str, dict]:
    entries = json.loads((mirror / "MANIFEST.json").read_text())
    found = [entry for entry in entries if f"/{folder}/" in entry["file"]]
    return {entry["file"].rsplit("/", 1)[1]: entry for entry in found}


@pytest.mark.parametrize("name", _CHECKSUMS)
def test_a_real_graph_has_the_facts_of_the_manifest(name, real):
    entries = manifest(real, f"geom_gcn_{name}")
    facts = entries["out1_graph_edges.txt"]["facts"]
    dataset = GeomGCN(name.upper())
    graph = dataset[0]
    assert dataset.name == name
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert graph.is_undirected()
    assert (dataset.num_features, dataset.num_classes) == (facts["features"], facts["classes"])
    assert set(graph.x.values.tolist()) == {1.0}
    raw = GeomGCN(name, raw_edges=True)[0]
    assert raw.num_edges == facts["edge_entries_listed"]
    assert (raw.edge_index[0] == raw.edge_index[1]).sum() >= facts["self_loops"] > 0
    assert raw.coalesce().num_edges == facts["distinct_directed"]
    for number in range(10):
        graph = GeomGCN(name, split=number)[0]
        sizes = [int(graph[mask].sum()) for mask in MASKS]
        file = f"{name}_split_0.6_0.2_{number}.npz"
        assert sizes == entries[file]["facts"]["split_train_val_test"]
        assert _geom_splits._CHECKSUMS[name][number] == entries[file]["sha256"]
        assert sum(sizes) == graph.num_nodes


def test_the_addresses_are_those_of_the_manifest(mirror):
    for folder in ("geom_gcn_splits", "geom_gcn_texas"):
        for file, entry in manifest(mirror, folder).items():
            place = "splits" if file.endswith(".npz") else "new_data/texas"
            assert entry["upstream_url"] == f"{_geom_splits.URL}{place}/{file}"


def test_the_splits_of_citation_graphs_have_the_facts_of_the_manifest(mirror):
    for file, entry in manifest(mirror, "geom_gcn_splits").items():
        name, _, number = file.removesuffix(".npz").partition("_split_0.6_0.2_")
        facts = entry["facts"]
        path = mirror / entry["file"]
        masks = _geom_splits.parse(path.read_bytes(), file, facts["mask_length"])
        sizes = [int(mask.sum()) for mask in masks.values()]
        if name == "citeseer" and number in "45":  # of the largest component, as those of Cora
            assert sizes == [1017, 679, 424]
        else:
            assert sizes == facts["train_val_test"]
        assert _geom_splits._CHECKSUMS[name][int(number)] == entry["sha256"]


def test_the_splits_of_cora_are_of_its_largest_component(real):
    """Which shows that their nodes are numbered as Planetoid's."""
    public = Planetoid("cora")[0]
    _, component = connected_components(public.adj.to_scipy(), directed=False)
    largest = torch.from_numpy(component == np.bincount(component).argmax())
    for number in range(10):
        dataset = Planetoid("cora", split=number)
        graph = dataset[0]
        assert torch.equal(graph.train_mask | graph.val_mask | graph.test_mask, largest)
        assert [int(graph[mask].sum()) for mask in MASKS] == [1192, 796, 497]
        assert torch.equal(graph.edge_index, public.edge_index)
    assert "Geom-GCN" in dataset.citation
    assert "Geom-GCN" not in Planetoid("cora").citation


def test_nodes_without_a_label_are_in_no_mask_of_citeseer(real):
    for split, size in [(0, 3312), (4, 2110)]:
        graph = Planetoid("citeseer", split=split)[0]
        in_masks = graph.train_mask | graph.val_mask | graph.test_mask
        assert (graph.y[in_masks] >= 0).all()
        assert in_masks.sum() == size
