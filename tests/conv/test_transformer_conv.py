import pytest
import torch
from torch import Tensor

from gnnlib.conv import TransformerConv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "as_it_comes": Layer(lambda: TransformerConv(4, 3, heads=2)),
    "with_edges": Layer(
        lambda: TransformerConv(4, 3, heads=2, concat=False, beta=True, edge_dim=3),
        edges=("edge_attr",),
    ),
}
OPTIONS = {
    "one_head": {},
    "heads": {"heads": 3},
    "mean_of_heads": {"heads": 3, "concat": False},
    "gate": {"heads": 2, "beta": True},
    "gate_of_mean": {"heads": 2, "beta": True, "concat": False},
    "without_bias": {"heads": 2, "bias": False},
    "without_root": {"heads": 2, "root_weight": False, "beta": True},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg(graph, options):
    mine = TransformerConv(7, 5, **OPTIONS[options])
    theirs = pyg.nn.TransformerConv(7, 5, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_edge_features_equal_pyg(graph, options):
    mine = TransformerConv(7, 5, edge_dim=3, **OPTIONS[options])
    theirs = pyg.nn.TransformerConv(7, 5, edge_dim=3, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7, edge_attr=3)


@pytest.mark.parametrize("beta", [True, False])
def test_two_sets_of_nodes_equal_pyg(beta):
    mine = TransformerConv((7, 4), 5, heads=2, beta=beta)
    theirs = pyg.nn.TransformerConv((7, 4), 5, heads=2, beta=beta)
    parity.check_rectangular_parity(mine, theirs, (7, 4))


@pytest.mark.parametrize("edge_dim", [None, 3])
def test_the_attention_weights_are_in_the_users_order_and_equal_pyg(edge_dim):
    graph = make_graph("unsorted", dtype=torch.float64)
    mine = TransformerConv(4, 3, heads=2, edge_dim=edge_dim).double()
    theirs = pyg.nn.TransformerConv(4, 3, heads=2, edge_dim=edge_dim).double()
    mine.load_state_dict(theirs.state_dict())
    attr = {} if edge_dim is None else {"edge_attr": graph.edge_attr}
    out, (edge_index, alpha) = mine(graph.x, graph.adj, return_attention_weights=True, **attr)
    expected, (same_index, same_alpha) = theirs(
        graph.x, graph.edge_index, return_attention_weights=True, **attr
    )
    parity.assert_equal(out, expected)
    parity.assert_equal(alpha, same_alpha)
    assert torch.equal(edge_index, same_index)
    parity.assert_equal(mine(graph.x, graph.adj, **attr), out)


@pytest.mark.parametrize("edge_dim", [None, 3])
def test_dropout_has_one_mask_fused_or_not_and_its_gradient(edge_dim):
    graph = make_graph("unsorted", dtype=torch.float64)
    layer = TransformerConv(4, 3, heads=2, dropout=0.5, edge_dim=edge_dim).double().train()
    attr = {} if edge_dim is None else {"edge_attr": graph.edge_attr}

    def call(x: Tensor, **more) -> Tensor:
        torch.manual_seed(1)
        return layer(x, graph.adj, **attr, **more)

    parity.assert_equal(call(graph.x), call(graph.x, return_attention_weights=True)[0])
    layer.eval()
    kept = call(graph.x)
    layer.train()
    assert not torch.equal(call(graph.x), kept)
    assert torch.autograd.gradcheck(call, graph.x.clone().requires_grad_())


def test_bad_input_is_named():
    graph = make_graph("unsorted")
    cases = [
        ({}, torch.ones(5, 6), {}, ValueError, "in_channels=4 features, got x of shape (5, 6)"),
        ({}, (torch.ones(5, 4), None), {}, ValueError, "the scores need x_dst, got None"),
        ({}, torch.ones(5, 4), {"edge_attr": torch.ones(7, 3)}, TypeError,
         "edge_attr needs a layer made for it: TransformerConv(…, edge_dim=…)"),
        ({"edge_dim": 3}, torch.ones(5, 4), {}, ValueError,
         "edge_attr must be given: the layer was made with edge_dim=3"),
    ]  # fmt: skip
    for options, x, edges, error, message in cases:
        with pytest.raises(error) as caught:
            TransformerConv(4, 3, **options)(x, graph.adj, **edges)
        assert message in str(caught.value)
    with pytest.raises(ValueError, match="heads must be an int of at least 1, got 0"):
        TransformerConv(4, 3, heads=0)


def test_its_parameters_are_reset():
    layer = TransformerConv(4, 3, heads=2, edge_dim=3, beta=True)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    after = layer.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {name for name in after if not name.endswith("bias")}
    assert "4, 3, heads=2" in repr(layer)
