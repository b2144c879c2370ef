import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import gnnlib
from gnnlib import Adjacency, Graph
from gnnlib.conv import GCNConv
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "as_it_comes": Layer(lambda: GCNConv(4, 3), edges=("edge_weight",)),
    "not_normalised": Layer(lambda: GCNConv(4, 6, normalize=False), edges=("edge_weight",)),
}
OPTIONS = {
    "as_it_comes": {},
    "improved": {"improved": True},
    "without_loops": {"add_self_loops": False},
    "not_normalised": {"normalize": False},
    "without_bias": {"bias": False},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg_with_weights(graph, options):
    mine, theirs = GCNConv(7, 5, **OPTIONS[options]), pyg.nn.GCNConv(7, 5, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7, edge_weight=None)


@pytest.mark.parametrize("options", [name for name in OPTIONS if name != "improved"])
@pytest.mark.parametrize("graph", parity.GRAPHS)
def test_it_equals_pyg_without_weights(graph, options):  # where PyG forgets `improved`
    mine, theirs = GCNConv(7, 5, **OPTIONS[options]), pyg.nn.GCNConv(7, 5, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 7)


def test_improved_weighs_the_added_loops_two():
    graph = make_graph("self_loops", dtype=torch.float64)
    layer = GCNConv(4, 3, improved=True).double()
    looped = torch.cat([graph.edge_index, torch.tensor([[1, 3], [1, 3]])], dim=1)
    for weight in (torch.ones(6, dtype=torch.float64), graph.edge_weight):
        weights = torch.cat([weight, torch.tensor([2.0, 2.0])])
        expected = _by_the_formula(layer, graph.x, looped, weights)
        parity.assert_equal(layer(graph.x, graph.adj, weight), expected)
    ones = torch.ones(6, dtype=torch.float64)
    assert torch.equal(layer(graph.x, graph.adj), layer(graph.x, graph.adj, ones))


def _by_the_formula(layer: Any, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    """Σ over the edges, one at a time, of what the paper has."""
    edges = [(int(i), int(j), w) for i, j, w in zip(*edge_index, weight)]
    looped = {i for i, j, _ in edges if i == j}
    if layer.add_self_loops:
        edges += [(i, i, torch.tensor(1.0).double()) for i in range(len(x)) if i not in looped]
    degree = [sum(w for _, j, w in edges if j == i) for i in range(len(x))]
    out = []
    for i in range(len(x)):
        total = torch.zeros(x.shape[1], dtype=x.dtype)
        for source, target, w in edges:
            if target == i:
                total = total + w / (degree[source] * degree[i]) ** 0.5 * x[source]
        out.append(total)
    return torch.stack(out) @ layer.lin.weight.T + layer.bias


@pytest.mark.parametrize("name", ["repeated_edges", "self_loops", "one_loop", "directed_random"])
def test_repeated_loops_keep_their_weights(name):
    graph = make_graph(name, dtype=torch.float64)
    layer = GCNConv(4, 3).double()
    weight = graph.edge_weight.clone().requires_grad_()
    out = layer(graph.x, graph.adj, weight)
    expected = _by_the_formula(layer, graph.x, graph.edge_index, weight)
    parity.assert_equal(out, expected)
    grads = [torch.autograd.grad(o.square().sum(), weight)[0] for o in (out, expected)]
    parity.assert_equal(*grads)


def test_the_weights_of_the_graph_are_taken_unless_others_are_given():
    graph = make_graph("unsorted")
    layer = GCNConv(4, 3)
    weighted = layer(graph.x, graph)
    assert torch.equal(layer(graph.x, graph, graph.edge_weight), weighted)
    plain = layer(graph.x, graph.adj)
    assert not torch.allclose(plain, weighted)
    assert torch.equal(layer(graph.x, graph, torch.ones(graph.num_edges)), plain)


def test_weights_may_be_a_column():
    graph = make_graph("unsorted")
    layer = GCNConv(4, 3)
    out = layer(graph.x, graph.adj, graph.edge_weight.unsqueeze(1))
    assert torch.equal(out, layer(graph.x, graph.adj, graph.edge_weight))


def test_weights_take_the_dtype_of_the_features():
    graph = make_graph("unsorted")
    out = GCNConv(4, 3)(graph.x, graph.adj, graph.edge_weight.double())
    assert out.dtype == torch.float32


def test_the_normalisation_is_computed_once_for_a_graph():
    graph = make_graph("unsorted")
    layer = GCNConv(4, 3)
    layer(graph.x, graph.adj)
    kept = dict(graph.adj.with_loops()._memo)
    layer(graph.x, graph.adj)
    GCNConv(4, 2)(graph.x, graph.adj)
    assert graph.adj.with_loops()._memo.keys() == kept.keys()
    assert all(graph.adj.with_loops()._memo[key] is value for key, value in kept.items())


def test_the_normalisation_of_constant_weights_is_kept_until_they_change():
    graph = Graph([[0, 1, 2, 2], [1, 2, 0, 1]], num_nodes=3)
    layer, x = GCNConv(4, 2), torch.randn(3, 4)
    weight = torch.rand(4) + 0.5
    first = layer(x, graph, weight)
    assert torch.equal(layer(x, graph, weight), first)
    with torch.inference_mode():
        assert torch.equal(layer(x, graph, weight), first)
    weight.mul_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    changed = layer(x, graph, weight)
    assert not torch.allclose(changed, first)
    assert torch.equal(changed, layer(x, graph, weight.clone()))
    no_loops = GCNConv(4, 2, add_self_loops=False)
    no_loops.load_state_dict(layer.state_dict())
    assert not torch.allclose(no_loops(x, graph, weight), changed)
    kept = graph.adj.memo("weighted_norms", dict)
    assert len(kept) == 1
    del weight
    assert len(kept) == 0


def test_a_node_of_weight_zero_has_a_finite_gradient():
    graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.randn(3, 4))
    weight = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    GCNConv(4, 3, add_self_loops=False)(graph.x, graph, weight).sum().backward()
    assert weight.grad is not None and weight.grad.isfinite().all()


class _Hops(TorchDispatchMode):
    """The functions of gnnlib on the way to the product of the adjacency."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.gnnlib.spmm.default:
            home = str(Path(gnnlib.__file__).parent)
            frames = [f for f in traceback.extract_stack() if f.filename.startswith(home)]
            self.names = [f"{Path(frame.filename).stem}.{frame.name}" for frame in frames]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("training", [True, False])
def test_from_the_layer_to_the_kernel_it_is_four_hops(training):
    graph = make_graph("unsorted")
    layer = GCNConv(4, 3)
    with _Hops() as hops, torch.set_grad_enabled(training):
        layer(graph.x, graph)
    assert hops.names[0] == "gcn_conv.forward"
    assert 2 <= len(hops.names) <= 4, (
        hops.names
    )  # each is a hop to the next, the last to the kernel


def test_loops_without_normalisation_are_refused():
    with pytest.raises(ValueError, match="add_self_loops must be False where normalize is False"):
        GCNConv(4, 3, add_self_loops=True, normalize=False)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (torch.ones(5, 6), {}, ValueError, "in_channels=4 features, got x of shape (5, 6)"),
        (torch.ones(6, 4), {}, ValueError,
         "x must have one row per node: graph has num_nodes=5, got x of shape (6, 4)"),
        (torch.ones(5), {}, ValueError, "x must have shape [num_nodes, num_features], got (5,)"),
        (torch.ones(5, 4).long(), {}, TypeError, "floating tensor, got torch.int64: use x.float()"),
        (None, {}, TypeError, "x must be a tensor, SparseFeatures or a scipy sparse matrix"),
        (torch.ones(5, 4), {"edge_weight": torch.ones(6)}, ValueError,
         "edge_weight must have one row per edge: graph has num_edges=7, got edge_weight of shape"
         " (6,)"),
        (torch.ones(5, 4), {"edge_weight": torch.ones(7, 2)}, ValueError,
         "edge_weight must have shape [num_edges] = (7,), got (7, 2)"),
        (torch.ones(5, 4), {"edge_weight": 2.0}, TypeError,
         "edge_weight must be a tensor, got float"),
        (torch.ones(5, 4), {"edge_attr": torch.ones(7, 3)}, TypeError, "edge_attr"),
    ],
)  # fmt: skip
def test_bad_input_is_named(x, options, error, message):
    graph = make_graph("unsorted")
    with pytest.raises(error) as caught:
        GCNConv(4, 3)(x, graph, **options)
    assert message in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__ is False


def test_a_graph_in_the_place_of_x_is_named():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match=r"convs are called conv\(x, graph, …\)"):
        GCNConv(4, 3)(graph, graph.x)
    with pytest.raises(TypeError, match=r"layers are called layer\(x, graph, …\)"):
        GCNConv(4, 3)(graph.x, graph.edge_index.tolist())


def test_it_takes_an_adjacency_on_its_own():
    adj = Adjacency.from_edge_index([[0, 1], [1, 2]], num_nodes=3)
    assert GCNConv(4, 3)(torch.ones(3, 4), adj).shape == (3, 3)


def test_its_parameters_are_reset():
    layer = GCNConv(4, 3)
    before = layer.lin.weight.detach().clone()
    assert layer.bias is not None
    torch.nn.init.ones_(layer.bias)
    layer.reset_parameters()
    assert not torch.equal(layer.lin.weight, before)
    assert not layer.bias.any()
    assert layer.lin.weight.abs().max() <= (6 / 7) ** 0.5
    assert repr(layer).split() == "GCNConv( 4, 3 (lin): Linear(4, 3, bias=False) )".split()
