from itertools import pairwise

import pytest
import torch
from torch import nn

from gnnlib import Graph
from gnnlib.conv import GINConv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of


def _network(*widths: int) -> nn.Sequential:
    """Smooth, so that second derivatives exist everywhere."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


LAYERS = {
    "narrowing": Layer(lambda: GINConv(_network(4, 3, 3), train_eps=True)),
    "widening": Layer(lambda: GINConv(_network(4, 6, 3), eps=0.5)),
}
NETWORKS = {
    "narrowing": lambda: _network(7, 4, 5),
    "widening": lambda: _network(7, 9, 5),
    "one_linear": lambda: nn.Linear(7, 5),
    "without_bias": lambda: nn.Sequential(nn.Linear(7, 4, bias=False), nn.ReLU()),
    "no_linear_first": lambda: nn.Sequential(nn.Tanh(), nn.Linear(7, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("train_eps", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg(graph, network, train_eps):
    mine = GINConv(NETWORKS[network](), train_eps=train_eps)
    theirs = pyg.nn.GINConv(NETWORKS[network](), eps=0.3, train_eps=train_eps)
    parity.check_parity(mine, theirs, graph, 7)


@pytest.mark.parametrize("with_target", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
def test_two_sets_of_nodes_equal_pyg(network, with_target):
    mine, theirs = GINConv(NETWORKS[network]()), pyg.nn.GINConv(NETWORKS[network](), eps=0.3)
    parity.check_rectangular_parity(mine, theirs, (7, 7), with_target=with_target)


def test_a_hook_on_the_first_linear_is_called():
    graph = make_graph("unsorted")
    network = _network(4, 3, 3)
    layer = GINConv(network)
    expected, seen = layer(graph.x, graph), []
    network[0].register_forward_hook(lambda *_: seen.append(1))
    torch.testing.assert_close(layer(graph.x, graph), expected)
    assert seen == [1]


def test_a_batch_norm_sees_all_nodes():
    graph = make_graph("unsorted")
    layer = GINConv(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    out = layer(graph.x, graph)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-6, rtol=0)


def test_wrong_features_are_named():
    graph = make_graph("unsorted")
    with pytest.raises(ValueError, match="one row per node: graph has num_nodes=5"):
        GINConv(_network(4, 3))(torch.ones(4, 4), graph)


@pytest.mark.parametrize("hidden", [3, 20])
@pytest.mark.parametrize("sparse", [False, True])
def test_wrong_in_channels_are_named(hidden, sparse):
    graph = make_graph("unsorted", sparse=sparse)
    with pytest.raises(ValueError, match=r"in_channels=9 features, got x of shape \(5, 4\)"):
        GINConv(_network(9, hidden, 3))(graph.x, graph)


@pytest.mark.parametrize("name", ["edge_weight", "edge_attr"])
def test_an_edge_tensor_is_a_type_error(name):
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match=name):
        GINConv(_network(4, 3))(graph.x, graph, **{name: graph[name]})


@pytest.mark.parametrize("train_eps", [True, False])
def test_its_parameters_are_reset(train_eps):
    network = _network(4, 3, 3)
    layer = GINConv(network, eps=0.5, train_eps=train_eps)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    nn.init.zeros_(layer.eps)
    layer.reset_parameters()
    assert layer.eps.tolist() == [0.5]
    assert isinstance(layer.eps, nn.Parameter) == train_eps
    assert all(not torch.equal(value, before[key]) for key, value in network.state_dict().items())


class _Lora(torch.nn.Linear):
    def forward(self, input):
        return super().forward(input) + 100


class _Residual(torch.nn.Sequential):
    def forward(self, input):
        return super().forward(input) + input[:, :2]


def _add_five(module: torch.nn.Module, args: object, out: torch.Tensor) -> torch.Tensor:
    return out + 5


def _networks() -> list[torch.nn.Module]:
    hooked = torch.nn.Sequential(torch.nn.Linear(8, 2))
    hooked.register_forward_hook(_add_five)
    return [_Lora(8, 2), _Residual(torch.nn.Linear(8, 2)), hooked]


@pytest.mark.parametrize("net", _networks(), ids=["subclass", "sequential subclass", "hook"])
def test_a_network_that_is_more_than_its_parts_is_called_as_it_is(net):
    graph = Graph([[0, 1, 2, 2], [1, 2, 0, 1]], num_nodes=3)
    x = torch.randn(3, 8)
    total = x + graph.adj.to_dense().T @ x
    torch.testing.assert_close(GINConv(net)(x, graph), net(total))
