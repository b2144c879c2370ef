import functools

import pytest
import torch
from torch import nn

from gnnlib import Batch, Graph
from gnnlib.conv import GNNConv
from gnnlib.fixed_point import Anderson, Contraction, Implicit, Phantom, Picard, Stop, Unrolled
from tests import properties
from tests.conv.eager import EAGER_CHECKS
from tests.graphs import make_graph, random_edges
from tests.properties import CHECKS, Layer, name_of

WEIGHT, BOTH = ("edge_weight",), ("edge_weight", "edge_attr")
FINE = Stop(tol=1e-13, max_iter=2000)
PRECISE = {"stop": FINE, "backward": Implicit(max_iter=2000)}
ITERATED = {
    "linear": Layer(lambda: GNNConv(4, 3, 2, backward=Unrolled(4)), WEIGHT),
    "attention": Layer(
        lambda: GNNConv(
            4, 3, 2, 3, "attention", "mlp", neighbor_features=True, backward=Unrolled(3)
        ),
        BOTH,
    ),
}
IMPLICIT = {
    "linear": Layer(lambda: GNNConv(4, 3, 2, **PRECISE), WEIGHT),
    "mean": Layer(lambda: GNNConv(4, 3, edge_dim=3, aggr="mean", act="tanh", **PRECISE), BOTH),
    "sum": Layer(lambda: GNNConv(4, 3, 2, aggr="sum", transition="mlp", **PRECISE), WEIGHT),
    "attention": Layer(lambda: GNNConv(4, 3, 2, 3, "attention", **PRECISE), BOTH),
}
AGGREGATIONS = ["sym", "mean", "sum", "attention"]


# Two layers, one of them with features of edges, are enough when time is short; of these none.
LONG = [
    properties.gradients_are_right,
    properties.a_hub_under_autocast_stays_close_to_float32,
    properties.it_compiles_to_one_graph_for_all_sizes,
]
SHORT = ["linear", "attention"]


def _each(layers, checks):
    return [
        pytest.param(
            check, layer,
            id=f"{name_of(check)}-{name}",
            marks=pytest.mark.slow if check in LONG or name not in SHORT else (),
        )
        for check in checks for name, layer in layers.items()
    ]  # fmt: skip


def test_the_iterative_mode_compiles_to_one_graph():
    graph = make_graph("directed_random")
    conv = GNNConv(4, 3, 2, backward=Unrolled(4))
    compiled = torch.compile(conv, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(graph.x, graph), conv(graph.x, graph))


@pytest.mark.parametrize(("check", "layer"), _each(ITERATED, CHECKS))
def test_the_iterative_mode_passes_every_shared_check(check, layer):
    check(layer)


# Its gradients have a test of their own below.
QUICK = [check for check in EAGER_CHECKS if check is not properties.gradients_are_right]


@pytest.mark.parametrize(("check", "layer"), _each(IMPLICIT, QUICK))
def test_the_fixed_point_passes_every_shared_check(check, layer):
    check(layer)


# what is computed --------------------------------------------------------------------------------


def _operator(conv: GNNConv, graph: Graph) -> torch.Tensor:
    """C, by what one step does to unit states where the transition leaves them as they are."""
    plain = GNNConv(
        4, graph.num_nodes, edge_dim=conv.edge_dim, aggr=conv.aggr, contraction=None,
        add_self_loops=conv.add_self_loops, backward=Unrolled(1),
    ).double()  # fmt: skip
    for name, value in conv.named_parameters():
        if name.startswith(("att", "lin_att")) and conv.state_channels == graph.num_nodes:
            plain.get_parameter(name).data.copy_(value)
    nn.init.zeros_(plain.lin.weight)
    if plain.lin_edge is not None:
        nn.init.zeros_(plain.lin_edge.weight)
    with torch.no_grad():
        return plain(graph.x, graph, state=torch.eye(graph.num_nodes).double())


def _exact_identity(conv: GNNConv) -> GNNConv:
    """W = 0.9 I as float64 has it, not as float32 rounds it."""
    with torch.no_grad():
        conv.transition_parameters()[0].copy_(0.9 * torch.eye(conv.state_channels).double())
    return conv


@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_the_state_solves_the_linear_system(aggr):
    """On a directed, weighted, edge-featured graph; the states are as many as the nodes, so that
    `_operator` can borrow the attention's parameters."""
    graph = make_graph("unsorted", dtype=torch.float64)
    conv = GNNConv(4, 5, edge_dim=3, aggr=aggr, **PRECISE).double()
    with torch.no_grad():
        conv.transition_parameters()[0].add_(0.3 * torch.randn(5, 5))
        operator = _operator(conv, graph)
        weight = Contraction(0.9)(conv.transition_parameters()[0])
        state = conv(graph.x, graph)
        # With W = 0 nothing but the forcing is left.
        conv.transition_parameters()[0].zero_()
        forcing = conv(graph.x, graph)
    system = torch.eye(25).double() - torch.kron(operator, weight)
    expected = torch.linalg.solve(system, forcing.flatten()).reshape(5, 5)
    torch.testing.assert_close(state, expected, rtol=1e-9, atol=1e-9)


def test_it_starts_as_personalised_pagerank_of_the_encoded_features():
    graph = make_graph("undirected_random", dtype=torch.float64)
    conv = _exact_identity(GNNConv(4, 3, **PRECISE).double())
    operator = _operator(conv, graph.replace(edge_weight=torch.ones(graph.num_edges).double()))
    assert torch.equal(operator, operator.T)
    expected = 0.1 * torch.linalg.solve(torch.eye(30).double() - 0.9 * operator, conv.lin(graph.x))
    torch.testing.assert_close(conv(graph.x, graph.adj), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("act", ["relu", "tanh", None])
@pytest.mark.parametrize("transition", ["linear", "mlp"])
def test_another_step_changes_nothing(transition, act):
    graph = make_graph("power_law", dtype=torch.float64)
    conv = GNNConv(4, 6, transition=transition, act=act, **PRECISE).double()
    state = conv.state(graph.x, graph)
    once = GNNConv(4, 6, transition=transition, act=act, backward=Unrolled(1)).double()
    once.load_state_dict(conv.state_dict())
    torch.testing.assert_close(once(graph.x, graph, state=state), state, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_isolated_nodes_have_their_forcing_after_one_step(aggr):
    x = torch.randn(7, 4)
    graph = Graph(torch.empty(2, 0, dtype=torch.long), x=x)
    conv = GNNConv(4, 3, aggr=aggr, add_self_loops=False)
    out, report = conv(x, graph, return_report=True)
    torch.testing.assert_close(out, 0.1 * conv.lin(x))
    assert report.iterations.tolist() == [1] and report.all_converged


def test_an_isolated_node_with_its_loop_keeps_its_own_features():
    x = torch.randn(3, 4).double()
    conv = _exact_identity(GNNConv(4, 3, **PRECISE).double())
    out = conv(x, Graph(torch.empty(2, 0, dtype=torch.long), x=x))
    torch.testing.assert_close(out, conv.lin(x), rtol=1e-9, atol=1e-9)


def test_an_empty_graph_gives_an_empty_result():
    graph = make_graph("empty")
    out, report = GNNConv(4, 3, 2)(graph.x, graph, return_report=True)
    assert out.shape == (0, 2) and report.all_converged


def test_features_of_neighbours_and_of_edges_are_aggregated_into_the_forcing():
    graph = make_graph("directed_random", dtype=torch.float64)
    conv = GNNConv(
        4, 3, edge_dim=3, aggr="mean", neighbor_features=True, backward=Unrolled(1)
    ).double()
    lin_edge, lin_neighbor = conv.lin_edge, conv.lin_neighbor
    assert lin_edge is not None and lin_neighbor is not None
    weight = graph.edge_weight / graph.adj.degree(graph.edge_weight)[graph.edge_index[1]]
    rows = lin_neighbor(graph.x)[graph.edge_index[0]] + lin_edge(graph.edge_attr)
    sums = torch.zeros(30, 3).double().index_add(0, graph.edge_index[1], weight[:, None] * rows)
    torch.testing.assert_close(conv(graph.x, graph), 0.1 * (conv.lin(graph.x) + sums))


def test_small_numbers_travel_as_far_as_large_ones():
    """An absolute tolerance would end the iteration at once."""
    graph = make_graph("ring", dtype=torch.float64)
    conv = GNNConv(4, 3).double()
    small = conv(1e-12 * graph.x, graph)
    torch.testing.assert_close(1e12 * small, conv(graph.x, graph), rtol=1e-9, atol=0)


def test_a_chain_without_a_bound_is_exact_whatever_max_iter_says():
    """Information from the first of 100 nodes arrives undiminished at the last."""
    edges = torch.stack([torch.arange(99), torch.arange(1, 100)])
    x = torch.zeros(100, 2)
    x[0] = torch.tensor([1.0, -2.0])
    x.requires_grad_()
    conv = GNNConv(2, 2, aggr="mean", contraction=None, stop=Stop(max_iter=5))
    with torch.no_grad():
        conv.lin.weight.copy_(torch.eye(2))
    out, report = conv(x, Graph(edges), return_report=True)
    torch.testing.assert_close(out, x[:1].expand(100, 2))
    assert report.certified and report.all_converged and int(report.iterations) <= 100
    (grad,) = torch.autograd.grad(out[-1].sum(), x)
    assert torch.equal(grad, torch.ones(100, 2))


# batches -----------------------------------------------------------------------------------------

# With cycles: a graph without is exact after its longest path, which a batch does not ask for.
SOME = ["ring", "self_loops", "empty", "directed_random", "undirected_random", "complete"]


@pytest.mark.parametrize("aggr", AGGREGATIONS)
def test_a_batch_stops_graph_by_graph_and_computes_no_more_than_it_must(aggr):
    graphs = [make_graph(name, dtype=torch.float64) for name in SOME] * 3
    conv = GNNConv(4, 3, 2, edge_dim=3, aggr=aggr, transition="mlp", solver=Picard()).double()
    with torch.no_grad():
        out, report = conv((batch := Batch.from_graphs(graphs)).x, batch, return_report=True)
        alone = [conv(graph.x, graph, return_report=True) for graph in graphs]
    torch.testing.assert_close(out, torch.cat([a for a, _ in alone]), rtol=1e-9, atol=1e-9)
    assert report.iterations.tolist() == [int(r.iterations) for _, r in alone]
    assert report.all_converged
    assert report.node_updates < report.evaluations * batch.num_nodes


def test_a_batch_vector_says_what_a_batch_says():
    graphs = [make_graph(name, dtype=torch.float64) for name in SOME]
    batch = Batch.from_graphs(graphs)
    conv = GNNConv(4, 3, aggr="sum").double()
    expected, report = conv(batch.x, batch, return_report=True)
    for ids in (batch.batch, batch.batch.int()):
        out = conv(batch.x, batch.edge_index, batch.edge_weight, batch=ids)
        torch.testing.assert_close(out, expected)
        assert conv.last_report is not None
        assert torch.equal(conv.last_report.iterations, report.iterations)


# gradients ---------------------------------------------------------------------------------------


@functools.cache
def _pair() -> Batch:
    """A directed, weighted, edge-featured batch, small enough for finite differences."""
    torch.manual_seed(1)
    graphs = [
        Graph(
            edges,
            x=torch.randn(3, 2).double(),
            edge_weight=torch.rand(edges.shape[1]).double() + 0.3,
            edge_attr=torch.randn(edges.shape[1], 2).double(),
        )
        for edges in (torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]]), torch.tensor([[0, 0], [1, 2]]))
    ]
    return Batch.from_graphs(graphs)


@pytest.mark.parametrize(
    ("aggr", "transition", "method"),
    [
        ("sym", "linear", "spectral"),
        pytest.param("mean", "mlp", "spectral", marks=pytest.mark.slow),
        pytest.param("sum", "linear", "inf_projection", marks=pytest.mark.slow),
        pytest.param("attention", "linear", "spectral", marks=pytest.mark.slow),
        pytest.param("attention", "mlp", "spectral", marks=pytest.mark.slow),
    ],
)
def test_gradients_equal_finite_differences(aggr, transition, method):
    """First and second ones, of every input and every parameter, on a directed, weighted,
    edge-featured batch, in evaluation."""
    batch = _pair()
    conv = GNNConv(
        2, 2, edge_dim=2, aggr=aggr, transition=transition, act="tanh",
        contraction=Contraction(0.4, method), **PRECISE,
    ).double().eval()  # fmt: skip
    names = [name for name, _ in conv.named_parameters()]
    values = [p.detach() + 0.3 * torch.rand_like(p) for p in conv.parameters()]
    inputs = [batch.x, batch.edge_weight, batch.edge_attr, *values]

    def call(x, edge_weight, edge_attr, *parameters):
        named = dict(zip(names, parameters))
        args = (x, batch.adj, edge_weight, edge_attr, batch.batch)
        return torch.func.functional_call(conv, named, args)

    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(call, inputs, atol=1e-6, rtol=1e-6)
    assert torch.autograd.gradgradcheck(
        call, inputs, atol=1e-6, rtol=1e-6, gen_non_contig_grad_outputs=False, fast_mode=True
    )


def _gradients(conv: GNNConv, graph: Graph, out: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(3)
    return list(torch.autograd.grad(out, list(conv.parameters()), torch.randn_like(out)))


@pytest.mark.parametrize(
    "options",
    [
        {"solver": Picard()},
        {"solver": Picard(damping=0.7)},
        {"solver": Anderson(m=3)},
        {"backward": Implicit("picard", max_iter=2000)},
        {"backward": Implicit("anderson", max_iter=2000)},
        {"backward": Unrolled(60)},
        {"backward": Phantom(k=60, tau=1.0)},
    ],
    ids=repr,
)
def test_every_solver_and_gradient_agree(options):
    graph = make_graph("directed_random", dtype=torch.float64)
    shape = {"transition": "mlp", "contraction": Contraction(0.6)}
    conv = GNNConv(4, 3, 2, **shape, **PRECISE).double()
    other = GNNConv(4, 3, 2, **shape, **{**PRECISE, **options}).double()
    other.load_state_dict(conv.state_dict())
    out, same = conv(graph.x, graph), other(graph.x, graph)
    torch.testing.assert_close(same, out, rtol=1e-9, atol=1e-9)
    for a, b in zip(_gradients(other, graph, same), _gradients(conv, graph, out), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def test_two_forwards_before_one_backward_keep_their_gradients():
    """Where backward hooks hang on the module, the second call takes the first one's place."""
    first, second = (make_graph(name, dtype=torch.float64) for name in ("ring", "power_law"))
    conv = GNNConv(4, 3, **PRECISE).double()
    alone = [_gradients(conv, graph, conv(graph.x, graph)) for graph in (first, second)]
    outs = [conv(graph.x, graph) for graph in (first, second)]
    for graph, out, expected in zip((first, second), outs, alone):
        torch.testing.assert_close(_gradients(conv, graph, out), expected)


def test_the_gradient_in_evaluation_is_that_in_training():
    graph = make_graph("directed_random", dtype=torch.float64)
    conv = GNNConv(4, 3, **PRECISE).double()
    trained = _gradients(conv.train(), graph, conv(graph.x, graph))
    evaluated = _gradients(conv.eval(), graph, conv(graph.x, graph))
    for a, b in zip(trained, evaluated, strict=True):
        assert torch.equal(a, b)


def test_memory_for_the_gradient_does_not_grow_with_the_depth():
    graph = Graph(random_edges(500, 2000), x=torch.randn(500, 4))
    kept = {}
    for kappa in (0.5, 0.99):
        conv = GNNConv(4, 16, contraction=Contraction(kappa), solver=Picard())
        conv.stop = Stop(max_iter=2000)
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            _, report = conv(graph.x, graph, return_report=True)
        kept[kappa] = sum(sizes.values()), int(report.iterations)
    assert kept[0.99][1] > 5 * kept[0.5][1]
    assert kept[0.99][0] == kept[0.5][0]
