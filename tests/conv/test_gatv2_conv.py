from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gnnlib import Graph, _per_edge
from gnnlib.conv import GATConv, GATv2Conv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph, random_edges
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "as_it_comes": Layer(lambda: GATv2Conv(4, 3, heads=2)),
    "with_edges": Layer(
        lambda: GATv2Conv(4, 3, heads=2, concat=False, edge_dim=3, residual=True),
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
    "shared": {"heads": 2, "share_weights": True},
    "residual": {"heads": 2, "residual": True},
    "residual_of_mean": {"heads": 2, "concat": False, "residual": True},
}
FILLS: dict[str, Any] = {
    **{name: name for name in ("mean", "add", "max", "min", "mul")},
    "number": 0.3,
    "tensor": torch.tensor([0.1, -2.0, 3.0], dtype=torch.float64),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg(graph, options):
    mine, theirs = GATv2Conv(7, 5, **OPTIONS[options]), pyg.nn.GATv2Conv(7, 5, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.LOOPLESS)  # PyG drops the edge_attr of a loop
def test_edge_features_equal_pyg(graph, options):
    mine = GATv2Conv(7, 5, edge_dim=3, **OPTIONS[options])
    theirs = pyg.nn.GATv2Conv(7, 5, edge_dim=3, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7, edge_attr=3)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("graph", parity.LOOPLESS)
def test_the_edge_features_of_added_loops_equal_pyg(graph, fill):
    options = {"heads": 2, "edge_dim": 3, "fill_value": FILLS[fill]}
    mine, theirs = GATv2Conv(7, 5, **options), pyg.nn.GATv2Conv(7, 5, **options)
    parity.check_parity(mine, theirs, graph, 7, edge_attr=3)


@pytest.mark.parametrize("share_weights", [True, False])
@pytest.mark.parametrize("pair", [True, False])
def test_two_sets_of_nodes_equal_pyg(pair, share_weights):
    widths = (7, 7) if share_weights or not pair else (7, 4)
    channels = widths if pair else 7
    options = {"heads": 2, "add_self_loops": False, "share_weights": share_weights}
    mine, theirs = GATv2Conv(channels, 5, **options), pyg.nn.GATv2Conv(channels, 5, **options)
    parity.check_rectangular_parity(mine, theirs, widths)


@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_the_attention_weights_equal_pyg(graph):
    edge_index, num_nodes = parity.GRAPHS[graph]
    mine, theirs = GATv2Conv(7, 5, heads=3).double(), pyg.nn.GATv2Conv(7, 5, heads=3).double()
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
    layer = GATv2Conv(4, 3, heads=2)
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
    left, right = layer.lin_l(x), layer.lin_r(x)
    out = []
    for i in range(len(x)):
        mine = [(j, e) for j, target, e in edges if target == i]
        scores = torch.stack([
            layer.att.flatten()
            @ F.leaky_relu(left[j] + right[i] + layer.lin_edge.weight @ e, layer.negative_slope)
            for j, e in mine
        ])  # fmt: skip
        out.append(sum(a * left[j] for a, (j, _) in zip(scores.softmax(0), mine)))
    return torch.stack(out) + layer.bias


@pytest.mark.parametrize("name", ["repeated_edges", "self_loops", "one_loop", "directed_random"])
def test_repeated_loops_keep_their_edge_features(name):
    graph = make_graph(name, dtype=torch.float64)
    layer = GATv2Conv(4, 3, edge_dim=3).double()
    attr = graph.edge_attr.clone().requires_grad_()
    out = layer(graph.x, graph.adj, attr)
    expected = _by_the_formula(layer, graph.x, graph.edge_index, attr)
    parity.assert_equal(out, expected)
    wanted = [attr, *layer.parameters()]
    for grads in zip(*(torch.autograd.grad(o.square().sum(), wanted) for o in (out, expected))):
        parity.assert_equal(*grads)


class _Largest(TorchDispatchMode):
    """The most elements that a tensor had that anything was written to."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = result if isinstance(result, (tuple, list)) else (result,)
        sizes = [t.untyped_storage().size() // t.element_size() for t in tensors if _is_tensor(t)]
        self.elements = max(self.elements, *sizes, 0)
        return result


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


@pytest.mark.parametrize("options", [{}, {"edge_dim": 3}])
@pytest.mark.parametrize("hub", [False, True])
def test_no_array_of_edges_times_features_is_made(monkeypatch, hub, options):
    """Forward and backward, also where one node has all edges; the result is that of one block."""
    num_nodes, num_edges, heads, width = 50, 4000, 2, 32
    edge_index = random_edges(num_nodes, num_edges)
    edge_index = edge_index * torch.tensor([[1], [0]]) if hub else edge_index
    edge_attr = torch.randn(num_edges, 3, dtype=torch.float64) if options else None
    graph = Graph(edge_index, num_nodes=num_nodes)
    layer = GATv2Conv(8, width, heads=heads, **options).double()
    x = torch.randn(num_nodes, 8, dtype=torch.float64, requires_grad=True)
    wanted = [x, *layer.parameters()]
    expected = layer(x, graph, edge_attr)
    expected_grads = torch.autograd.grad(expected.square().sum(), wanted)
    monkeypatch.setattr(_per_edge, "BLOCK_BYTES", 100 * heads * width * 8)
    with _Largest() as largest:
        out = layer(x, Graph(edge_index, num_nodes=num_nodes), edge_attr)
        grads = torch.autograd.grad(out.square().sum(), wanted)
    assert largest.elements < num_edges * heads * width / 8
    for actual, wanted_value in zip((out, *grads), (expected, *expected_grads)):
        torch.testing.assert_close(actual, wanted_value, rtol=1e-10, atol=1e-8)


def test_dropout_zeroes_attention_weights_in_training_only():
    graph = make_graph("complete", dtype=torch.float64)
    layer = GATv2Conv(4, 3, heads=2, dropout=0.5, bias=False).double()
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


def test_dropout_has_the_gradient_of_its_mask():
    graph = make_graph("unsorted", dtype=torch.float64)
    layer = GATv2Conv(4, 3, dropout=0.5).double().train()

    def call(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return layer(x, graph.adj)

    assert torch.autograd.gradcheck(call, graph.x.clone().requires_grad_())


def test_edge_features_may_be_one_number_an_edge():
    graph = make_graph("unsorted")
    layer = GATv2Conv(4, 3, edge_dim=1)
    out = layer(graph.x, graph.adj, graph.edge_weight)
    assert torch.equal(out, layer(graph.x, graph.adj, graph.edge_weight.unsqueeze(1)))


def test_the_edge_features_of_the_graph_are_taken_by_a_layer_made_for_them():
    graph = make_graph("unsorted")
    layer = GATv2Conv(4, 3, edge_dim=3)
    assert torch.equal(layer(graph.x, graph), layer(graph.x, graph.adj, graph.edge_attr))
    plain = GATv2Conv(4, 3)
    assert torch.equal(plain(graph.x, graph), plain(graph.x, graph.adj))


@pytest.mark.parametrize(
    ("options", "x", "edges", "error", "message"),
    [
        ({}, torch.ones(5, 6), {}, ValueError, "in_channels=4 features, got x of shape (5, 6)"),
        ({}, (torch.ones(5, 4), None), {}, ValueError, "the scores need x_dst, got None"),
        ({}, torch.ones(5, 4), {"edge_attr": torch.ones(7, 3)}, TypeError,
         "edge_attr needs a layer made for it: GATv2Conv(…, edge_dim=…)"),
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
        GATv2Conv(4, 3, **options)(x, graph.adj, **edges)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "heads must be an int of at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be in [0, 1), got 1.0"),
        ({"edge_dim": 3, "fill_value": "mode"}, "fill_value"),
        ({"edge_dim": 3, "fill_value": torch.ones(2)},
         "fill_value must have shape [edge_dim] = (3,), got (2,)"),
    ],
)  # fmt: skip
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError) as caught:
        GATv2Conv(4, 3, **options)
    assert message in str(caught.value)


def test_its_parameters_are_reset():
    layer = GATv2Conv(4, 3, heads=2, edge_dim=3, residual=True)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    after = layer.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == set(after) - {"bias", "lin_l.bias", "lin_r.bias"}
    assert "4, 3, heads=2" in repr(layer)


@pytest.mark.parametrize("layer", [GATConv(4, 3), GATv2Conv(4, 3)], ids=["gat", "gatv2"])
def test_rows_of_several_dimensions_are_no_nodes(layer):
    """Reshaped into heads, they would be taken for further nodes."""
    graph = make_graph("unsorted")
    with pytest.raises(ValueError, match=r"\[num_nodes, num_features\], got \(5, 2, 4\)"):
        layer(torch.randn(5, 2, 4), graph)
    with pytest.raises(ValueError, match=r"\[num_nodes, num_features\], got \(5, 2, 4\)"):
        layer((torch.randn(5, 2, 4), torch.randn(5, 4)), graph)
