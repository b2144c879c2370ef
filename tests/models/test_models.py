from functools import partial

import pytest
import torch
from torch import nn

from gnnlib import Graph
from gnnlib.conv import ChebConv, GATConv, GATv2Conv, GCNConv, GINConv, SAGEConv, TAGConv
from gnnlib.features import SparseFeatures
from gnnlib.linear import Linear
from gnnlib.models import APPNP, GAT, GCN, GIN, SGC, TAGCN, ChebNet, GraphSAGE
from gnnlib.train import TrainConfig, Trainer
from tests import pyg
from tests.conv import parity

GATv2 = partial(GAT, v2=True)
CONV = {
    GCN: GCNConv,
    GraphSAGE: SAGEConv,
    GIN: GINConv,
    GAT: GATConv,
    GATv2: GATv2Conv,
    ChebNet: ChebConv,
    TAGCN: TAGConv,
    APPNP: Linear,
}
MODELS = list(CONV)
STACKS = [model for model in MODELS if model is not APPNP]
JK = ["last", "cat", "max", "lstm"]


@pytest.fixture
def graph() -> Graph:
    edge_index = torch.randint(12, (2, 40))
    return Graph(edge_index, x=(torch.rand(12, 6) > 0.6).double(), num_nodes=12)


@pytest.mark.parametrize("num_layers", [1, 2, 4])
@pytest.mark.parametrize("model", MODELS)
def test_logits_have_one_row_per_node(model, num_layers, graph):
    net = model(6, 8, 3, num_layers=num_layers).double()
    assert net(graph.x, graph).shape == (12, 3)
    assert [type(conv) for conv in net.convs] == [CONV[model]] * num_layers


@pytest.mark.parametrize("model", MODELS)
def test_sparse_and_dense_features_give_the_same(model, graph):
    net = model(6, 8, 3).double().eval()
    sparse = SparseFeatures.from_dense(graph.x)
    torch.testing.assert_close(net(sparse, graph), net(graph.x, graph))


@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_gets_a_gradient(model, graph):
    net = model(6, 8, 3).double()
    net(SparseFeatures.from_dense(graph.x), graph).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("model", MODELS)
def test_dropout_acts_in_training_only_and_follows_the_seed(model, graph):
    net = model(6, 8, 3, dropout=0.5).double()
    net.eval()
    assert torch.equal(net(graph.x, graph), net(graph.x, graph))
    net.train()
    first, second = net(graph.x, graph), net(graph.x, graph)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    first = net(graph.x, graph)
    torch.manual_seed(5)
    assert torch.equal(first, net(graph.x, graph))


@pytest.mark.parametrize("model", MODELS)
def test_reset_parameters_draws_new_ones(model):
    net = model(6, 8, 3)
    before = net.convs[0].state_dict()
    before = {name: value.clone() for name, value in before.items()}
    net.reset_parameters()
    after = net.convs[0].state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_gcn_is_its_formula(graph):
    net = GCN(6, 8, 3).double().eval()
    dense = torch.zeros(12, 12, dtype=torch.float64)
    dense.index_put_(tuple(graph.edge_index), torch.ones(40).double(), accumulate=True)
    dense += torch.diag((dense.diagonal() == 0).double())
    scale = dense.sum(0).rsqrt()
    operator = (scale[:, None] * dense * scale).T
    weights = net.state_dict()
    w0, w1 = weights["convs.0.lin.weight"].T, weights["convs.1.lin.weight"].T
    hidden = (operator @ graph.x @ w0 + weights["convs.0.bias"]).relu()
    expected = operator @ hidden @ w1 + weights["convs.1.bias"]
    torch.testing.assert_close(net(graph.x, graph), expected)


def test_an_edge_weight_reaches_every_layer(graph):
    net = GCN(6, 8, 3).double().eval()
    weight = torch.rand(40, dtype=torch.float64, requires_grad=True)
    out = net(graph.x, graph, weight)
    assert not torch.allclose(out, net(graph.x, graph))
    (gradient,) = torch.autograd.grad(out.sum(), weight)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(("model", "vector"), [(GAT, "att_edge"), (GATv2, "lin_edge.weight")])
def test_edge_features_take_part_in_every_layer_of_gat(model, vector, graph):
    net = model(6, 8, 3, edge_dim=2).double().eval()
    features = torch.rand(40, 2, dtype=torch.float64)
    out = net(graph.x, graph, edge_attr=features)
    assert not torch.allclose(out, net(graph.x, graph, edge_attr=2 * features))
    for conv in net.convs:
        conv.get_parameter(vector).data.zero_()
        changed = net(graph.x, graph, edge_attr=features)
        assert not torch.allclose(out, changed)
        out = changed


@pytest.mark.parametrize("model", [GraphSAGE, GIN, GAT, GATv2])
def test_an_edge_weight_that_the_conv_does_not_take_is_a_type_error(model, graph):
    with pytest.raises(TypeError, match="edge_weight"):
        model(6, 8, 3).double()(graph.x, graph, torch.rand(40).double())


@pytest.mark.parametrize("model", MODELS)
def test_wrong_in_channels_is_named(model, graph):
    with pytest.raises(ValueError, match="in_channels"):
        model(7, 8, 3).double()(graph.x, graph)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("num_layers", 0, "num_layers must be at least 1, got 0"),
        ("dropout", 1.0, r"dropout must be in \[0, 1\), got 1.0"),
        ("dropout", -0.1, r"dropout must be in \[0, 1\), got -0.1"),
    ],
)
def test_bad_arguments_are_named(model, argument, value, message):
    with pytest.raises(ValueError, match=message):
        model(6, 8, 3, **{argument: value})


def test_gat_has_the_papers_widths():
    net = GAT(1433, 8, 7, heads=8, output_heads=2)
    first, last = net.convs
    assert (first.heads, first.out_channels, first.concat) == (8, 8, True)
    assert (last.heads, last.out_channels, last.concat) == (2, 7, False)
    assert last.in_channels == 64


@pytest.mark.parametrize("jk", JK)
@pytest.mark.parametrize("model", STACKS)
def test_with_jk_a_linear_reads_all_layers(model, jk, graph):
    net = model(6, 8, 3, num_layers=3, jk=jk).double()
    out = net(SparseFeatures.from_dense(graph.x), graph)
    assert out.shape == (12, 3)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    width = 8 * getattr(net.convs[0], "heads", 1)
    assert net.lin.in_features == (3 * width if jk == "cat" else width)


PYG = {
    "gcn": (GCN, pyg.nn.models.GCN, {}),
    "sage": (GraphSAGE, pyg.nn.models.GraphSAGE, {}),
    "gat": (partial(GAT, heads=2), pyg.nn.models.GAT, {"heads": 2, "act": "elu"}),
    "gat_v2": (
        partial(GATv2, heads=2),
        pyg.nn.models.GAT,
        {"heads": 2, "act": "elu", "v2": True},
    ),
}


@pytest.mark.parametrize("jk", JK)
@pytest.mark.parametrize("name", PYG)
def test_with_jk_it_equals_pyg(name, jk):
    model, pyg_model, options = PYG[name]
    mine = model(5, 6, 3, num_layers=3, dropout=0.0, jk=jk)
    theirs = pyg_model(5, 6 * options.get("heads", 1), 3, 3, jk=jk, **options)
    parity.check_parity(mine, theirs, "looped", 5)


@pytest.mark.parametrize("name", ["gcn", "sage"])
def test_without_jk_it_equals_pyg(name):
    model, pyg_model, _ = PYG[name]
    mine = model(5, 6, 3, num_layers=3, dropout=0.0)
    parity.check_parity(mine, pyg_model(5, 6, 3, 3), "looped", 5)


@pytest.mark.parametrize("model", STACKS)
def test_an_unknown_jk_lists_the_choices_nearest_first(model):
    with pytest.raises(ValueError, match="jk must be one of 'max', .*; got 'maxx'"):
        model(6, 8, 3, jk="maxx")


def test_sgc_is_one_linear_after_its_hops(graph):
    net = SGC(6, 3, K=3, dropout=0.5).double().eval()
    (conv,) = net.convs
    theirs = pyg.nn.SGConv(6, 3, K=3).double()
    theirs.load_state_dict(conv.state_dict())
    loopless = graph.remove_self_loops()  # PyG makes repeated loops one
    parity.assert_equal(net(graph.x, loopless), theirs(graph.x, loopless.edge_index))
    assert net.train()(graph.x, graph).shape == (12, 3)


def test_appnp_is_a_perceptron_and_its_propagation(graph):
    net = APPNP(6, 8, 3, num_layers=3, K=4, alpha=0.2).double().eval()
    mlp = nn.Sequential(net.lins[0], nn.ReLU(), net.lins[1], nn.ReLU(), net.lins[2])
    weight = torch.rand(40, dtype=torch.float64)
    loopless = graph.replace(edge_weight=weight).remove_self_loops()
    theirs = pyg.nn.APPNP(K=4, alpha=0.2)
    expected = theirs(mlp(graph.x), loopless.edge_index, loopless.edge_weight)
    parity.assert_equal(net(graph.x, loopless), expected)


def test_the_dropout_of_appnp_reaches_its_edges(graph):
    net = APPNP(6, 8, 3, dropout=0.5)
    assert net.propagation.dropout == 0.5


def test_appnp_names_rows_that_do_not_fit_as_they_came(graph):
    with pytest.raises(ValueError, match=r"num_nodes=12, got x of shape \(11, 6\)"):
        APPNP(6, 8, 3).double()(graph.x[:11], graph)


@pytest.mark.parametrize(
    "build",
    [*(partial(model, 6, 8) for model in MODELS), partial(SGC, 6)],
)
def test_its_first_layer_alone_can_be_decayed(build, graph):
    """What decay_layers=1 means; the models of one layer are decayed whole."""
    nodes = torch.arange(12)
    ready = graph.replace(
        x=graph.x.float(),
        y=nodes % 3,
        train_mask=nodes < 4,
        val_mask=(nodes >= 4) & (nodes < 8),
        test_mask=nodes >= 8,
    )
    config = TrainConfig(epochs=1, weight_decay=0.1, decay_layers=1)
    net = build(out_channels=3)
    decayed, rest = Trainer(net, ready, config)._parameter_groups()
    assert decayed["weight_decay"] == 0.1 and rest["weight_decay"] == 0.0
    first = list(net.convs[0].parameters())
    assert {id(p) for p in decayed["params"]} == {id(p) for p in first}
    assert len(decayed["params"]) + len(rest["params"]) == len(list(net.parameters()))
    assert bool(rest["params"]) == (len(net.convs) > 1)
