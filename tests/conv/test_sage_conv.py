import pytest
import torch
from torch import nn

from gnnlib.conv import SAGEConv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "mean": Layer(lambda: SAGEConv(4, 3)),
    "max": Layer(lambda: SAGEConv(4, 6, aggr="max", project=True)),
}
OPTIONS = {
    "as_it_comes": {},
    "normalised": {"normalize": True},
    "without_root": {"root_weight": False},
    "projected": {"project": True},
    "without_bias": {"bias": False},
}
AGGREGATIONS = ["mean", "sum", "max", "min"]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("aggr", AGGREGATIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
@pytest.mark.parametrize("out_channels", [3, 9], ids=["narrow", "wide"])
def test_it_equals_pyg(graph, aggr, out_channels):
    mine = SAGEConv(7, out_channels, aggr=aggr)
    parity.check_parity(mine, pyg.nn.SAGEConv(7, out_channels, aggr=aggr), graph, 7)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_its_options_equal_pyg(aggr, options):
    mine = SAGEConv(7, 5, aggr=aggr, **OPTIONS[options])
    theirs = pyg.nn.SAGEConv(7, 5, aggr=aggr, **OPTIONS[options])
    parity.check_parity(mine, theirs, "repeated_and_looped", 7)


@pytest.mark.parametrize("aggr", AGGREGATIONS)
@pytest.mark.parametrize("with_target", [True, False])
@pytest.mark.parametrize("project", [True, False])
def test_two_sets_of_nodes_equal_pyg(aggr, with_target, project):
    mine = SAGEConv((7, 4), 5, aggr=aggr, project=project)
    theirs = pyg.nn.SAGEConv((7, 4), 5, aggr=aggr, project=project)
    parity.check_rectangular_parity(mine, theirs, (7, 4), with_target=with_target)


def test_the_order_of_linear_and_sum_changes_nothing():
    graph = make_graph("power_law", dtype=torch.float64)
    for aggr in ("mean", "sum"):
        layer = SAGEConv(4, 3, aggr=aggr).double()  # narrow: W₁ first
        adj = graph.adj
        dense = adj.to_dense(torch.ones(adj.num_edges, dtype=torch.float64)).T
        if aggr == "mean":
            dense = dense / dense.sum(1, keepdim=True).clamp(min=1)
        assert layer.lin_r is not None
        expected = layer.lin_l(dense @ graph.x) + nn.functional.linear(graph.x, layer.lin_r.weight)
        parity.assert_equal(layer(graph.x, adj), expected)


def test_an_unknown_aggr_lists_the_choices_nearest_first():
    with pytest.raises(ValueError, match="aggr must be one of 'max', .*; got 'maxx'"):
        SAGEConv(4, 3, aggr="maxx")


def test_wrong_features_are_named():
    graph = make_graph("unsorted")
    for aggr in AGGREGATIONS:
        with pytest.raises(ValueError, match=r"in_channels=7 features, got x of shape"):
            SAGEConv(7, 5, aggr=aggr)(graph.x, graph)
    layer = SAGEConv((4, 6), 5)
    with pytest.raises(ValueError, match=r"in_channels=6 features, got x of shape \(5, 4\)"):
        layer((graph.x, graph.x), graph)
    with pytest.raises(
        ValueError, match=r"x\[1\] must have one row per destination node: graph has 5"
    ):
        layer((graph.x, torch.ones(3, 6)), graph)


@pytest.mark.parametrize("name", ["edge_weight", "edge_attr"])
def test_an_edge_tensor_is_a_type_error(name):
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match=name):
        SAGEConv(4, 3)(graph.x, graph, **{name: graph[name]})


def test_its_parameters_are_reset():
    layer = SAGEConv(4, 3, project=True)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    assert all(
        not torch.equal(value, before[name])
        for name, value in layer.state_dict().items()
        if name.endswith("weight")
    )
    assert "aggr='mean'" in repr(layer)
