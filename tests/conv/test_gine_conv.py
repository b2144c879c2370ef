import pytest
import torch
from torch import nn

from gnnlib import Adjacency, Graph
from gnnlib.conv import GINEConv
from gnnlib.message_passing import MessagePassing
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph, random_edges
from tests.properties import CHECKS, Layer, name_of


def _network(first: int, hidden: int, last: int) -> nn.Sequential:
    """Smooth, so that second derivatives exist everywhere."""
    return nn.Sequential(nn.Linear(first, hidden), nn.Tanh(), nn.Linear(hidden, last))


LAYERS = {
    "learned_eps": Layer(
        lambda: GINEConv(_network(4, 3, 3), train_eps=True, edge_dim=3), edges=("edge_attr",)
    ),
    "fixed_eps": Layer(
        lambda: GINEConv(_network(4, 6, 3), eps=0.5, edge_dim=3), edges=("edge_attr",)
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("train_eps", [True, False])
@pytest.mark.parametrize("edge_dim", [3, None])
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg(graph, edge_dim, train_eps):
    mine = GINEConv(_network(7, 4, 5), train_eps=train_eps, edge_dim=edge_dim)
    theirs = pyg.nn.GINEConv(_network(7, 4, 5), eps=0.3, train_eps=train_eps, edge_dim=edge_dim)
    parity.check_parity(mine, theirs, graph, 7, edge_attr=edge_dim or 7)


@pytest.mark.parametrize("with_target", [True, False])
def test_two_sets_of_nodes_give_what_one_graph_of_both_gives(with_target):
    edge_index, num_src, num_dst = parity.RECTANGULAR
    adj = Adjacency.from_edge_index(edge_index, num_src=num_src, num_dst=num_dst)
    layer = GINEConv(_network(4, 6, 3), eps=0.5, edge_dim=3).double()
    source, target = torch.randn(num_src, 4).double(), torch.randn(num_dst, 4).double()
    edge_attr = torch.randn(adj.num_edges, 3).double()
    out = layer((source, target if with_target else None), adj, edge_attr)
    both = torch.cat([source, target if with_target else torch.zeros_like(target)])
    shifted = edge_index + torch.tensor([[0], [num_src]])
    expected = layer(both, Graph(shifted, num_nodes=num_src + num_dst), edge_attr)[num_src:]
    parity.assert_equal(out, expected)


def test_a_first_module_with_in_channels_tells_the_width_of_x():
    class Own(nn.Module):
        in_channels = 4

        def forward(self, x):
            return 2 * x

    graph = make_graph("unsorted")
    layer = GINEConv(Own(), edge_dim=3)
    assert layer.lin is not None and layer.lin.weight.shape == (4, 3)
    assert layer(graph.x, graph).shape == (5, 4)


@pytest.mark.parametrize("graph", ["power_law", "star_in", "empty"])
def test_blocks_of_any_size_give_the_same(monkeypatch, graph):
    graph = make_graph(graph, dtype=torch.float64)
    layer = GINEConv(_network(4, 6, 3), edge_dim=3).double()
    x = graph.x.clone().requires_grad_()
    wanted = [x, *layer.parameters()]
    results = []
    for size in (2**20, 200):
        monkeypatch.setattr(MessagePassing, "block_bytes", size)
        out = layer(x, graph)
        results.append((out, *torch.autograd.grad(out.square().sum(), wanted)))
    for actual, expected in zip(*results):
        parity.assert_equal(actual, expected)


def test_a_batch_norm_in_the_network_does_not_keep_edges_together(monkeypatch):
    """It sees nodes: the messages still run in blocks."""
    seen = []
    layer = GINEConv(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), edge_dim=3)
    assert layer.lin is not None
    layer.lin.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[0]))
    monkeypatch.setattr(MessagePassing, "block_bytes", 16 * 4 * 20)
    graph = Graph(
        random_edges(30, 300), x=torch.randn(30, 4), edge_attr=torch.randn(300, 3), num_nodes=30
    )
    out = layer(graph.x, graph)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    assert max(seen) <= 80 < 300


@pytest.mark.parametrize(
    ("options", "x", "edge_attr", "message"),
    [
        ({}, torch.ones(5, 4), None, "edge_attr must be given: without edge features, use GINConv"),
        ({}, torch.ones(5, 4), torch.ones(7, 3),
         "edge_attr must have shape [num_edges, in_channels] = (7, 4), got (7, 3): GINEConv(…,"
         " edge_dim=…) takes other widths"),
        ({"edge_dim": 3}, torch.ones(5, 4), torch.ones(7, 2),
         "edge_attr must have shape [num_edges, edge_dim] = (7, 3), got (7, 2)"),
        ({"edge_dim": 3}, torch.ones(5, 6), torch.ones(7, 3),
         "x must have in_channels=4 features, got x of shape (5, 6)"),
        ({"edge_dim": 3}, torch.ones(5, 4), torch.ones(6, 3),
         "one row per edge: graph has num_edges=7, got edge_attr of shape (6, 3)"),
        ({"edge_dim": 3}, torch.ones(4, 4), torch.ones(7, 3),
         "one row per node: graph has num_nodes=5"),
    ],
)  # fmt: skip
def test_bad_input_is_named(options, x, edge_attr, message):
    graph = make_graph("unsorted")
    with pytest.raises(ValueError) as caught:
        GINEConv(_network(4, 3, 3), **options)(x, graph.adj, edge_attr)
    assert message in str(caught.value)


def test_rows_of_other_shapes_are_not_spread_over_the_result():
    graph = make_graph("unsorted")
    layer = GINEConv(_network(4, 3, 3), edge_dim=3)
    with pytest.raises(ValueError, match=r"x_src of shape \(5, 4\) and x_dst of shape \(5, 1\)"):
        layer((graph.x, torch.ones(5, 1)), graph)
    with pytest.raises(ValueError, match=r"\[num_nodes, num_features\], got \(5, 7, 4\)"):
        layer(torch.ones(5, 7, 4), graph)


def test_an_edge_weight_is_a_type_error():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_weight"):
        GINEConv(_network(4, 3, 3), edge_dim=3)(
            graph.x, graph, edge_weight=graph.edge_weight  # pyright: ignore[reportCallIssue]
        )  # fmt: skip


def test_a_network_of_unknown_width_is_named():
    with pytest.raises(ValueError, match=r"in_features or in_channels .* got Tanh"):
        GINEConv(nn.Sequential(nn.Tanh(), nn.Linear(4, 3)), edge_dim=3)


@pytest.mark.parametrize("train_eps", [True, False])
def test_its_parameters_are_reset(train_eps):
    layer = GINEConv(_network(4, 3, 3), eps=0.5, train_eps=train_eps, edge_dim=3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    nn.init.zeros_(layer.eps)
    layer.reset_parameters()
    assert layer.eps.tolist() == [0.5]
    assert isinstance(layer.eps, nn.Parameter) == train_eps
    after = layer.state_dict()
    unchanged = {name for name in after if torch.equal(after[name], before[name])}
    assert unchanged == {"eps", "lin.bias"}
