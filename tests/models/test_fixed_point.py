"""The models whose result is a fixed point: GNN, IGNN and PPNP."""

from functools import partial
from typing import Any

import pytest
import torch

from gnnlib import Graph
from gnnlib.conv import GNNConv, IGNNConv
from gnnlib.features import SparseFeatures
from gnnlib.linear import Linear
from gnnlib.models import GNN, IGNN, PPNP
from gnnlib.train import TrainConfig, Trainer
from tests.conv.eager import EAGER_CHECKS
from tests.graphs import random_edges, undirected
from tests.properties import Layer, gradients_are_right, name_of

MODELS: dict[str, Any] = {
    "gnn": GNN,
    "gnn_of_states": partial(GNN, state_channels=5),
    "gnn_mlp": partial(GNN, transition="mlp", aggr="mean"),
    "ignn": IGNN,
    "ppnp": PPNP,
}
WEIGHT = ("edge_weight",)
EXACT = {
    "gnn": Layer(lambda: GNN(4, 5, 3, kappa=0.5, tol=1e-13), WEIGHT),
    "ignn": Layer(lambda: IGNN(4, 5, 3, num_layers=2, kappa=0.5, tol=1e-13), WEIGHT),
    "ppnp": Layer(lambda: PPNP(4, 5, 3, alpha=0.5, tol=1e-13), WEIGHT),
}
SLOW = [pytest.param(gradients_are_right, marks=pytest.mark.slow)]


@pytest.fixture
def graph() -> Graph:
    """Undirected, of 40 nodes in two groups that their features tell apart."""
    nodes = torch.arange(40)
    edge_index = undirected(random_edges(40, 120))
    edge_index = edge_index[:, (edge_index[0] - edge_index[1]) % 2 == 0]
    x = torch.rand(40, 6) + 0.5 * (nodes % 2).unsqueeze(1)
    return Graph(
        edge_index, x=x, y=nodes % 2, num_nodes=40,
        train_mask=nodes < 12, val_mask=(nodes >= 12) & (nodes < 24), test_mask=nodes >= 24,
    )  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(
    "check", [c for c in EAGER_CHECKS if c is not gradients_are_right] + SLOW, ids=name_of
)
def test_a_model_passes_every_shared_check_of_eager_layers(check, name):
    check(EXACT[name])


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("name", MODELS)
def test_logits_have_one_row_per_node_and_every_parameter_a_gradient(name, num_layers, graph):
    net = MODELS[name](6, 8, 3, num_layers=num_layers)
    assert len(net.convs) == num_layers
    out = net(SparseFeatures.from_dense(graph.x), graph)
    assert out.shape == (40, 3)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_in_training_only_and_follows_the_seed(name, graph):
    net = MODELS[name](6, 8, 3, dropout=0.5).eval()
    assert torch.equal(net(graph.x, graph), net(graph.x, graph))
    net.train()
    torch.manual_seed(5)
    first, second = net(graph.x, graph), net(graph.x, graph)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(first, net(graph.x, graph))


@pytest.mark.parametrize("name", MODELS)
def test_it_is_trained_and_every_epoch_converges(name, graph):
    net = MODELS[name](6, 8, 2, dropout=0.2)
    result = Trainer(net, graph, TrainConfig(epochs=8, lr=0.03)).fit()
    assert all(epoch.converged for epoch in result.history)
    assert all(epoch.backward_iterations for epoch in result.history)
    assert result.history[-1].val_loss < result.history[0].val_loss


@pytest.mark.parametrize("name", ["gnn", "gnn_of_states", "gnn_mlp", "ignn"])
def test_what_is_inside_the_fixed_point_learns_at_its_own_rate(name, graph):
    net = MODELS[name](6, 8, 2)
    inside = net.transition_parameters()
    assert inside and set(inside) < set(net.parameters())
    assert all(p.shape[0] == p.shape[1] for p in inside)
    groups = Trainer(net, graph, TrainConfig(lr=0.01, transition_lr=0.1))._parameter_groups()
    rates = {p: group["lr"] for group in groups for p in group["params"]}
    for parameter in net.parameters():
        slow = any(parameter is p for p in inside)
        assert rates[parameter] == pytest.approx(0.001 if slow else 0.01)


def test_gnn_starts_as_ppnp(graph):
    """W = κ I mixes no classes: what is left is personalised PageRank with α = 1 − κ."""
    gnn, ppnp = GNN(6, 8, 3, 3, tol=1e-12), PPNP(6, 8, 3, 3, tol=1e-12)
    for mine, theirs in zip(gnn.convs, ppnp.lins):
        layer = mine.lin if isinstance(mine, GNNConv) else mine
        layer.load_state_dict(theirs.state_dict())
    gnn, ppnp, graph = gnn.double().eval(), ppnp.double().eval(), graph.replace(x=graph.x.double())
    with torch.no_grad():
        gnn.transition_parameters()[0].copy_(0.9 * torch.eye(3).double())
    torch.testing.assert_close(gnn(graph.x, graph), ppnp(graph.x, graph))


def test_a_gnn_of_states_reads_the_logits_from_them(graph):
    net: Any = GNN(6, 8, 3, state_channels=5).eval()
    hidden, conv = net.convs
    assert isinstance(hidden, Linear) and (conv.state_channels, conv.out_channels) == (5, 3)
    rows = hidden(graph.x).relu()
    expected = conv.readout(conv.state(rows, graph)) + conv.readout_x(rows)
    torch.testing.assert_close(net(graph.x, graph), expected)


def test_only_the_penalty_of_2009_is_a_term_of_the_loss(graph):
    assert GNN(6, 8, 2).penalty(graph) is None
    net: Any = GNN(6, 8, 2, contraction="penalty")
    start = net.penalty(graph)
    assert start is not None and start >= 0
    with torch.no_grad():
        net.transition_parameters()[0].mul_(3)
    assert net.penalty(graph) > start


def test_certificates_are_what_the_contraction_gives(graph):
    reports = {}
    for contraction in ("spectral", "inf_projection", "penalty"):
        net = GNN(6, 8, 2, contraction=contraction)
        net(graph.x, graph)
        reports[contraction] = net.convs[-1].last_report
    assert reports["spectral"].certified and reports["inf_projection"].certified
    assert not reports["penalty"].certified


def test_ignn_is_implicit_layers_and_a_linear_map(graph):
    net: Any = IGNN(6, 8, 3, num_layers=2, kappa=0.7, tol=1e-9).double().eval()
    x = graph.x.double()
    first, second = net.convs
    assert isinstance(first, IGNNConv) and first.contraction.kappa == 0.7
    assert (first.in_channels, second.in_channels, second.out_channels) == (6, 8, 8)
    expected = net.lin(second(first(x, graph), graph))
    torch.testing.assert_close(net(x, graph), expected)


def test_an_edge_weight_reaches_the_fixed_point(graph):
    weight = torch.rand(graph.num_edges, requires_grad=True)
    for name, model in MODELS.items():
        net = model(6, 8, 3).eval()
        out = net(graph.x, graph, weight)
        assert not torch.allclose(out, net(graph.x, graph)), name
        (gradient,) = torch.autograd.grad(out.square().sum(), weight)
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", MODELS)
def test_reset_parameters_draws_new_ones(name):
    net = MODELS[name](6, 8, 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.reset_parameters()
    after = net.state_dict()
    weights = [key for key in before if "weight" in key and "transition" not in key]
    assert any(not torch.equal(before[key], after[key]) for key in weights)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_layers", 0, "num_layers must be at least 1, got 0"),
        ("dropout", 1.0, r"dropout must be in \[0, 1\), got 1.0"),
        ("tol", 0.0, "tol must be positive and finite, got 0.0"),
    ],
)
def test_bad_arguments_are_named(name, argument, value, message):
    with pytest.raises(ValueError, match=message):
        MODELS[name](6, 8, 3, **{argument: value})


@pytest.mark.parametrize("kappa", [0.0, 1.0, -0.5, float("nan")])
@pytest.mark.parametrize("model", [GNN, IGNN])
def test_kappa_must_leave_a_contraction(model, kappa):
    with pytest.raises(ValueError, match="kappa must be strictly between 0 and 1"):
        model(6, 8, 3, kappa=kappa)


@pytest.mark.parametrize("argument", ["aggr", "transition", "contraction"])
def test_unknown_options_of_gnn_are_named(argument):
    name = "method" if argument == "contraction" else argument
    options: dict[str, Any] = {argument: "spectrol"}
    with pytest.raises(ValueError, match=f"{name} must be one of .*; got 'spectrol'"):
        GNN(6, 8, 3, **options)


@pytest.mark.parametrize("name", MODELS)
def test_inputs_that_do_not_fit_are_named_as_they_came(name, graph):
    net = MODELS[name](6, 8, 3)
    with pytest.raises(ValueError, match=r"num_nodes=40, got x of shape \(39, 6\)"):
        net(graph.x[:39], graph)
    with pytest.raises(ValueError, match="in_channels=6"):
        net(graph.x[:, :5], graph)
