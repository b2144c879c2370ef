import pytest
import torch

from gnnlib import Graph
from gnnlib.conv import APPNP
from tests import pyg
from tests.conv import parity
from tests.graphs import make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "as_it_comes": Layer(lambda: APPNP(3, 0.1), edges=("edge_weight",)),
    "not_normalised": Layer(lambda: APPNP(2, 0.3, normalize=False), edges=("edge_weight",)),
}
OPTIONS = {
    "as_it_comes": {},
    "without_loops": {"add_self_loops": False},
    "not_normalised": {"normalize": False},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("graph", parity.GRAPHS)
@pytest.mark.parametrize("edges", [{}, {"edge_weight": None}], ids=["plain", "weighted"])
def test_it_equals_pyg(graph, options, edges):
    mine, theirs = APPNP(4, 0.2, **OPTIONS[options]), pyg.nn.APPNP(4, 0.2, **OPTIONS[options])
    parity.check_parity(mine, theirs, graph, 5, **edges)


@pytest.mark.parametrize(("K", "alpha"), [(0, 0.5), (1, 0.2), (10, 0.1), (4, 1.0), (4, 0.0)])
def test_any_number_of_iterations_equals_pyg(K, alpha):
    mine, theirs = APPNP(K, alpha), pyg.nn.APPNP(K, alpha)
    parity.check_parity(mine, theirs, "repeated_and_looped", 5, edge_weight=None)


def test_it_converges_to_personalised_pagerank():
    graph = make_graph("undirected_random", dtype=torch.float64)
    dense = torch.eye(30).double() + graph.adj.to_dense(torch.ones(graph.num_edges).double()).T
    root = dense.sum(1).rsqrt()
    operator = root[:, None] * dense * root
    expected = 0.2 * torch.linalg.solve(torch.eye(30).double() - 0.8 * operator, graph.x)
    torch.testing.assert_close(APPNP(200, 0.2)(graph.x, graph.adj), expected)


def test_dropout_acts_in_training_only_and_follows_the_seed():
    graph = make_graph("power_law")
    layer = APPNP(3, 0.1, dropout=0.5)
    whole = layer.eval()(graph.x, graph)
    assert torch.equal(whole, APPNP(3, 0.1).train()(graph.x, graph))
    layer.train()
    torch.manual_seed(5)
    first, second = layer(graph.x, graph), layer(graph.x, graph)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(layer(graph.x, graph), first)


@pytest.mark.parametrize("weighted", [True, False])
def test_dropout_drops_or_doubles_each_entry_and_follows_the_edge(weighted):
    """At alpha 0 and one hop the result on the identity is what is left of S."""
    graph = make_graph("undirected_random", dtype=torch.float64)
    x, adj = torch.eye(30).double(), graph.adj
    edges = {"edge_weight": graph.edge_weight} if weighted else {}
    layer = APPNP(1, 0.0, dropout=0.5)
    whole = layer.eval()(x, adj, **edges)
    torch.manual_seed(1)
    left = layer.train()(x, adj, **edges)
    kept = left != 0
    torch.testing.assert_close(left[kept], 2 * whole[kept])
    count = (whole != 0).sum()
    assert 0.35 * count < kept.sum() < 0.65 * count


def test_every_iteration_drops_anew():
    graph = Graph([[0], [1]], num_nodes=2)
    x = torch.tensor([[1.0], [0.0]])
    layer = APPNP(2, 0.0, dropout=0.5, add_self_loops=True).train()
    # A source keeps its loop twice with probability 1/4; were the mask kept, with 1/2.
    survivors = sum(bool(layer(x, graph)[0] != 0) for _ in range(400))
    assert 60 < survivors < 140


def test_dropout_has_the_gradient_of_what_was_computed():
    graph = make_graph("unsorted", dtype=torch.float64)
    layer = APPNP(2, 0.1, dropout=0.4).double().train()

    def call(x, weight):
        torch.manual_seed(3)
        return layer(x, graph.adj, weight)

    inputs = (graph.x.requires_grad_(), graph.edge_weight.clone().requires_grad_())
    assert torch.autograd.gradcheck(call, inputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"K": -1, "alpha": 0.1}, "K must be an int of at least 0, got -1"),
        ({"K": 2, "alpha": 1.1}, r"alpha must be in \[0, 1\], got 1.1"),
        ({"K": 2, "alpha": 0.1, "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        APPNP(**arguments)


def test_edge_features_are_a_type_error():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_attr"):
        APPNP(2, 0.1)(graph.x, graph, edge_attr=graph.edge_attr)


def test_it_has_no_parameters():
    layer = APPNP(10, 0.1)
    layer.reset_parameters()
    assert not layer.state_dict()
    assert repr(layer) == "APPNP(K=10, alpha=0.1)"
