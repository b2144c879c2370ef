import pytest
import torch

from gnnlib.conv import TAGConv
from gnnlib.features import SparseFeatures
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "narrow": Layer(lambda: TAGConv(4, 3, K=2), edges=("edge_weight",)),
    "wide": Layer(lambda: TAGConv(4, 6, K=3, normalize=False), edges=("edge_weight",)),
}
OPTIONS = {
    "as_it_comes": {},
    "no_hop": {"K": 0},
    "one_hop": {"K": 1},
    "not_normalised": {"normalize": False},
    "without_bias": {"bias": False},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("graph", parity.GRAPHS)
@pytest.mark.parametrize("out_channels", [3, 9], ids=["narrow", "wide"])
@pytest.mark.parametrize("edges", [{}, {"edge_weight": None}], ids=["plain", "weighted"])
def test_it_equals_pyg(graph, out_channels, edges):
    mine, theirs = TAGConv(7, out_channels, K=3), pyg.nn.TAGConv(7, out_channels, K=3)
    parity.check_parity(mine, theirs, graph, 7, **edges)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("out_channels", [3, 9], ids=["narrow", "wide"])
def test_its_options_equal_pyg(options, out_channels):
    mine = TAGConv(7, out_channels, **OPTIONS[options])
    theirs = pyg.nn.TAGConv(7, out_channels, **OPTIONS[options])
    parity.check_parity(mine, theirs, "repeated_and_looped", 7, edge_weight=None)


def test_sparse_features_are_never_made_dense(monkeypatch):
    graph = make_graph("unsorted", sparse=True)
    monkeypatch.setattr(SparseFeatures, "to_dense", None)
    assert TAGConv(4, 6)(graph.x, graph).shape == (5, 6)


@pytest.mark.parametrize("K", [-1, 1.5, True])
def test_a_wrong_number_of_hops_is_named(K):
    with pytest.raises(ValueError, match=f"K must be an int of at least 0, got {K!r}"):
        TAGConv(4, 3, K=K)


def test_wrong_features_are_named():
    graph = make_graph("unsorted")
    for out_channels in (3, 9):
        with pytest.raises(ValueError, match=r"in_channels=7 features, got x of shape \(5, 4\)"):
            TAGConv(7, out_channels)(graph.x, graph)


def test_edge_features_are_a_type_error():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_attr"):
        TAGConv(4, 3)(graph.x, graph, edge_attr=graph.edge_attr)


def test_its_parameters_are_reset():
    layer = TAGConv(4, 3, K=2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert len(before) == 4 and layer.bias is not None
    torch.nn.init.ones_(layer.bias)
    layer.reset_parameters()
    after = layer.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name in before if name != "bias")
    assert not layer.bias.any()
    assert repr(layer).startswith("TAGConv(\n  4, 3, K=2\n")
