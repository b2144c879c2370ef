import pytest
import torch

from gnnlib import Graph
from gnnlib.conv import GATConv, GCNConv, GINConv, SAGEConv
from gnnlib.features import SparseFeatures
from gnnlib.models import GAT, GCN, GIN, GraphSAGE

MODELS = [GCN, GraphSAGE, GIN, GAT]
CONV = {GCN: GCNConv, GraphSAGE: SAGEConv, GIN: GINConv, GAT: GATConv}


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


def test_edge_features_take_part_in_every_layer_of_gat(graph):
    net = GAT(6, 8, 3, edge_dim=2).double().eval()
    features = torch.rand(40, 2, dtype=torch.float64)
    out = net(graph.x, graph, edge_attr=features)
    assert not torch.allclose(out, net(graph.x, graph, edge_attr=2 * features))
    for conv in net.convs:
        conv.get_parameter("att_edge").data.zero_()
        changed = net(graph.x, graph, edge_attr=features)
        assert not torch.allclose(out, changed)
        out = changed


@pytest.mark.parametrize("model", [GraphSAGE, GIN, GAT])
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
