"""Files in the format of GraphSAGE, which the tests write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import DatasetError, read_graphsage
from tests.datasets.test_damage import FLIPS, count_refused, cuts, flipped

FEATURES = np.arange(12.0).reshape(4, 3)
GRAPH = {
    "directed": False,
    "nodes": [
        {"id": "b", "val": False, "test": False},
        {"id": "a", "val": True, "test": False},
        {"id": "lost"},
        {"id": "c", "val": False, "test": True},
        {"id": "d", "val": False, "test": False},
    ],
    "links": [
        {"source": 0, "target": 1, "train_removed": True},
        {"source": 1, "target": 0},
        {"source": 1, "target": 2},
        {"source": 4, "target": 4},
        {"source": 3, "target": 4},
    ],
}
IDS = {"a": 0, "b": 1, "c": 2, "d": 3}
CLASSES = {"a": [0, 1], "b": [1, 1], "c": [0, 0], "d": [1, 0]}


@pytest.fixture
def write(tmp_path):
    def files(graph: Any = GRAPH, ids: Any = IDS, classes: Any = CLASSES, feats: Any = FEATURES):
        for part, content in {"G": graph, "id_map": ids, "class_map": classes}.items():
            path = tmp_path / f"toy-{part}.json"
            path.write_bytes(
                content if isinstance(content, bytes) else json.dumps(content).encode()
            )
        if feats is not None:
            np.save(tmp_path / "toy-feats.npy", feats)
        return tmp_path

    return files


def test_a_graph_has_rows_by_the_id_map_and_masks_by_attributes(write):
    graph = read_graphsage(write(), "toy")
    assert graph.num_nodes == 4
    assert graph.edge_index.T.tolist() == [[1, 0], [0, 1], [3, 2], [2, 3]]
    assert torch.equal(graph.x, torch.from_numpy(FEATURES).float())
    assert graph.y.tolist() == [[0, 1], [1, 1], [0, 0], [1, 0]]
    assert graph.y.dtype == graph.x.dtype == torch.float32
    assert graph.train_mask.tolist() == [False, True, False, True]
    assert graph.val_mask.tolist() == [True, False, False, False]
    assert graph.test_mask.tolist() == [False, False, True, False]
    assert graph.adj.eid is None


def test_a_node_may_have_one_class_and_no_features(write):
    folder = write(classes={"a": 3, "b": 0, "c": 1, "d": 3}, feats=None)
    graph = read_graphsage(str(folder), "toy")
    assert graph.y.tolist() == [3, 0, 1, 3]
    assert graph.y.dtype == torch.int64
    assert "x" not in graph


def test_ids_may_be_numbers(write):
    nodes = [{"id": k, "val": False, "test": False} for k in (1, 0)]
    links = [{"source": 0, "target": 1}]
    folder = write({"nodes": nodes, "links": links}, {"0": 0, "1": 1}, {"0": 5, "1": 6}, None)
    assert read_graphsage(folder, "toy").y.tolist() == [5, 6]


def with_node(**changed) -> dict:
    return GRAPH | {"nodes": [GRAPH["nodes"][0] | changed, *GRAPH["nodes"][1:]]}


def with_link(**changed) -> dict:
    return GRAPH | {"links": [GRAPH["links"][0] | changed]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"graph": b"{"}, "toy-G.json is no JSON"),
        ({"graph": b"[" * 100_000}, "toy-G.json is no JSON"),
        ({"graph": b"\xff{}"}, "toy-G.json is no JSON"),
        ({"graph": []}, "toy-G.json must hold an object, got list"),
        ({"graph": {"nodes": []}}, "toy-G.json must hold a list of objects as 'links'"),
        ({"graph": {"nodes": [1]}}, "toy-G.json must hold a list of objects as 'nodes'"),
        ({"graph": with_node(id="z")}, "node 0 must have an id of toy-id_map.json, got 'z'"),
        ({"graph": with_node(id="a")}, "toy-G.json lists a node twice"),
        (
            {"graph": with_node(val=True, test=True)},
            "node 0 must be of val or of test, not of both",
        ),
        ({"graph": with_link(source=5)}, r"link 0 must join nodes in \[0, 5\), got \(5, 1\)"),
        ({"graph": with_link(target="a")}, r"link 0 must join nodes in \[0, 5\), got \(0, 'a'\)"),
        ({"graph": with_link(target=True)}, r"link 0 must join nodes in"),
        ({"ids": {"a": 0, "b": 0}}, "toy-id_map.json must number its 2 nodes from 0 to 1"),
        ({"ids": {"a": 0, "b": 2}}, "toy-id_map.json must number its 2 nodes from 0 to 1"),
        ({"ids": {"a": "0"}}, "toy-id_map.json must hold a number for each node"),
        ({"classes": {"a": 1}}, "toy-class_map.json must have a class for the node 'b'"),
        ({"classes": CLASSES | {"d": [1]}}, "must have a list of 2 zeros and ones for each node"),
        ({"classes": CLASSES | {"d": [1, 2]}}, "must have a list of 2 zeros and ones for each"),
        ({"classes": CLASSES | {"d": 1}}, "must have a list of 2 zeros and ones for each node"),
        ({"classes": dict.fromkeys("abcd", -1)}, "must have a number from 0, or a list, for each"),
        ({"classes": dict.fromkeys("abcd", 0.5)}, "must have a number from 0, or a list, for each"),
        ({"feats": FEATURES[:3]}, r"toy-feats.npy must have shape \[4, F\].* got \(3, 3\)"),
        ({"feats": FEATURES[0]}, r"toy-feats.npy must have shape \[4, F\].* got \(3,\)"),
        ({"feats": np.full((4, 3), np.nan)}, "toy-feats.npy must hold finite float32 numbers"),
        ({"feats": np.full((4, 3), 1e39)}, "toy-feats.npy must hold finite float32 numbers"),
        ({"feats": np.array([["a"]] * 4)}, "toy-feats.npy must hold numbers or booleans"),
        ({"feats": np.array([[{}]] * 4)}, "toy-feats.npy must hold numbers or booleans"),
    ],
)
def test_a_file_that_is_not_in_the_format_is_named(changed, message, write):
    with pytest.raises(DatasetError, match=message):
        read_graphsage(write(**changed), "toy")


def test_a_missing_file_is_named(write):
    folder = write()
    (folder / "toy-class_map.json").unlink()
    with pytest.raises(FileNotFoundError, match="toy-class_map.json"):
        read_graphsage(folder, "toy")


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("part", ["G.json", "id_map.json", "class_map.json", "feats.npy"])
def test_flipped_bits_and_cut_files(part, flips, write):
    path: Path = write() / f"toy-{part}"
    data = path.read_bytes()

    def read(damaged: bytes) -> Graph:
        path.write_bytes(damaged)
        return read_graphsage(path.parent, "toy")

    assert 0.1 * flips < count_refused(read, flipped(data, flips)) <= flips
    points = list(cuts(data, step=13))
    assert count_refused(read, points) == len(points)
