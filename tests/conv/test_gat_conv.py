from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gnnlib import Adjacency, Graph
from gnnlib.conv import GATConv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "as_it_comes": Layer(lambda: GATConv(4, 3, heads=2)),
    "with_edges": Layer(
        lambda: GATConv(4, 3, heads=2, concat=False, edge_dim=3, residual=True),
        edges=("edge_attr",),
    ),
}
OPTIONS = {
    "one_head": {},
    "heads": {"heads": 3},
    "mean_of_heads": {"heads": 3, "concat": False},
    "without_loops": {"heads": 2, "add_self_loops": False},
    "slope": {"heads": 2, "negative_slope": 0.7},
    "without_bias": {"heads": 2, "bias": False},
    "residual": {"heads": 2, "residual": True},
    "residual_of_mean": {"heads": 2, "concat": False, "residual": True},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg(graph, options):
    mine, theirs = GATConv(7, 5, **OPTIONS[options]), pyg.nn.GATConv(7, 5, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.LOOPLESS)  # PyG drops the edge_attr of a loop
def test_edge_features_equal_pyg(graph, options):
    mine = GATConv(7, 5, edge_dim=3, **OPTIONS[options])
    theirs = pyg.nn.GATConv(7, 5, edge_dim=3, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7, edge_attr=3)


@pytest.mark.parametrize("pair", [True, False])
@pytest.mark.parametrize("with_target", [True, False])
def test_two_sets_of_nodes_equal_pyg(pair, with_target):
    channels = (7, 4) if pair else 7
    mine = GATConv(channels, 5, heads=2, add_self_loops=False)
    theirs = pyg.nn.GATConv(channels, 5, heads=2, add_self_loops=False)
    widths = (7, 4) if pair else (7, 7)
    parity.check_rectangular_parity(mine, theirs, widths, with_target=with_target)


@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_the_attention_weights_equal_pyg(graph):
    edge_index, num_nodes = parity.GRAPHS[graph]
    mine, theirs = GATConv(7, 5, heads=3).double(), pyg.nn.GATConv(7, 5, heads=3).double()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(num_nodes, 7, dtype=torch.float64)
    results = [module(x, edge_index, return_attention_weights=True)[1] for module in (mine, theirs)]
    summed = [
        torch.zeros(num_nodes, num_nodes, 3)
        .double()
        .index_put(tuple(edges), alpha, accumulate=True)
        for edges, alpha in results
    ]
    parity.assert_equal(*summed)


def test_the_attention_weights_are_in_the_users_order_with_added_loops_last():
    graph = make_graph("self_loops")
    layer = GATConv(4, 3, heads=2)
    _, (edge_index, alpha) = layer(graph.x, graph, return_attention_weights=True)
    num_edges = graph.num_edges
    assert torch.equal(edge_index[:, :num_edges], graph.edge_index)
    assert edge_index[:, num_edges:].tolist() == [[1, 3], [1, 3]]
    sums = torch.zeros(4, 2).index_add(0, edge_index[1], alpha)
    torch.testing.assert_close(sums, torch.ones(4, 2))


def _by_the_formula(layer: Any, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
    """Σ over the edges, one at a time, of what the paper has; one head."""
    edges = [(int(i), int(j), e) for i, j, e in zip(*edge_index, edge_attr)]
    looped = {i for i, j, _ in edges if i == j}
    for i in set(range(len(x))) - looped:
        incoming = [e for _, j, e in edges if j == i]
        mean = torch.stack(incoming).mean(0) if incoming else torch.zeros_like(edge_attr[0])
        edges.append((i, i, mean))
    h = x @ layer.lin.weight.T
    out = []
    for i in range(len(x)):
        mine = [(j, e) for j, target, e in edges if target == i]
        scores = torch.stack([
            layer.att_src.flatten() @ h[j]
            + layer.att_dst.flatten() @ h[i]
            + layer.att_edge.flatten() @ (layer.lin_edge.weight @ e)
            for j, e in mine
        ])  # fmt: skip
        alpha = F.leaky_relu(scores, layer.negative_slope).softmax(0)
        out.append(sum(a * h[j] for a, (j, _) in zip(alpha, mine)))
    return torch.stack(out) + layer.bias


@pytest.mark.parametrize("name", ["repeated_edges", "self_loops", "one_loop", "directed_random"])
def test_repeated_loops_keep_their_edge_features(name):
    graph = make_graph(name, dtype=torch.float64)
    layer = GATConv(4, 3, edge_dim=3).double()
    attr = graph.edge_attr.clone().requires_grad_()
    out = layer(graph.x, graph.adj, attr)
    expected = _by_the_formula(layer, graph.x, graph.edge_index, attr)
    parity.assert_equal(out, expected)
    grads = [torch.autograd.grad(o.square().sum(), attr)[0] for o in (out, expected)]
    parity.assert_equal(*grads)


def test_dropout_zeroes_attention_weights_in_training_only():
    graph = make_graph("complete", dtype=torch.float64)
    layer = GATConv(4, 3, heads=2, dropout=0.5, bias=False).double()
    layer.eval()
    kept = layer(graph.x, graph)
    assert torch.equal(layer(graph.x, graph), kept)
    layer.train()
    torch.manual_seed(1)
    several = torch.stack([layer(graph.x, graph) for _ in range(400)])
    assert several.std(0).min() > 0
    assert ((several.mean(0) - kept).abs() < 6 * several.std(0) / 400**0.5).all()
    torch.manual_seed(1)
    assert torch.equal(layer(graph.x, graph), several[0])


def test_dropout_is_the_edges_own_whatever_the_order():
    """The mask hashes the edge id: the same edges, sorted or not, lose the same weights."""
    graph = make_graph("complete", dtype=torch.float64)
    layer = GATConv(4, 3, heads=2, dropout=0.5, add_self_loops=False).double().train()
    adj = graph.adj
    eid = torch.arange(adj.num_edges, dtype=adj.col.dtype) if adj.eid is None else adj.eid
    explicit = Adjacency(adj.ptr, adj.col, adj.num_src, eid)
    results = []
    for structure in (adj, explicit):
        torch.manual_seed(1)
        results.append(layer(graph.x, structure))
    assert torch.equal(*results)


def test_dropout_has_the_gradient_of_its_mask():
    graph = make_graph("unsorted", dtype=torch.float64)
    layer = GATConv(4, 3, dropout=0.5).double().train()

    def call(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return layer(x, graph.adj)

    assert torch.autograd.gradcheck(call, graph.x.clone().requires_grad_())


def test_edge_features_may_be_one_number_an_edge():
    graph = make_graph("unsorted")
    layer = GATConv(4, 3, edge_dim=1)
    out = layer(graph.x, graph.adj, graph.edge_weight)
    assert torch.equal(out, layer(graph.x, graph.adj, graph.edge_weight.unsqueeze(1)))


def test_the_edge_features_of_the_graph_are_taken_by_a_layer_made_for_them():
    graph = make_graph("unsorted")
    layer = GATConv(4, 3, edge_dim=3)
    assert torch.equal(layer(graph.x, graph), layer(graph.x, graph.adj, graph.edge_attr))
    plain = GATConv(4, 3)
    assert torch.equal(plain(graph.x, graph), plain(graph.x, graph.adj))


@pytest.mark.parametrize(
    ("options", "x", "edges", "error", "message"),
    [
        ({}, torch.ones(5, 6), {}, ValueError, "in_channels=4 features, got x of shape (5, 6)"),
        ({}, torch.ones(5, 4), {"edge_attr": torch.ones(7, 3)}, TypeError,
         "edge_attr needs a layer made for it: GATConv(…, edge_dim=…)"),
        ({}, torch.ones(5, 4), {"edge_weight": torch.ones(7)}, TypeError, "edge_weight"),
        ({"edge_dim": 3}, torch.ones(5, 4), {}, ValueError,
         "edge_attr must be given: the layer was made with edge_dim=3"),
        ({"edge_dim": 3}, torch.ones(5, 4), {"edge_attr": torch.ones(7, 2)}, ValueError,
         "edge_attr must have shape [num_edges, edge_dim] = (7, 3), got (7, 2)"),
        ({"edge_dim": 3}, torch.ones(5, 4), {"edge_attr": torch.ones(6, 3)}, ValueError,
         "one row per edge: graph has num_edges=7, got edge_attr of shape (6, 3)"),
    ],
)  # fmt: skip
def test_bad_input_is_named(options, x, edges, error, message):
    graph = make_graph("unsorted")
    with pytest.raises(error) as caught:
        GATConv(4, 3, **options)(x, graph.adj, **edges)
    assert message in str(caught.value)


def test_a_layer_for_pairs_wants_a_pair():
    graph = make_graph("unsorted")
    with pytest.raises(
        ValueError, match=r"x must be a pair \(x_src, x_dst\): in_channels is \(4, 4\)"
    ):
        GATConv((4, 4), 3)(graph.x, graph)


def test_its_parameters_are_reset():
    layer = GATConv(4, 3, heads=2, edge_dim=3, residual=True)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    after = layer.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == set(after) - {"bias"}
    assert "4, 3, heads=2" in repr(layer)


def test_a_graph_that_grows_a_loop_for_each_node_has_one_weight_each():
    graph = Graph(torch.empty(2, 0, dtype=torch.long), x=torch.randn(3, 4))
    layer = GATConv(4, 3, bias=False)
    out, (edge_index, alpha) = layer(graph.x, graph, return_attention_weights=True)
    assert edge_index.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert alpha.tolist() == [[1.0]] * 3
    assert layer.lin is not None
    torch.testing.assert_close(out, layer.lin(graph.x))
