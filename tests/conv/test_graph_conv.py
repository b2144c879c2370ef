from functools import partial

import pytest
import torch

from gnnlib.conv import GraphConv, MessagePassing, SAGEConv
from gnnlib.transforms import AddSelfLoops, ToUndirected
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "sum": Layer(lambda: GraphConv(4, 3), edges=("edge_weight",)),
    "mean": Layer(lambda: GraphConv(4, 6, aggr="mean"), edges=("edge_weight",)),
    "max": Layer(lambda: GraphConv(4, 6, aggr="max"), edges=("edge_weight",)),
}
AGGREGATIONS = ["sum", "mean", "max", "min", "mul"]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("aggr", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("graph", parity.GRAPHS)
@pytest.mark.parametrize("out_channels", [3, 9], ids=["narrow", "wide"])
@pytest.mark.parametrize("edges", [{}, {"edge_weight": None}], ids=["plain", "weighted"])
def test_it_equals_pyg(graph, aggr, out_channels, edges):
    mine = GraphConv(7, out_channels, aggr=aggr)
    parity.check_parity(mine, pyg.nn.GraphConv(7, out_channels, aggr=aggr), graph, 7, **edges)


@pytest.mark.parametrize("aggr", ["sum", "mean", "max", "min"])
def test_it_equals_pyg_without_bias(aggr):
    mine = GraphConv(7, 5, aggr=aggr, bias=False)
    theirs = pyg.nn.GraphConv(7, 5, aggr=aggr, bias=False)
    parity.check_parity(mine, theirs, "repeated_and_looped", 7, edge_weight=None)


@pytest.mark.parametrize("aggr", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("with_target", [True, False])
def test_two_sets_of_nodes_equal_pyg(aggr, with_target):
    mine, theirs = (module((7, 4), 5, aggr=aggr) for module in (GraphConv, pyg.nn.GraphConv))
    parity.check_rectangular_parity(mine, theirs, (7, 4), with_target=with_target)


def test_a_product_is_its_formula():
    graph = make_graph("directed_random", dtype=torch.float64)
    layer = GraphConv(4, 3, aggr="mul").double()
    rows = torch.ones(30, 4).double()
    for j, i, weight in zip(*graph.edge_index.tolist(), graph.edge_weight):
        rows[i] *= weight * graph.x[j]
    expected = layer.lin_rel(rows) + layer.lin_root(graph.x)
    parity.assert_equal(layer(graph.x, graph), expected)


@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_the_weights_of_the_graph_are_taken_unless_others_are_given(aggr):
    graph = make_graph("unsorted")
    layer = GraphConv(4, 3, aggr=aggr)
    weighted = layer(graph.x, graph)
    assert torch.equal(layer(graph.x, graph.adj, graph.edge_weight), weighted)
    assert not torch.allclose(layer(graph.x, graph.adj), weighted)


def test_an_unknown_aggr_lists_the_choices_nearest_first():
    with pytest.raises(ValueError, match="aggr must be one of 'max', .*; got 'maxx'"):
        GraphConv(4, 3, aggr="maxx")


def test_wrong_features_are_named():
    graph = make_graph("unsorted")
    for aggr in AGGREGATIONS:
        with pytest.raises(ValueError, match=r"in_channels=7 features, got x of shape \(5, 4\)"):
            GraphConv(7, 5, aggr=aggr)(graph.x, graph)
    with pytest.raises(ValueError, match=r"in_channels=6 features, got x of shape \(5, 4\)"):
        GraphConv((4, 6), 5)((graph.x, graph.x), graph)


def test_edge_features_are_a_type_error():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_attr"):
        GraphConv(4, 3)(graph.x, graph, edge_attr=graph.edge_attr)


def test_its_parameters_are_reset():
    layer = GraphConv(4, 3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    after = layer.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name in before if "weight" in name)
    assert "aggr='sum'" in repr(layer)


def test_add_is_pygs_word_for_sum():
    graph = make_graph("unsorted")
    assert GraphConv(4, 3, aggr="add").aggr == SAGEConv(4, 3, aggr="add").aggr == "sum"
    assert MessagePassing(["add", "max"]).reduce == ["sum", "max"]
    for transform in (ToUndirected, partial(AddSelfLoops, "edge_weight")):
        assert torch.equal(transform("add")(graph).edge_weight, transform("sum")(graph).edge_weight)
