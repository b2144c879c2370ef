"""Graphs from and to DGL; where DGL is not installed only what needs no DGL is tested."""

import importlib.util
import sys
import warnings
from typing import Any

import pytest
import torch

from gnnlib.batch import Batch
from gnnlib.graph import Graph
from tests.graphs import GRAPHS, assert_same_graph, make_graph


@pytest.fixture(scope="module")
def dgl(tmp_path_factory) -> Any:
    if importlib.util.find_spec("dgl") is None:
        pytest.skip("DGL is not installed")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("DGLBACKEND", "pytorch")  # or DGL would write a file of settings
        return pytest.importorskip("dgl", exc_type=ImportError)


def without_graph_level(graph: Graph) -> Graph:
    return graph.replace(graph_y=None)


@pytest.mark.parametrize("name", GRAPHS)
def test_dgl_gets_and_gives_back_every_tensor_shared(name, dgl):
    graph = make_graph(name)
    theirs = graph.to_dgl()
    assert (theirs.num_nodes(), theirs.num_edges()) == (graph.num_nodes, graph.num_edges)
    assert torch.equal(torch.stack(theirs.edges(order="eid")), graph.edge_index)
    data = {**theirs.ndata, **theirs.edata}
    assert data.keys() == graph.keys() - {"graph_y"}
    for key, value in data.items():
        assert value.data_ptr() == graph[key].data_ptr()
    back = Graph.from_dgl(theirs)
    assert_same_graph(back, without_graph_level(graph))
    assert all(back[key].data_ptr() == graph[key].data_ptr() for key in back.keys())  # noqa: SIM118


def test_messages_flow_in_the_same_direction(dgl):
    graph = make_graph("power_law", dtype=torch.float64)
    theirs = graph.to_dgl()
    theirs.update_all(dgl.function.u_mul_e("x", "edge_weight", "m"), dgl.function.sum("m", "out"))
    ours = torch.from_numpy(graph.to_scipy(transpose=True) @ graph.x.numpy())
    torch.testing.assert_close(theirs.ndata["out"], ours)


def test_sparse_features_become_dense(dgl):
    graph = make_graph("unsorted", sparse=True)
    assert torch.equal(graph.to_dgl().ndata["x"], graph.x.to_dense())


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_what_datasets_of_dgl_call_things_is_understood(dgl, dtype):
    edges = torch.tensor([0, 2, 1], dtype=dtype), torch.tensor([1, 1, 3], dtype=dtype)
    theirs = dgl.graph(edges, num_nodes=5)
    theirs.ndata.update(
        feat=torch.rand(5, 2), label=torch.arange(5), train_mask=torch.ones(5, dtype=torch.bool)
    )
    theirs.edata.update(feat=torch.rand(3, 4), weight=torch.rand(3), kind=torch.arange(3))
    graph = Graph.from_dgl(theirs)
    assert torch.equal(graph.edge_index, torch.stack(edges).long())
    assert graph.num_nodes == 5
    names = {"x", "y", "train_mask", "edge_attr", "edge_weight", "edge_kind"}
    assert graph.keys() == names
    assert graph.x.data_ptr() == theirs.ndata["feat"].data_ptr()
    assert graph.edge_weight.data_ptr() == theirs.edata["weight"].data_ptr()


def test_a_name_that_is_taken_is_not_taken_twice(dgl):
    theirs = dgl.graph(([0], [1]))
    theirs.ndata.update(x=torch.zeros(2, 1), feat=torch.ones(2, 1))
    theirs.edata.update(edge_attr=torch.zeros(1, 1), feat=torch.ones(1, 1))
    graph = Graph.from_dgl(theirs)
    assert graph.x.sum() == graph.edge_attr.sum() == 0
    assert graph.feat.sum() == 2
    assert graph.edge_feat.sum() == 1


def test_a_batch_becomes_a_batch(dgl):
    graphs = [without_graph_level(make_graph(name)) for name in ("unsorted", "one_node", "ring")]
    theirs = dgl.batch([graph.to_dgl() for graph in graphs])
    ours = Batch.from_graphs(graphs)
    assert_same_graph(Graph.from_dgl(theirs), ours)
    for part, graph in zip(dgl.unbatch(ours.to_dgl()), graphs, strict=True):
        assert_same_graph(Graph.from_dgl(part), graph)


def test_edges_of_a_batch_must_be_together_for_dgl(dgl):
    batch = Batch([[0, 2, 1], [1, 3, 0]], graph_ptr=torch.tensor([0, 2, 4]))
    with pytest.raises(ValueError, match="needs the edges of a Batch graph by graph"):
        batch.to_dgl()


def test_several_kinds_of_edges_are_refused_and_made_one(dgl):
    theirs = dgl.heterograph({("a", "to", "b"): ([0, 1], [1, 0]), ("b", "of", "a"): ([0], [0])})
    with pytest.raises(TypeError, match=r"one kind of node .* dgl\.to_homogeneous makes one"):
        Graph.from_dgl(theirs)
    with pytest.raises(TypeError, match="one kind of node"):
        Graph.from_dgl(dgl.heterograph({("a", "to", "b"): ([0, 1], [1, 0])}))
    graph = Graph.from_dgl(dgl.to_homogeneous(theirs))
    assert graph.keys() == {"id", "type", "edge_id", "edge_type"}
    assert graph.num_edges == 3


def test_a_block_is_refused(dgl):
    with pytest.raises(TypeError, match="takes a DGLGraph of one kind"):
        Graph.from_dgl(dgl.to_block(dgl.graph(([0], [1]))))


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ({"edge_x": torch.ones(2)}, {}, "node data cannot be named 'edge_x' in a Graph"),
        ({"graph_x": torch.ones(2)}, {}, "node data cannot be named 'graph_x'"),
        ({}, {"a": torch.ones(1), "edge_a": torch.ones(1)}, "would be named 'edge_a', which"),
        ({}, {"index": torch.ones(1)}, "edge data cannot be named 'index'"),
    ],
)
def test_names_that_would_mean_something_else_are_refused(dgl, nodes, edges, message):
    theirs = dgl.graph(([0], [1]))
    theirs.ndata.update(nodes)
    theirs.edata.update(edges)
    with pytest.raises(ValueError, match=message):
        Graph.from_dgl(theirs)


@pytest.mark.parametrize("value", [torch.ones(2), None, make_graph("ring")])
def test_what_is_no_dgl_graph_is_refused(value):
    with pytest.raises(TypeError, match=f"expected a DGLGraph, got {type(value).__name__}"):
        Graph.from_dgl(value)


def test_without_dgl_the_error_says_what_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "dgl", None)
    with pytest.raises(ImportError, match="to_dgl needs DGL"):
        make_graph("ring").to_dgl()
