from functools import partial
from typing import Any

import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.conv import IGNNConv
from gnnlib.fixed_point import FixedPointDivergence, Implicit, Picard, Stop, Unrolled
from tests.conv.eager import EAGER_CHECKS, TRACED_CHECKS
from tests.graphs import GRAPHS, make_graph, random_edges
from tests.properties import Layer, gradients_are_right, name_of

exact: Any = partial(
    IGNNConv, stop=Stop(tol=1e-13, max_iter=2000), backward=Implicit(tol=1e-13, max_iter=1000)
)
LAYERS = {
    "relu": Layer(lambda: exact(4, 3, kappa=0.7), edges=("edge_weight",)),
    "tanh": Layer(lambda: exact(4, 5, kappa=0.6, act="tanh"), edges=("edge_weight",)),
}
UNROLLED = Layer(lambda: IGNNConv(4, 3, backward=Unrolled(3)), edges=("edge_weight",))


def report_of(layer: Any) -> Any:
    return layer.last_report


SLOW = [pytest.param(gradients_are_right, marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "check", [c for c in EAGER_CHECKS if c is not gradients_are_right] + SLOW, ids=name_of
)
def test_it_passes_every_shared_check_of_eager_layers(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("check", TRACED_CHECKS, ids=name_of)
def test_unrolled_it_passes_the_rest_too(check):
    check(UNROLLED)


@pytest.mark.parametrize("name", GRAPHS)
def test_no_further_step_of_its_formula_changes_it(name):
    graph = make_graph(name, dtype=torch.float64)
    layer = exact(4, 3, kappa=0.9).double()
    dense = graph.adj.to_dense(graph.edge_weight)
    dense += torch.diag((graph.adj.to_dense().diagonal() == 0).double())
    operator = dense.sum(0).rsqrt()[:, None] * dense.T * dense.sum(1).rsqrt()
    z = layer(graph.x, graph)
    torch.testing.assert_close((operator @ z @ layer.weight.T + layer.lin(graph.x)).relu(), z)


def test_the_gradient_of_w_and_of_the_graph_is_right_on_a_directed_graph():
    """Where the authors' code takes A for its transpose, and for a constant."""
    graph = make_graph("unsorted", dtype=torch.float64)
    layer = exact(4, 3, kappa=0.7, act="tanh").double().eval()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, 3))

    def call(weight, edge_weight):
        return torch.func.functional_call(
            layer, {"weight": weight}, (graph.x, graph.adj, edge_weight), strict=False
        )

    inputs = layer.weight.detach().clone().requires_grad_(), graph.edge_weight.clone()
    assert torch.autograd.gradcheck(call, (inputs[0], inputs[1].requires_grad_()))


def test_it_starts_with_the_longest_memory_that_kappa_allows():
    """A random weight, projected, would forget what is a few edges away."""
    layer = IGNNConv(2, 8, kappa=0.9)
    assert torch.equal(layer.weight, 0.9 * torch.eye(8))
    projected = layer.contraction(torch.randn(64, 64))
    assert torch.linalg.eigvals(projected).abs().max() < 0.75


@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_any_weight_and_any_graph_converge(act):
    """No epoch of a training can meet one that does not."""
    graph = Graph(random_edges(300, 1500), x=torch.randn(300, 4))
    layer = IGNNConv(4, 16, kappa=0.95, act=act)
    for size in (0.01, 1.0, 1e4):
        with torch.no_grad():
            layer.weight.normal_(std=size)
        weight = size * torch.randn(1500)
        layer(graph.x, graph, weight).sum().backward()
        assert report_of(layer).certified and report_of(layer).all_converged
        assert report_of(layer).backward.all_converged


def test_the_bound_is_the_norm_of_the_weight_it_computes_with():
    graph = make_graph("undirected_random", dtype=torch.float64)
    layer = IGNNConv(4, 3, kappa=0.9).double()
    layer(graph.x, graph)
    assert report_of(layer).lipschitz_bound == pytest.approx(0.9)
    assert report_of(layer).error_bound is not None
    with torch.no_grad():  # rows of sum 0.9, in one column: a norm of 0.9 sqrt(3)
        layer.weight.copy_(torch.tensor([[0.9, 0, 0]] * 3))
    layer(graph.x, graph)
    assert report_of(layer).lipschitz_bound == pytest.approx(0.9 * 3**0.5)
    assert report_of(layer).certified and report_of(layer).error_bound is None


def test_each_graph_of_a_batch_is_solved_as_if_it_were_alone():
    names = ("chain", "star_in", "no_edges", "power_law")
    graphs = [make_graph(name, dtype=torch.float64) for name in names]
    batch = Batch.from_graphs(graphs)
    layer = IGNNConv(4, 3, stop=Stop(tol=1e-10), solver=Picard()).double()
    with torch.no_grad():
        layer.weight.normal_()
    together = layer(batch.x, batch)
    counts = report_of(layer).iterations.tolist()
    alone, steps = [], []
    for graph in graphs:
        alone.append(layer(graph.x, graph))
        steps += report_of(layer).iterations.tolist()
    assert counts == steps and len(set(counts)) > 1
    torch.testing.assert_close(together, torch.cat(alone))
    assert torch.equal(layer(batch.x, batch.adj, batch.edge_weight, batch.batch), together)


def test_far_nodes_are_heard():
    """Over a chain of 60 edges, and its gradient comes all the way back."""
    chain = torch.stack([torch.arange(60), torch.arange(1, 61)])
    x = torch.zeros(61, 1, dtype=torch.float64)
    layer = exact(1, 1, kappa=0.99, bias=False).double()
    with torch.no_grad():
        layer.lin.weight.fill_(1.0)
    x[0] = 1.0
    x.requires_grad_()
    out = layer(x, chain)
    assert out[-1] > 1e-6
    (gradient,) = torch.autograd.grad(out[-1].sum(), x)
    assert gradient[0] > 1e-6


@pytest.mark.parametrize("part", ["x", "edge_weight", "weight"])
def test_nan_ends_in_an_error(part):
    graph = make_graph("unsorted")
    layer = IGNNConv(4, 3)
    x, edge_weight = graph.x.clone(), graph.edge_weight.clone()
    with torch.no_grad():
        {"x": x, "edge_weight": edge_weight, "weight": layer.weight}[part].view(-1)[1] = torch.nan
    with pytest.raises(FixedPointDivergence, match="not finite"):
        layer(x, graph, edge_weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kappa": 1.0}, r"kappa must be strictly between 0 and 1, got 1.0"),
        ({"kappa": 0.0}, r"kappa must be strictly between 0 and 1, got 0.0"),
        ({"act": "rellu"}, "act must be one of 'relu', 'tanh'; got 'rellu'"),
        ({"in_channels": 0}, "in_channels must be an int of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, message: str):
    with pytest.raises(ValueError, match=message):
        IGNNConv(**{"in_channels": 4, "out_channels": 3, **arguments})


def test_inputs_that_do_not_fit_are_named():
    graph = make_graph("unsorted")
    layer = IGNNConv(4, 3)
    with pytest.raises(TypeError, match="edge_attr"):
        layer(graph.x, graph, edge_attr=graph.edge_attr)
    with pytest.raises(ValueError, match=r"in_channels=4 features, got x of shape \(5, 2\)"):
        layer(graph.x[:, :2], graph)
    with pytest.raises(ValueError, match=r"num_nodes=5, got x of shape \(4, 4\)"):
        layer(graph.x[:4], graph)


def test_its_parameters_are_reset():
    layer = IGNNConv(4, 3)
    before = layer.lin.weight.clone()
    with torch.no_grad():
        layer.weight.zero_()
    layer.reset_parameters()
    assert not torch.equal(layer.lin.weight, before)
    assert torch.equal(layer.weight, 0.95 * torch.eye(3))
    assert [p is layer.weight for p in layer.transition_parameters()] == [True]
    assert repr(layer).startswith("IGNNConv(\n  4, 3, kappa=0.95, act='relu'")
