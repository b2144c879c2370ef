"""The options of GNNConv, the shape of its interface, and its doors."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gnnlib import Graph
from gnnlib.conv import PPNP, GNNConv, IGNNConv
from gnnlib.fixed_point import Contraction, Picard, Stop, Unrolled
from tests.graphs import make_graph


class Damped(nn.Module):
    """A transition of one's own."""

    def __init__(self, channels: int, *inside: nn.Module):
        super().__init__()
        self.lin = nn.Linear(channels, channels)
        self.inside = nn.Sequential(*inside)

    def forward(self, aggregated, forcing):
        return 0.3 * self.inside(self.lin(aggregated)).tanh() + forcing


# interface ---------------------------------------------------------------------------------------


def test_the_report_is_kept_and_can_be_returned():
    graph = make_graph("ring")
    conv = GNNConv(4, 3, 2)
    assert conv.last_report is None
    out, report = conv(graph.x, graph, return_report=True)
    assert report is conv.last_report and report.backward is None
    assert out.shape == (9, 2)
    out.sum().backward()
    assert report.backward is not None and report.backward.all_converged


def test_state_gives_the_fixed_point_that_is_read():
    graph = make_graph("ring")
    conv = GNNConv(4, 3, 2)
    state = conv.state(graph.x, graph)
    assert state.shape == (9, 3)
    assert conv.readout is not None and conv.readout_x is not None
    expected = conv.readout(state) + conv.readout_x(graph.x)
    torch.testing.assert_close(conv(graph.x, graph), expected)


def test_a_readout_may_be_a_module_of_state_and_features():
    class Read(nn.Module):
        def forward(self, state, x):
            return torch.cat([state, x], 1)

    graph = make_graph("ring")
    conv = GNNConv(4, 3, readout=Read())
    state = GNNConv.state(conv, graph.x, graph)
    assert torch.equal(conv(graph.x, graph), torch.cat([state, graph.x], 1))


def test_a_warm_start_saves_steps_and_changes_nothing():
    graph = make_graph("directed_random", dtype=torch.float64)
    conv = GNNConv(4, 3, 2, transition="mlp", solver=Picard()).double()
    cold, report = conv(graph.x, graph, return_report=True)
    state = conv.state(graph.x, graph).detach().requires_grad_()
    warm, again = conv(graph.x, graph, state=state, return_report=True)
    torch.testing.assert_close(warm, cold, rtol=1e-5, atol=1e-5)
    assert int(again.iterations) <= 2 < int(report.iterations)
    warm.sum().backward()
    assert state.grad is None


def test_the_transition_has_a_parameter_group_of_its_own():
    conv = GNNConv(4, 3, 2, edge_dim=2, transition="mlp")
    own = {id(p) for p in conv.transition_parameters()}
    names = {name for name, p in conv.named_parameters() if id(p) in own}
    assert names == {"transition.weight_in", "transition.weight_out"}


@pytest.mark.parametrize("transition", ["linear", "mlp"])
def test_the_transition_starts_as_a_multiple_of_the_identity(transition):
    conv = GNNConv(4, 3, transition=transition, contraction=Contraction(0.81))
    for _ in range(2):
        product = torch.eye(3)
        for weight in conv.transition_parameters():
            product = product @ weight
        torch.testing.assert_close(product, 0.81 * torch.eye(3))
        with torch.no_grad():
            conv.transition_parameters()[0].normal_()
        conv.reset_parameters()
    free = GNNConv(4, 3, contraction=None)
    assert torch.equal(free.transition_parameters()[0], torch.eye(3))


def test_it_says_what_it_is():
    assert repr(GNNConv(4, 3, 2)).startswith("GNNConv(\n  4, 3, 2, aggr='sym'")


# dropout -----------------------------------------------------------------------------------------


def test_dropout_keeps_one_mask_over_the_iterations():
    graph = make_graph("directed_random")
    conv = GNNConv(4, 3, dropout=0.5)
    first, report = conv(graph.x, graph, return_report=True)
    assert report.all_converged and report.certified and int(report.iterations) > 3
    assert not torch.equal(conv(graph.x, graph), first)
    torch.manual_seed(5)
    same = conv(graph.x, graph)
    torch.manual_seed(5)
    assert torch.equal(conv(graph.x, graph), same)


def test_dropout_scales_in_evaluation_what_it_drops_in_training():
    """From a start of ones, one step without features is (C 1) Ŵ, times what the mask leaves."""
    graph = make_graph("complete")
    conv = GNNConv(4, 64, aggr="mean", dropout=0.25, backward=Unrolled(1))
    nn.init.zeros_(conv.lin.weight)
    start = torch.ones(6, 64)
    evaluated = conv.eval()(graph.x, graph.adj, state=start)
    torch.testing.assert_close(evaluated, torch.full((6, 64), 0.75 * 0.9))
    trained = conv.train()(graph.x, graph.adj, state=start)
    kept = trained != 0
    torch.testing.assert_close(trained[kept], torch.full_like(trained[kept], 0.9))
    assert 0.6 < kept.float().mean() < 0.9


def test_dropout_has_the_gradient_of_what_was_computed():
    graph = make_graph("unsorted", dtype=torch.float64)
    conv = GNNConv(4, 2, dropout=0.4, contraction=Contraction(0.5), stop=Stop(1e-13)).double()

    def call(x):
        torch.manual_seed(3)
        return conv(x, graph)

    assert torch.autograd.gradcheck(call, graph.x.requires_grad_())


# transitions of one's own ------------------------------------------------------------------------


def test_a_module_may_be_the_transition():
    graph = make_graph("directed_random", dtype=torch.float64)
    conv = GNNConv(4, 3, 2, transition=Damped(3)).double()
    out, report = conv(graph.x, graph, return_report=True)
    assert report.all_converged and not report.certified
    out.sum().backward()
    for parameter in conv.transition_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
    assert len(conv.transition_parameters()) == 2


def test_a_module_in_half_precision_gets_its_own_dtype():
    graph = make_graph("directed_random", dtype=torch.bfloat16)
    conv = GNNConv(4, 3, transition=Damped(3), backward=Unrolled(5)).bfloat16()
    assert conv(graph.x, graph).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (nn.Dropout(0.5), "transition must not draw random numbers: inside.0 is Dropout"),
        (nn.AlphaDropout(0.1), "transition must not draw random numbers"),
        (nn.BatchNorm1d(3), "transition must treat nodes independently: inside.0 is BatchNorm1d"),
    ],
)
def test_modules_without_a_fixed_point_are_refused(inside, message):
    with pytest.raises(ValueError, match=message):
        GNNConv(4, 3, transition=Damped(3, inside))
    GNNConv(4, 3, transition=Damped(3, nn.Dropout(0.0)))


def test_dropout_by_function_is_found_in_the_first_training_step():
    class Hidden(nn.Module):
        def forward(self, aggregated, forcing):
            return 0.5 * F.dropout(aggregated, 0.5, self.training) + forcing

    graph = make_graph("directed_random")
    conv = GNNConv(4, 3, transition=Hidden())
    with pytest.raises(ValueError, match="transition must return the same for the same input"):
        conv(graph.x, graph)
    assert conv.eval()(graph.x, graph).isfinite().all()


def test_a_module_compiles_in_training():
    graph = make_graph("directed_random")
    conv = GNNConv(4, 3, transition=Damped(3), backward=Unrolled(3))
    compiled = torch.compile(conv, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(graph.x, graph), conv(graph.x, graph))


def test_a_module_must_keep_the_shape_of_the_states():
    class Wrong(nn.Module):
        def forward(self, aggregated, forcing):
            return aggregated[:, :2]

    graph = make_graph("ring")
    message = r"\[num_nodes, state_channels\] = \(9, 3\), got \(9, 2\)"
    with pytest.raises(ValueError, match=message):
        GNNConv(4, 3, transition=Wrong())(graph.x, graph)


# the penalty of 2009 -----------------------------------------------------------------------------


@pytest.mark.parametrize("aggr", ["sym", "mean", "sum"])
def test_the_penalty_is_that_of_the_jacobian(aggr):
    graph = make_graph("unsorted", dtype=torch.float64)
    conv = GNNConv(
        4, 3, aggr=aggr, contraction=Contraction(0.2, "penalty"), backward=Unrolled(1)
    ).double()
    with torch.no_grad():
        conv.transition_parameters()[0].normal_()
    jacobian = torch.stack(
        [
            conv(torch.zeros(5, 4).double(), graph, state=unit.reshape(5, 3)).flatten()
            for unit in torch.eye(15).double()
        ],
        1,
    )
    expected = (jacobian.abs().sum(0) - 0.2).clamp(min=0).square().sum()
    penalty = conv.penalty(graph)
    assert penalty is not None
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    assert conv.transition_parameters()[0].grad.abs().sum() > 0  # pyright: ignore[reportOptionalMemberAccess]
    same = conv.penalty(graph.adj, graph.edge_weight)
    assert same is not None and torch.equal(same, penalty)


def test_training_on_the_penalty_ends_near_the_ball():
    graph = make_graph("undirected_random")
    conv = GNNConv(4, 3, transition="mlp", contraction=Contraction(0.5, "penalty"))
    optimizer = torch.optim.Adam(conv.parameters(), lr=0.05)
    with torch.no_grad():
        for weight in conv.transition_parameters():
            weight.copy_(2 * torch.randn(3, 3))
    values = []
    for _ in range(200):
        optimizer.zero_grad()
        penalty = conv.penalty(graph)
        assert penalty is not None
        penalty.backward()
        optimizer.step()
        values.append(penalty.item())
    assert values[-1] < 1e-3 * values[0]
    assert conv(graph.x, graph, return_report=True)[1].all_converged


def test_there_is_no_penalty_where_there_is_a_bound():
    graph = make_graph("ring")
    assert GNNConv(4, 3).penalty(graph) is None
    assert GNNConv(4, 3, contraction=None).penalty(graph) is None


# doors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aggr": "max"}, "aggr must be one of .*; got 'max'"),
        ({"transition": "liner"}, "transition must be one of 'linear', 'mlp'; got 'liner'"),
        ({"act": "gelu"}, "act must be one of .*; got 'gelu'"),
        ({"readout": "mlp"}, "readout must be one of 'linear'; got 'mlp'"),
        ({"out_channels": 2, "readout": None}, "readout=None returns the states: out_channels=2"),
        ({"on_fail": "print"}, "on_fail must be one of .*; got 'print'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"state_channels": 0}, "state_channels must be an int of at least 1, got 0"),
        ({"transition": Damped(3), "act": "relu"}, "act='relu' belongs to 'linear' and 'mlp'"),
        (
            {"aggr": "attention", "contraction": Contraction(0.9, "penalty")},
            "method='penalty' needs .* aggr='attention'",
        ),
    ],
)
def test_unknown_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GNNConv(**{"in_channels": 4, "state_channels": 3, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contraction": 0.9}, r"contraction must be Contraction\(…\) or None, got 0.9"),
        ({"solver": "anderson"}, r"solver must be Auto\(…\) or Picard\(…\) .* got 'anderson'"),
        ({"stop": 1e-6}, r"stop must be Stop\(…\) or None, got 1e-06"),
        ({"backward": "implicit"}, r"backward must be Implicit\(…\) .* got 'implicit'"),
    ],
)
def test_options_of_the_wrong_kind_are_named(options, message):
    with pytest.raises(TypeError, match=message):
        GNNConv(4, 3, **options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"state": torch.zeros(9, 2)},
            ValueError,
            r"state must have shape \[num_nodes, state_channels\] = \(9, 3\), got \(9, 2\)",
        ),
        ({"state": torch.zeros(9, 3).long()}, TypeError, "state must be a floating tensor"),
        ({"batch": torch.zeros(8).long()}, ValueError, r"num_nodes=9, got batch of shape \(8,\)"),
        (
            {"batch": torch.zeros(9)},
            TypeError,
            "batch must be an integer tensor, got torch.float32",
        ),
        ({"batch": [0] * 9}, TypeError, "batch must be an integer tensor, got list"),
        (
            {"batch": torch.tensor([0, 0, 1, 1, 0, 0, 0, 0, 0])},
            ValueError,
            r"never decrease, .*: batch\[4\] is 0",
        ),
        (
            {"batch": torch.tensor([-1, 0, 1, 1, 1, 1, 1, 1, 1])},
            ValueError,
            r"start at 0 or more .*: batch\[0\] is -1",
        ),
        (
            {"batch": torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1])},
            ValueError,
            "edges must not join two graphs of the batch: 8 → 0 joins graphs 1 and 0",
        ),
        ({"edge_attr": torch.zeros(9, 3)}, TypeError, r"made for it: GNNConv\(…, edge_dim=…\)"),
        ({"edge_weight": torch.ones(8)}, ValueError, "num_edges=9, got edge_weight of shape"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    graph = make_graph("ring")
    with pytest.raises(error, match=message):
        GNNConv(4, 3)(graph.x, graph, **arguments)


def test_bad_features_are_named():
    graph = make_graph("ring")
    with pytest.raises(ValueError, match="graph has num_nodes=9, got x of shape"):
        GNNConv(4, 3)(graph.x[:8], graph)
    with pytest.raises(ValueError, match="x must have in_channels=4 features"):
        GNNConv(4, 3)(graph.x[:, :3], graph)
    with pytest.raises(ValueError, match="edge_attr must be given: the layer was made with"):
        GNNConv(4, 3, edge_dim=3)(graph.x, Graph(graph.edge_index, x=graph.x))
    with pytest.raises(ValueError, match=r"= \(9, 5\), got \(9, 3\)"):
        GNNConv(4, 3, edge_dim=5)(graph.x, graph)
    with pytest.raises(TypeError, match="graph must be a Graph or an Adjacency, got Tensor"):
        GNNConv(4, 3, contraction=Contraction(0.9, "penalty")).penalty(graph.edge_index)


@pytest.mark.parametrize(
    "layer", [partial(GNNConv, 4, 3), partial(IGNNConv, 4, 3), partial(PPNP, 0.1)]
)
def test_no_layer_takes_a_solve_of_a_wrong_kind(layer):
    """Nor does 0 stand for the default."""
    for name, value in {"solver": 0, "stop": 1e-3, "backward": "gmres"}.items():
        with pytest.raises(TypeError, match=rf"{name} must be .* or None, got {value!r}"):
            layer(**{name: value})
    with pytest.raises(ValueError, match="on_fail must be one of"):
        layer(on_fail="quiet")
