# What a report or a tensor may lack is there in these tests; wrong kinds are given on purpose.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

"""What GNNConv says of itself: certificates, bounds, and what happens where there are none."""

import math
import warnings

import pytest
import torch
from torch import nn

from gnnlib import Batch, Graph
from gnnlib.conv import PPNP, GNNConv, IGNNConv
from gnnlib.conv._aggregation import bounded
from gnnlib.fixed_point import (
    Contraction,
    FixedPointDivergence,
    FixedPointWarning,
    Picard,
    Status,
    Stop,
    Unrolled,
)
from tests.graphs import GRAPHS, make_graph, random_edges

AGGREGATIONS = ["sym", "mean", "sum", "attention"]
WEIGHTS = {
    "positive": lambda w: w,
    "negative": lambda w: -w,
    "mixed": lambda w: torch.where(torch.arange(w.numel()) % 3 == 0, -w, w),
    "zero": lambda w: torch.where(torch.arange(w.numel()) % 3 == 0, 0, w),
    "huge": lambda w: 3e38 * w / 1.2,
    "spread": lambda w: w ** torch.linspace(-30, 30, w.numel()),
}


def _norm_of(aggr: str, operator: torch.Tensor) -> float:
    """In the norm in which the aggregation is bounded."""
    if aggr in ("mean", "attention"):
        return float(operator.abs().sum(1).max())
    return float(torch.linalg.matrix_norm(operator, 2))


@pytest.mark.parametrize("kind", [None, *WEIGHTS])
@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_no_graph_and_no_weights_break_the_norm_of_an_aggregation(aggr, kind):
    for name in GRAPHS:
        graph = make_graph(name)
        weight = None if kind is None else WEIGHTS[kind](graph.edge_weight)
        scores = torch.randn(graph.num_edges) if aggr == "attention" else None
        operator = bounded(aggr, graph.adj, weight, scores, None, torch.float32)
        dense = operator(torch.eye(graph.num_nodes)).double()
        assert dense.isfinite().all(), name
        if graph.num_nodes == 0:
            continue
        assert _norm_of(aggr, dense) <= 1 + 1e-6, name


@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_an_out_star_has_norm_at_most_one(aggr):
    """With in-degrees on both sides, as GCN has it, this one has norm 7.2 (with loops)."""
    leaves = torch.arange(1, 101)
    star = Graph(torch.stack([torch.zeros_like(leaves), leaves])).add_self_loops()
    scores = torch.randn(star.num_edges) if aggr == "attention" else None
    dense = bounded(aggr, star.adj, None, scores, None, torch.float32)(torch.eye(101))
    assert _norm_of(aggr, dense) <= 1 + 1e-6


def _stretch(conv: GNNConv, graph: Graph, norm: str) -> float:
    """The most that one step stretches the distance of two of many states."""
    once = GNNConv(4, conv.state_channels, aggr=conv.aggr, backward=Unrolled(1)).double()
    once.transition, once.lin_hidden = conv.transition, conv.lin_hidden
    base, move = torch.randn(2, graph.num_nodes, conv.state_channels).double()
    largest = 0.0
    with torch.no_grad():
        start = once(graph.x, graph, state=base)
        for _ in range(10):  # towards the direction that is stretched most
            moved = once(graph.x, graph, state=base + move) - start
            before, after = (
                t.norm(dim=1).max() if norm == "node" else t.norm() for t in (move, moved)
            )
            largest = max(largest, float(after / before))
            move = moved / moved.norm()
    return largest


@pytest.mark.parametrize("transition", ["linear", "mlp"])
@pytest.mark.parametrize("aggr", AGGREGATIONS)
@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_no_step_stretches_more_than_the_reported_bound(aggr, transition, scale):
    graph = make_graph("directed_random", dtype=torch.float64)
    graph = graph.replace(edge_weight=WEIGHTS["mixed"](graph.edge_weight))
    for contraction in (Contraction(0.8), None):
        conv = GNNConv(
            4, 5, aggr=aggr, transition=transition, contraction=contraction,
            stop=Stop(max_iter=3), on_fail="ignore",
        ).double()  # fmt: skip
        with torch.no_grad():
            for weight in conv.transition_parameters():
                weight.copy_(scale * torch.randn(5, 5))
        _, report = conv(graph.x, graph, return_report=True)
        assert report.norm == ("node" if aggr in ("mean", "attention") else "frobenius")
        assert _stretch(conv, graph, report.norm) <= report.lipschitz_bound * (1 + 1e-9)
        assert report.certified == (report.lipschitz_bound < 1)


# what is certified, and what is not --------------------------------------------------------------


def _report(graph: Graph, weight: torch.Tensor | None = None, **options):
    conv = GNNConv(4, 3, on_fail="ignore", **options).double()
    if weight is not None:
        with torch.no_grad():
            conv.transition_parameters()[0].copy_(weight)
    return conv(graph.x, graph, return_report=True)[1]


# Its rows are inside the ball of the inf-projection, its 2-norm is 0.8 √3.
COLUMN = torch.zeros(3, 3)
COLUMN[:, 0] = 0.8


def test_an_inf_projection_is_certified_with_or_without_a_bound():
    graph = make_graph("undirected_random", dtype=torch.float64)
    contraction = Contraction(0.8, "inf_projection")
    short = _report(graph, 0.5 * torch.eye(3), contraction=contraction)
    assert short.certified and short.lipschitz_bound == pytest.approx(0.5)
    long = _report(graph, COLUMN, contraction=contraction)
    assert long.certified and long.all_converged
    assert long.lipschitz_bound is None and long.error_bound is None


def test_a_penalty_is_reported_as_no_certificate():
    report = _report(
        make_graph("ring", dtype=torch.float64), contraction=Contraction(0.8, "penalty")
    )
    assert not report.certified and report.lipschitz_bound is None and report.all_converged


def test_a_module_is_reported_as_no_certificate():
    class Half(nn.Module):
        def forward(self, aggregated, forcing):
            return (0.5 * aggregated).tanh() + forcing

    report = _report(make_graph("ring", dtype=torch.float64), transition=Half())
    assert not report.certified and report.lipschitz_bound is None and report.all_converged


def test_without_a_contraction_the_weight_is_measured():
    graph = make_graph("ring", dtype=torch.float64)
    inside = _report(graph, 0.7 * torch.eye(3), contraction=None)
    assert inside.certified and inside.lipschitz_bound == pytest.approx(0.7)
    outside = _report(graph, 1.3 * torch.eye(3), contraction=None)
    assert not outside.certified and outside.lipschitz_bound == pytest.approx(1.3)


def test_a_graph_without_cycles_is_certified_whatever_the_weight():
    chain = make_graph("chain", dtype=torch.float64)
    for contraction in (None, Contraction(0.9, "penalty")):
        report = _report(chain, 3 * torch.eye(3), contraction=contraction, aggr="mean")
        assert report.certified and report.all_converged
    looped = _report(chain, 3 * torch.eye(3), contraction=None, aggr="sym")
    assert not looped.certified


@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_the_error_bound_bounds_the_error(aggr):
    graph = make_graph("power_law", dtype=torch.float64)
    conv = GNNConv(4, 3, aggr=aggr, stop=Stop(tol=1e-3, kind="error")).double()
    fine = GNNConv(4, 3, aggr=aggr, stop=Stop(tol=1e-14, max_iter=2000)).double()
    fine.load_state_dict(conv.state_dict())
    with torch.no_grad():
        out, report = conv(graph.x, graph, return_report=True)
        exact = fine(graph.x, graph)
    rows = (out - exact).norm(dim=1)
    error, size = (
        (t.max() if report.norm == "node" else t.norm()) for t in (rows, exact.norm(dim=1))
    )
    assert 0 < error <= float(report.error_bound)
    assert error <= 1.01e-3 * size


def test_a_certified_transition_converges_in_every_epoch():
    """At a learning rate that drives W far out of the ball."""
    graph = Graph(random_edges(60, 240), x=torch.randn(60, 4))
    target = torch.randn(60, 2)
    conv = GNNConv(4, 8, 2, act="tanh")
    optimizer = torch.optim.Adam(conv.parameters(), lr=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(8):
            optimizer.zero_grad()
            out, report = conv(graph.x, graph, return_report=True)
            (out - target).square().mean().backward()
            optimizer.step()
            assert report.certified and report.all_converged
            assert report.backward is not None and report.backward.all_converged
    assert torch.linalg.matrix_norm(conv.transition_parameters()[0], 2) > 1


# failure -----------------------------------------------------------------------------------------


def _expanding(on_fail: str, **options) -> GNNConv:
    conv = GNNConv(4, 3, contraction=None, solver=Picard(), on_fail=on_fail, **options)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        conv.transition_parameters()[0].copy_(2 * torch.eye(3))
    return conv


def test_divergence_is_an_error_with_the_rate_and_the_remedies():
    graph = make_graph("ring")
    with pytest.raises(
        FixedPointDivergence, match=r"measured rate \S+ a step.*Contraction\(kappa"
    ) as caught:
        _expanding("raise")(graph.x, graph)
    assert caught.value.graphs == [0]
    assert float(caught.value.report.rate) == pytest.approx(2, rel=0.1)  # pyright: ignore[reportAttributeAccessIssue]
    assert caught.value.report.status == [Status.DIVERGED]  # pyright: ignore[reportAttributeAccessIssue]


def test_divergence_names_the_graphs_of_a_batch():
    calm = Graph(torch.tensor([[0], [0]]), x=torch.zeros(1, 4))
    wild = Graph(torch.tensor([[0, 1], [1, 0]]), x=torch.ones(2, 4))
    batch = Batch.from_graphs([calm, wild, calm])
    with pytest.raises(FixedPointDivergence, match="in graph 1") as caught:
        _expanding("raise")(batch.x, batch)
    assert caught.value.graphs == [1]


def test_divergence_can_be_a_warning_or_a_line_of_the_report():
    graph = make_graph("ring")
    with pytest.warns(FixedPointWarning, match="diverges"):
        _expanding("warn")(graph.x, graph)
    conv = _expanding("ignore")
    conv(graph.x, graph)
    report = conv.last_report
    assert report is not None and report.status == [Status.DIVERGED] and not report.certified


def test_a_state_that_has_not_converged_is_never_silent():
    graph = make_graph("ring")
    with pytest.warns(FixedPointWarning, match="no fixed point within max_iter=3"):
        GNNConv(4, 3, stop=Stop(max_iter=3))(graph.x, graph)


def test_nan_in_x_is_an_error_that_names_its_graph():
    graphs = [make_graph("ring") for _ in range(3)]
    batch = Batch.from_graphs(graphs)
    x = batch.x.clone()
    x[9 + 4, 2] = torch.nan
    with pytest.raises(FixedPointDivergence, match="not finite in graph 1.*NaN"):
        GNNConv(4, 3)(x, batch)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["edge_weight", "transition"])
def test_other_numbers_that_are_not_finite_are_an_error_too(where, value):
    graph = make_graph("ring")
    for contraction in (Contraction(0.9), Contraction(0.9, "inf_projection"), None):
        conv = GNNConv(4, 3, contraction=contraction)
        weight = graph.edge_weight.clone()
        with torch.no_grad():
            if where == "edge_weight":
                weight[0] = value
            else:
                conv.transition_parameters()[0][0, 1] = value
        with pytest.raises(FixedPointDivergence, match="not finite"):
            conv(graph.x, graph, weight)
        conv.on_fail = "ignore"
        conv(graph.x, graph, weight)
        assert not conv.last_report.certified and conv.last_report.lipschitz_bound is None


@pytest.mark.parametrize("conv", [GNNConv(4, 3), IGNNConv(4, 3), PPNP(0.1)], ids=repr)
def test_the_report_of_an_earlier_call_does_not_survive_an_error(conv):
    graph = make_graph("ring")
    conv(graph.x, graph)
    assert conv.last_report is not None
    with pytest.raises(FixedPointDivergence):
        conv(graph.x * torch.nan, graph)
    assert conv.last_report is None


def test_huge_weights_are_weighed_like_any_other():
    """Their sum is infinite in float32; what counts is their ratio."""
    graph = make_graph("directed_random")
    conv = GNNConv(4, 3, aggr="mean")
    huge = conv(graph.x, graph.adj, 3e38 * graph.edge_weight / graph.edge_weight.max())
    torch.testing.assert_close(huge, conv(graph.x, graph.adj, graph.edge_weight))


def test_a_graph_without_cycles_is_exact_beside_one_with_a_cycle():
    torch.manual_seed(0)
    chain = Graph(torch.stack([torch.arange(299), torch.arange(1, 300)]), x=torch.randn(300, 2))
    pair = Graph([[0, 1], [1, 0]], x=torch.randn(2, 2))
    conv = GNNConv(2, 3, aggr="mean", contraction=Contraction(0.99)).double()
    for graph in (chain, pair):
        graph.x.requires_grad_()
    batch = Batch.from_graphs([chain, pair])
    together = conv(batch.x.double(), batch)
    alone = torch.cat([conv(graph.x.double(), graph) for graph in (chain, pair)])
    assert torch.allclose(together[:300], alone[:300], rtol=1e-13, atol=0)
    assert torch.allclose(together[300:], alone[300:], rtol=1e-4)
    cotangent = torch.randn_like(alone)
    found = torch.autograd.grad((together * cotangent).sum(), [chain.x, pair.x])
    expected = torch.autograd.grad((alone * cotangent).sum(), [chain.x, pair.x])
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)
