import pytest
import torch

from gnnlib import ops
from gnnlib.conv import SGConv
from gnnlib.features import SparseFeatures
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "narrow": Layer(lambda: SGConv(4, 3, K=2), edges=("edge_weight",)),
    "wide": Layer(lambda: SGConv(4, 6, K=3, add_self_loops=False), edges=("edge_weight",)),
}
OPTIONS = {
    "as_it_comes": {},
    "no_hop": {"K": 0},
    "three_hops": {"K": 3},
    "without_loops": {"K": 2, "add_self_loops": False},
    "without_bias": {"K": 2, "bias": False},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("graph", parity.GRAPHS)
@pytest.mark.parametrize("out_channels", [3, 9], ids=["narrow", "wide"])
@pytest.mark.parametrize("edges", [{}, {"edge_weight": None}], ids=["plain", "weighted"])
def test_it_equals_pyg(graph, out_channels, edges):
    mine, theirs = SGConv(7, out_channels, K=2), pyg.nn.SGConv(7, out_channels, K=2)
    parity.check_parity(mine, theirs, graph, 7, **edges)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("out_channels", [3, 9], ids=["narrow", "wide"])
def test_its_options_equal_pyg(options, out_channels):
    mine = SGConv(7, out_channels, **OPTIONS[options])
    theirs = pyg.nn.SGConv(7, out_channels, **OPTIONS[options])
    parity.check_parity(mine, theirs, "repeated_and_looped", 7, edge_weight=None)


@pytest.mark.parametrize(("out_channels", "width"), [(3, 3), (6, 4)])
def test_the_hops_run_on_the_narrower_side(monkeypatch, out_channels, width):
    graph = make_graph("unsorted")
    propagate, widths = ops.propagate, []

    def watched(ptr, col, x, steps, *args, **kwargs):
        widths.append((x.shape[1], steps))
        return propagate(ptr, col, x, steps, *args, **kwargs)

    monkeypatch.setattr(ops, "propagate", watched)
    SGConv(4, out_channels, K=2)(graph.x, graph)
    assert widths == [(width, 2)]


def test_sparse_features_are_never_made_dense(monkeypatch):
    graph = make_graph("unsorted", sparse=True)
    monkeypatch.setattr(SparseFeatures, "to_dense", None)
    assert SGConv(4, 6)(graph.x, graph).shape == (5, 6)


@pytest.mark.parametrize("K", [-1, 1.5, True, "2"])
def test_a_wrong_number_of_hops_is_named(K):
    with pytest.raises(ValueError, match=f"K must be an int of at least 0, got {K!r}"):
        SGConv(4, 3, K=K)


def test_wrong_features_are_named():
    graph = make_graph("unsorted")
    for out_channels in (3, 9):
        with pytest.raises(ValueError, match=r"in_channels=7 features, got x of shape \(5, 4\)"):
            SGConv(7, out_channels)(graph.x, graph)


def test_edge_features_are_a_type_error():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_attr"):
        SGConv(4, 3)(graph.x, graph, edge_attr=graph.edge_attr)


def test_its_parameters_are_reset():
    layer = SGConv(4, 3, K=2)
    before = layer.lin.weight.detach().clone()
    torch.nn.init.ones_(layer.lin.bias)
    layer.reset_parameters()
    assert not torch.equal(layer.lin.weight, before)
    assert not layer.lin.bias.any()
    assert repr(layer).split() == "SGConv( 4, 3, K=2 (lin): Linear(4, 3, bias=True) )".split()
