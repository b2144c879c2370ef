"""Graph.save and Graph.load."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from gnnlib._save import GraphFileError
from gnnlib.batch import Batch
from gnnlib.graph import Graph
from tests.graphs import GRAPHS, assert_same_graph, make_graph


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_comes_back_as_it_was(name, sparse, built, tmp_path):
    graph = make_graph(name, sparse=sparse)
    if built:
        assert graph.adj is not None
    graph.save(tmp_path / "graph.safetensors")
    back = Graph.load(str(tmp_path / "graph.safetensors"))
    assert ("adj" in back._kept) == built
    assert_same_graph(back, graph)
    assert os.listdir(tmp_path) == ["graph.safetensors"]


@pytest.mark.parametrize("sparse", [False, True])
def test_a_batch_comes_back_as_a_batch(sparse, tmp_path):
    parts = [make_graph(name, sparse=sparse) for name in ("chain", "unsorted", "one_node")]
    batch = Batch.from_graphs(parts)
    batch.save(tmp_path / "batch")
    assert_same_graph(Graph.load(tmp_path / "batch"), batch)


def test_views_shared_memory_and_gradients_are_saved(tmp_path):
    table = torch.arange(12.0).reshape(3, 4)
    graph = Graph(
        torch.tensor([[0, 1], [1, 2]]), x=table[:, :2], y=table[:, 0], again=table, z=table
    ).replace(w=torch.ones(3, requires_grad=True))
    graph.save(tmp_path / "graph")
    back = Graph.load(tmp_path / "graph")
    assert_same_graph(back, graph)
    assert not back.w.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.bool])
def test_dtypes_are_kept(dtype, tmp_path):
    graph = Graph([[0], [1]], x=torch.ones(2, 3).to(dtype))
    graph.save(tmp_path / "graph")
    assert Graph.load(tmp_path / "graph").x.dtype == dtype


def test_a_file_that_was_there_is_replaced_only_by_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "graph"
    graph = make_graph("chain")
    graph.save(path)
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        make_graph("ring").save(path)
    assert os.listdir(tmp_path) == ["graph"]
    assert_same_graph(Graph.load(path), graph)


# files that are not ours -------------------------------------------------------------------------


def write(path, change=None, **header):
    """A saved graph with some tensors and header fields changed."""
    graph = make_graph("unsorted", sparse=True)
    assert graph.adj is not None
    graph.save(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        fields = {**json.loads(file.metadata()["gnnlib"]), **header}
    tensors = load_file(path)
    tensors.update(change or {})
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(tensors, path, {"gnnlib": json.dumps(fields)})


@pytest.mark.parametrize("cut", [0, 4, 50, -1])
def test_a_truncated_file_is_refused(cut, tmp_path):
    path = tmp_path / "graph"
    make_graph("chain").save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(GraphFileError, match="is not a readable gnnlib graph"):
        Graph.load(path)


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "file"
    save_file({"edge_index": torch.zeros(2, 1).long()}, path)
    with pytest.raises(GraphFileError, match="not of a graph"):
        Graph.load(path)
    save_file({"edge_index": torch.zeros(2, 1).long()}, path, {"gnnlib": "{"})
    with pytest.raises(GraphFileError, match="is not a readable gnnlib graph"):
        Graph.load(path)
    save_file({"edge_index": torch.zeros(2, 1).long()}, path, {"gnnlib": "[]"})
    with pytest.raises(GraphFileError, match="is not a readable gnnlib graph"):
        Graph.load(path)
    torch.save({"x": torch.ones(1)}, path)
    with pytest.raises(GraphFileError, match="is not a readable gnnlib graph"):
        Graph.load(path)
    with pytest.raises(FileNotFoundError):
        Graph.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge_index": torch.tensor([[0] * 7, [9] * 7])}, r"edge 0 is \(0, 9\)"),
        ({"edge_index": torch.zeros(2, 7)}, "must be int64 or int32"),
        ({"edge_index": None}, "edge_index"),
        ({"edge_weight": torch.ones(3)}, "one row per edge"),
        ({"x.col": torch.full((8,), 99, dtype=torch.int32)}, "col must hold"),
        ({"x.ptr": None}, "it lacks 'x.ptr'"),
        ({"adj.ptr": torch.arange(6).int()}, "ptr must run from 0"),
        ({"adj.eid": torch.arange(7).int()}, "not that of its edges"),
        ({"adj.col": torch.zeros(7).int()}, "not that of its edges"),
        ({"adj.col": torch.full((7,), -1).int()}, "col must hold"),
        ({"adj.ptr": torch.tensor([0, 2, 3, 4, 7, 7, 7])}, "not that of its edges"),
    ],
)
def test_a_file_with_wrong_values_is_refused(change, message, tmp_path):
    write(tmp_path / "graph")
    assert_same_graph(Graph.load(tmp_path / "graph"), make_graph("unsorted", sparse=True))
    write(tmp_path / "graph", change)
    with pytest.raises(GraphFileError, match=message):
        Graph.load(tmp_path / "graph")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": 2}, "it has format 2, this gnnlib reads 1"),
        ({"class": "os.system"}, "it holds a 'os.system'"),
        ({"num_nodes": 3}, "num_nodes=3"),
        ({"num_nodes": "3"}, "num_nodes must be an int"),
        ({"sparse": {"x": 1}}, "num_src=1"),
        ({"sparse": {"y": 4}}, "it lacks 'y.ptr'"),
        ({"sparse": {}}, "name"),
        ({"sparse": 3}, "its header is damaged"),
    ],
)
def test_a_file_with_a_wrong_header_is_refused(header, message, tmp_path):
    write(tmp_path / "graph", **header)
    with pytest.raises(GraphFileError, match=message):
        Graph.load(tmp_path / "graph")


def test_tensors_come_back_in_the_order_they_had(tmp_path):
    graph = Graph([[0], [1]], num_nodes=2)
    for name in ("zeta", "x", "train_mask", "alpha"):
        graph = graph.replace(**{name: torch.ones(2, 1)})
    graph.save(tmp_path / "graph.safetensors")
    assert list(Graph.load(tmp_path / "graph.safetensors").keys()) == list(graph.keys())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="path must be in a folder that exists"):
        Graph([[0], [1]]).save(tmp_path / "nowhere" / "graph.safetensors")
