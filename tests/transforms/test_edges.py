"""ToUndirected and AddSelfLoops: by the definition, against PyG, every tensor in its level."""

import pytest
import torch

from gnnlib import Graph
from gnnlib.ops.scatter import REDUCES
from gnnlib.transforms import AddSelfLoops, ToUndirected
from tests.graphs import GRAPHS, assert_same_graph, make_graph
from tests.pyg import transforms

LOOPLESS = [name for name in GRAPHS if "loop" not in name and name != "complete"]
LOOPLESS = [name for name in LOOPLESS if not make_graph(name).has_self_loops()]


def theirs(graph: Graph, transform) -> Graph:
    return Graph.from_pyg(transform(graph.to_pyg()))


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("name", LOOPLESS)
def test_undirected_edges_are_those_of_pyg(name, reduce):
    graph = make_graph(name, dtype=torch.float64).replace(graph_y=None)
    ours = ToUndirected(reduce)(graph)
    other = theirs(graph, transforms.ToUndirected("add" if reduce == "sum" else reduce))
    assert ours.is_undirected()
    by_source = torch.sort(ours.edge_index[0] * graph.num_nodes + ours.edge_index[1]).indices
    assert torch.equal(ours.edge_index[:, by_source], other.edge_index)
    assert ours.edge_type.dtype == graph.edge_type.dtype
    keys = ["edge_weight", "edge_attr"]
    keys += ["edge_type"] * (reduce != "mean")  # a mean of integers is rounded
    for key in keys:
        torch.testing.assert_close(ours[key][by_source], other[key])
    assert all(ours[key] is graph[key] for key in ("x", "y", "train_mask"))


@pytest.mark.parametrize("name", GRAPHS)
def test_undirected_is_a_plus_its_transpose_with_loops_once(name):
    graph = make_graph(name)
    dense = graph.to_dense()
    expected = dense + dense.T - dense.diag().diag()
    torch.testing.assert_close(ToUndirected()(graph).to_dense(), expected)


@pytest.mark.parametrize("fill", [1.0, 2.5, *REDUCES])
@pytest.mark.parametrize("name", LOOPLESS)
def test_loops_are_those_of_pyg_where_there_were_none(name, fill):
    graph = make_graph(name, dtype=torch.float64).replace(
        graph_y=None, edge_attr=None, edge_type=None
    )
    ours = AddSelfLoops(fill_value=fill)(graph)
    if fill == "mul" and graph.num_edges == 0:  # an empty product: 1 here, 0 or 1 there
        assert (ours.edge_weight == 1).all()
        return
    other = theirs(graph, transforms.AddSelfLoops(fill_value="add" if fill == "sum" else fill))
    assert torch.equal(ours.edge_index, other.edge_index)
    has_edges = torch.ones(ours.num_edges, dtype=torch.bool)
    if fill == "mul":
        has_edges[graph.num_edges :] = graph.adj.degree() > 0
    torch.testing.assert_close(ours.edge_weight[has_edges], other.edge_weight[has_edges])


@pytest.mark.parametrize("name", GRAPHS)
def test_each_node_has_a_loop_and_those_that_had_one_keep_it(name):
    graph = make_graph(name)
    looped = AddSelfLoops("edge_attr", fill_value="max")(graph)
    loops = looped.edge_index[0] == looped.edge_index[1]
    assert looped.edge_index[0, loops].unique().tolist() == list(range(graph.num_nodes))
    assert torch.equal(looped.edge_index[:, : graph.num_edges], graph.edge_index)
    assert (looped.edge_weight[graph.num_edges :] == 1).all()
    for edge in range(graph.num_edges, looped.num_edges):
        node = int(looped.edge_index[0, edge])
        into = graph.edge_attr[graph.edge_index[1] == node]
        expected = into.amax(0) if len(into) else torch.zeros(3)
        assert torch.equal(looped.edge_attr[edge], expected)
    assert_same_graph(AddSelfLoops()(looped), looped)


def test_integers_are_reduced_to_integers():
    graph = Graph([[0, 2], [1, 1]], edge_type=torch.tensor([2, 5]))
    assert AddSelfLoops("edge_type", "max")(graph).edge_type.tolist() == [2, 5, 0, 5, 0]


def test_a_graph_without_weights_gets_loops_alone():
    looped = AddSelfLoops(fill_value=3.0)(Graph([[0], [1]]))
    assert looped.edge_index.tolist() == [[0, 0, 1], [1, 0, 1]]
    assert "edge_weight" not in looped
    with pytest.raises(ValueError, match=r"needs graph\.edge_atr, which this graph does not have"):
        AddSelfLoops("edge_atr")(looped)


def test_a_reduction_is_one_of_ours():
    with pytest.raises(ValueError, match="reduce must be one of 'sum'.*; got 'summ'"):
        ToUndirected("summ")
    with pytest.raises(ValueError, match="fill_value must be one of 'mean'.*; got 'men'"):
        AddSelfLoops(fill_value="men")


def test_reprs_are_what_a_config_records():
    assert repr(ToUndirected()) == "ToUndirected(reduce='sum')"
    assert repr(AddSelfLoops(fill_value="mean")) == (
        "AddSelfLoops(attr='edge_weight', fill_value='mean')"
    )
