from functools import partial
from typing import Any

import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.conv import APPNP, PPNP
from gnnlib.fixed_point import (
    Anderson,
    FixedPointDivergence,
    Implicit,
    Phantom,
    Picard,
    Stop,
    Unrolled,
)
from tests.conv.eager import EAGER_CHECKS, TRACED_CHECKS
from tests.graphs import GRAPHS, make_graph, random_edges
from tests.properties import CHECKS, Layer, gradients_are_right, name_of

exact: Any = partial(PPNP, stop=Stop(tol=1e-13), backward=Implicit(tol=1e-13))
LAYERS = {
    "as_it_comes": Layer(lambda: exact(0.3), edges=("edge_weight",)),
    "without_loops": Layer(lambda: exact(0.4, add_self_loops=False), edges=("edge_weight",)),
}
UNROLLED = Layer(lambda: PPNP(0.2, backward=Unrolled(3)), edges=("edge_weight",))


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
    assert set(EAGER_CHECKS) | set(TRACED_CHECKS) == set(CHECKS)
    check(UNROLLED)


def solution(graph: Graph, alpha: float, add_self_loops: bool = True) -> torch.Tensor:
    """By the formula, with a dense matrix."""
    dense = graph.adj.to_dense(graph.edge_weight).T
    if add_self_loops:
        dense += torch.diag((graph.adj.to_dense().diagonal() == 0).to(dense))
    scale = torch.where(dense.sum(1) > 0, dense.sum(1).rsqrt(), 0)
    operator = scale[:, None] * dense * scale
    return alpha * torch.linalg.solve(torch.eye(len(dense)) - (1 - alpha) * operator, graph.x)


@pytest.mark.parametrize("add_self_loops", [True, False])
@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_its_formula_on_every_corner_graph(name, add_self_loops):
    graph = make_graph(name, dtype=torch.float64)
    out = exact(0.2, add_self_loops=add_self_loops)(graph.x, graph)
    torch.testing.assert_close(out, solution(graph, 0.2, add_self_loops))


DIRECTED = ["directed_random", "star_out", "chain"]
UNDIRECTED = ["undirected_random", "complete", "no_edges"]


@pytest.mark.parametrize("name", DIRECTED + UNDIRECTED)
@pytest.mark.parametrize("weighted", [True, False])
def test_it_is_the_limit_of_appnp_and_what_it_certifies_is_true(name, weighted):
    """On directed graphs too, where S itself may have any norm."""
    graph = make_graph(name, dtype=torch.float64)
    x, edges = graph.x, ({"edge_weight": graph.edge_weight} if weighted else {})
    layer = PPNP(0.2, stop=Stop(tol=1e-3))
    near = layer(x, graph.adj, **edges)
    far = APPNP(300, 0.2)(x, graph.adj, **edges)
    torch.testing.assert_close(near, far, rtol=0.01, atol=0.01)
    report = report_of(layer)
    assert report.certified and report.norm == "frobenius"
    operator = torch.stack([APPNP(1, 0.0)(row[:, None], graph.adj, **edges) for row in
                            torch.eye(graph.num_nodes).double()])[..., 0].T  # fmt: skip
    norm = float(torch.linalg.matrix_norm(operator, 2))
    assert 0.8 * norm <= report.lipschitz_bound + 1e-12
    if name in UNDIRECTED and not weighted:
        assert report.lipschitz_bound == pytest.approx(0.8)
    if report.lipschitz_bound < 1:
        error = torch.linalg.vector_norm(near - far)
        assert error <= report.error_bound.item() + 1e-12
    else:
        assert report.error_bound is None


@pytest.mark.parametrize(
    "options",
    [
        {"solver": Picard()},
        {"solver": Anderson(m=3)},
        {"backward": Implicit(solver="picard", tol=1e-13, max_iter=400)},
        {"backward": Implicit(solver="anderson", tol=1e-13)},
    ],
    ids=str,
)
def test_every_solver_gives_the_same_result_and_gradient(options):
    graph = make_graph("power_law", dtype=torch.float64)
    found = []
    for layer in (exact(0.1), exact(0.1, **{"backward": Implicit(tol=1e-13), **options})):
        weight = graph.edge_weight.clone().requires_grad_()
        out = layer(graph.x, graph.adj, weight)
        out.square().sum().backward()
        assert report_of(layer).backward.all_converged
        found.append((out, weight.grad))
    for mine, theirs in zip(*found):
        torch.testing.assert_close(mine, theirs)


def test_unrolled_it_is_appnp_and_phantom_steps_are_a_part_of_its_gradient():
    graph = make_graph("directed_random", dtype=torch.float64)
    grads = []
    for layer in (
        PPNP(0.2, backward=Unrolled(200)),
        APPNP(200, 0.2),
        exact(0.2),
        PPNP(0.2, stop=Stop(tol=1e-13), backward=Phantom(2, 1.0)),
    ):
        x = graph.x.clone().requires_grad_()
        layer(x, graph)[:, 0].square().sum().backward()
        grads.append(x.grad)
    torch.testing.assert_close(grads[0], grads[1])
    torch.testing.assert_close(grads[0], grads[2])
    assert not torch.allclose(grads[0], grads[3], rtol=1e-2)
    assert torch.cosine_similarity(grads[0].flatten(), grads[3].flatten(), dim=0) > 0.5


def test_each_graph_of_a_batch_is_solved_as_if_it_were_alone():
    names = ("chain", "star_in", "one_node", "power_law")
    graphs = [make_graph(name, dtype=torch.float64) for name in names]
    batch = Batch.from_graphs(graphs)
    layer = PPNP(0.05, stop=Stop(tol=1e-10))
    together = layer(batch.x, batch)
    counts = report_of(layer).iterations.tolist()
    alone, steps = [], []
    for graph in graphs:
        alone.append(layer(graph.x, graph))
        steps += report_of(layer).iterations.tolist()
    assert counts == steps and len(set(counts)) > 1
    assert report_of(layer).node_updates <= graphs[-1].num_nodes * steps[-1]
    torch.testing.assert_close(together, torch.cat(alone))
    by_hand = layer(batch.x, batch.adj, batch.edge_weight, batch=batch.batch)
    assert torch.equal(by_hand, together)


def test_dropped_edges_are_drawn_once_and_the_bound_holds():
    graph = Graph(random_edges(200, 2000), x=torch.eye(200), num_nodes=200)
    layer = PPNP(0.1, dropout=0.5)  # of directed edges: no norm below 1, yet one fixed point
    whole = layer.eval()(graph.x, graph)
    assert torch.equal(whole, PPNP(0.1)(graph.x, graph))
    layer.train()
    torch.manual_seed(5)
    first, second = layer(graph.x, graph), layer(graph.x, graph)
    assert report_of(layer).all_converged and report_of(layer).certified
    assert not torch.allclose(first, second)
    torch.manual_seed(5)
    assert torch.equal(layer(graph.x, graph), first)


def test_dropped_edges_have_the_gradient_of_what_was_computed():
    graph = make_graph("unsorted", dtype=torch.float64)
    layer = exact(0.3, dropout=0.4).train()

    def call(x, weight):
        torch.manual_seed(3)
        return layer(x, graph.adj, weight)

    inputs = (graph.x.requires_grad_(), graph.edge_weight.clone().requires_grad_())
    assert torch.autograd.gradcheck(call, inputs)


def test_weights_that_break_the_certificate_are_reported_as_they_are():
    graph = make_graph("undirected_random", dtype=torch.float64)
    ones = torch.ones(graph.num_edges).double()
    degree = float(graph.adj.degree().max())
    layer = PPNP(0.2, normalize=False)
    layer(graph.x, graph.adj, 0.01 * ones)
    assert report_of(layer).certified
    assert report_of(layer).lipschitz_bound == pytest.approx(0.8 * 0.01 * degree)
    layer.solver = Picard()
    with pytest.raises(FixedPointDivergence, match="rate"):
        layer(graph.x, graph.adj, ones)
    layer.on_fail = "ignore"
    layer(graph.x, graph.adj, ones)
    assert not report_of(layer).certified and not report_of(layer).all_converged
    assert report_of(layer).lipschitz_bound == pytest.approx(0.8 * degree)


def test_weights_of_both_signs_are_certified_only_where_it_is_true():
    graph = make_graph("undirected_random", dtype=torch.float64)
    edge_index = graph.edge_index
    first, last = edge_index.min(0).values, edge_index.max(0).values
    signed = torch.where((first + last) % 3 == 0, -0.3, 1.0).double()  # the same both ways
    layer = PPNP(0.2, on_fail="ignore")
    layer(graph.x, graph.adj, signed)
    assert not report_of(layer).certified and report_of(layer).lipschitz_bound > 1
    layer = PPNP(0.8)
    layer(graph.x, graph.adj, signed)
    assert report_of(layer).certified and report_of(layer).all_converged


def test_nan_ends_in_an_error_that_names_the_graph():
    graphs = [make_graph("unsorted"), make_graph("unsorted")]
    batch = Batch.from_graphs(graphs)
    x = batch.x.clone()
    x[7, 1] = torch.nan
    with pytest.raises(FixedPointDivergence) as caught:
        PPNP(0.2)(x, batch)
    assert caught.value.graphs == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 0.0}, r"alpha must be in \(0, 1\], got 0.0"),
        ({"alpha": 1.1}, r"alpha must be in \(0, 1\], got 1.1"),
        ({"alpha": 0.1, "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, message: str):
    with pytest.raises(ValueError, match=message):
        PPNP(**arguments)


def test_inputs_that_do_not_fit_are_named():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_attr"):
        PPNP(0.1)(graph.x, graph, edge_attr=graph.edge_attr)
    with pytest.raises(ValueError, match=r"num_nodes=5, got x of shape \(4, 4\)"):
        PPNP(0.1)(graph.x[:4], graph)
    with pytest.raises(ValueError, match=r"got batch of shape \(4,\)"):
        PPNP(0.1)(graph.x, graph, batch=torch.zeros(4).long())


def test_it_has_no_parameters():
    layer = PPNP(0.1)
    layer.reset_parameters()
    assert not layer.state_dict()
    assert layer.last_report is None
    assert repr(layer) == "PPNP(alpha=0.1)"
