import pytest
import torch

from gnnlib.conv import GatedGraphConv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "sum": Layer(lambda: GatedGraphConv(5, 2), edges=("edge_weight",)),
    "mean": Layer(lambda: GatedGraphConv(4, 2, aggr="mean", bias=False), edges=("edge_weight",)),
    "max": Layer(lambda: GatedGraphConv(4, 1, aggr="max"), edges=("edge_weight",)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("aggr", ["add", "mean", "max"])
@pytest.mark.parametrize("graph", parity.GRAPHS)
@pytest.mark.parametrize("edges", [{}, {"edge_weight": None}], ids=["plain", "weighted"])
def test_it_equals_pyg(graph, aggr, edges):
    mine, theirs = (module(7, 3, aggr=aggr) for module in (GatedGraphConv, pyg.nn.GatedGraphConv))
    parity.check_parity(mine, theirs, graph, 5, **edges)


@pytest.mark.parametrize("features", [1, 6])
@pytest.mark.parametrize("num_layers", [1, 6])
def test_any_number_of_steps_and_no_bias_equal_pyg(num_layers, features):
    mine, theirs = (
        module(6, num_layers, bias=False) for module in (GatedGraphConv, pyg.nn.GatedGraphConv)
    )
    parity.check_parity(mine, theirs, "repeated_and_looped", features)


def test_the_gru_is_shared_by_the_steps_and_the_message_weights_are_not():
    layer = GatedGraphConv(4, 3)
    assert layer.weight.shape == (3, 4, 4)
    assert layer.rnn.weight_hh.shape == (12, 4)
    assert len(list(layer.parameters())) == 5


def test_its_parameters_are_reset_within_their_bounds():
    layer = GatedGraphConv(16, 2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    for name, value in layer.state_dict().items():
        assert not torch.equal(value, before[name])
        assert value.abs().max() <= 0.25
    assert repr(layer).startswith("GatedGraphConv(\n  16, num_layers=2, aggr='sum'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"out_channels": 0, "num_layers": 1}, "out_channels must be an int of at least 1, got 0"),
        ({"out_channels": 4, "num_layers": 0}, "num_layers must be an int of at least 1, got 0"),
        (
            {"out_channels": 4, "num_layers": 1, "aggr": "maxx"},
            "aggr must be one of 'max', .*; got 'maxx'",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GatedGraphConv(**arguments)


def test_inputs_that_do_not_fit_are_named():
    graph = make_graph("unsorted")
    with pytest.raises(ValueError, match=r"at most out_channels=3 features, got .* \(5, 4\)"):
        GatedGraphConv(3, 2)(graph.x, graph)
    with pytest.raises(TypeError, match=r"dtype of the layer's weights, torch.float64"):
        GatedGraphConv(4, 2).double()(graph.x, graph)
    with pytest.raises(TypeError, match="edge_attr"):
        GatedGraphConv(4, 2)(graph.x, graph, edge_attr=graph.edge_attr)
