import pytest
import torch
from torch import Tensor

from gnnlib import Batch, Graph
from gnnlib.conv import ChebConv
from gnnlib.features import SparseFeatures
from tests import pyg
from tests.conv import parity
from tests.graphs import GRAPHS, make_graph
from tests.properties import CHECKS, Layer, name_of

LAYERS = {
    "sym": Layer(lambda: ChebConv(4, 3, K=3), edges=("edge_weight",)),
    "rw": Layer(lambda: ChebConv(4, 6, K=3, normalization="rw"), edges=("edge_weight",)),
    "none": Layer(lambda: ChebConv(4, 3, K=3, normalization=None), edges=("edge_weight",)),
}
NORMALIZATIONS = ["sym", "rw", None]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(LAYERS[name])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("graph", [name for name in parity.GRAPHS if name != "all_isolated"])
@pytest.mark.parametrize("out_channels", [3, 9], ids=["clenshaw", "recurrence"])
@pytest.mark.parametrize("edges", [{}, {"edge_weight": None}], ids=["plain", "weighted"])
def test_it_equals_pyg(graph, normalization, out_channels, edges):
    mine, theirs = (
        module(7, out_channels, 4, normalization=normalization)
        for module in (ChebConv, pyg.nn.ChebConv)
    )
    parity.check_parity(mine, theirs, graph, 7, **edges)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("K", [1, 2, 3])
@pytest.mark.parametrize("out_channels", [3, 9], ids=["clenshaw", "recurrence"])
def test_few_terms_equal_pyg(normalization, K, out_channels):
    mine, theirs = (
        module(7, out_channels, K, normalization=normalization, bias=False)
        for module in (ChebConv, pyg.nn.ChebConv)
    )
    parity.check_parity(mine, theirs, "repeated_and_looped", 7, edge_weight=None)


@pytest.mark.parametrize("normalization", ["sym", "rw"])  # without: PyG divides 0 by 0
def test_a_graph_without_edges_equals_pyg(normalization):
    mine = ChebConv(7, 5, 4, normalization=normalization)
    theirs = pyg.nn.ChebConv(7, 5, 4, normalization=normalization)
    parity.check_parity(mine, theirs, "all_isolated", 7)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("lambda_max", [1.3, torch.tensor(2.7).double(), torch.tensor([4.2])])
def test_lambda_max_equals_pyg(normalization, lambda_max):
    edge_index, num_nodes = parity.GRAPHS["repeated_and_looped"]
    x = torch.randn(num_nodes, 7, dtype=torch.float64)
    graph = Graph(edge_index, x=x)
    for width in (3, 9):
        mine = ChebConv(7, width, 4, normalization=normalization).double()
        theirs = pyg.nn.ChebConv(7, width, 4, normalization=normalization).double()
        mine.load_state_dict(theirs.state_dict())
        expected = theirs(x, edge_index, lambda_max=lambda_max)
        for form in (graph, graph.adj):
            parity.assert_equal(mine(x, form, lambda_max=lambda_max), expected)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_each_graph_of_a_batch_has_its_lambda_max(normalization):
    graphs = [make_graph(name, dtype=torch.float64) for name in GRAPHS]
    batch = Batch.from_graphs(graphs)
    values = torch.rand(len(graphs), dtype=torch.float64) + 1
    layer = ChebConv(4, 3, 3, normalization=normalization).double()
    out = layer(batch.x, batch, lambda_max=values)
    one_by_one = [layer(g.x, g, lambda_max=float(v)) for g, v in zip(graphs, values)]
    parity.assert_equal(out, torch.cat(one_by_one))

    theirs = pyg.nn.ChebConv(4, 3, 3, normalization=normalization).double()
    theirs.load_state_dict(layer.state_dict())
    parity.assert_equal(
        out, theirs(batch.x, batch.edge_index, batch.edge_weight, batch.batch, values)
    )


@pytest.mark.parametrize("normalization", ["sym", None])
def test_rows_of_several_dimensions_are_taken_one_by_one(normalization):
    """As many in a row as there are nodes: a factor of the nodes must not become one of them."""
    batch = Batch.from_graphs([make_graph("unsorted", dtype=torch.float64)] * 2)
    layer = ChebConv(4, 6, 3, normalization=normalization).double()
    x = torch.randn(batch.num_nodes, batch.num_nodes, 4, dtype=torch.float64)
    for options in ({}, {"lambda_max": torch.tensor([1.5, 2.5])}):
        out = layer(x, batch, **options)
        for k in range(batch.num_nodes):
            parity.assert_equal(out[:, k], layer(x[:, k], batch, **options))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_lambda_max_may_be_learned(normalization):
    graph = make_graph("undirected_random", dtype=torch.float64)
    layer = ChebConv(4, 3, 3, normalization=normalization).double()
    value = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: layer(graph.x, graph, lambda_max=v), value)


def _dense_laplacian(graph: Graph, normalization: str | None) -> Tensor:
    """L as an operator on columns: row i sums over the edges that end in i."""
    out = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.float64)
    for j, i, weight in zip(*graph.edge_index.tolist(), graph.edge_weight):
        if i != j:
            out[i, j] += weight
    degree = out.sum(0)
    if normalization is None:
        return degree.diag() - out
    safe = torch.where(degree > 0, degree, torch.inf)
    if normalization == "rw":
        return torch.eye(graph.num_nodes).double() - out / safe
    return torch.eye(graph.num_nodes).double() - safe.rsqrt()[:, None] * out * safe.rsqrt()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", ["directed_random", "self_loops", "isolated_nodes", "power_law"])
def test_it_is_its_formula(name, normalization):
    graph = make_graph(name, dtype=torch.float64)
    laplacian = _dense_laplacian(graph, normalization)
    scaled = laplacian / 1.7 - torch.eye(graph.num_nodes).double()
    layer = ChebConv(4, 3, 4, normalization=normalization).double()
    assert layer.bias is not None
    expected = torch.nn.init.normal_(layer.bias).expand(graph.num_nodes, 3)
    terms = [graph.x, scaled @ graph.x]
    for lin in layer.lins:
        expected = expected + lin(terms[0])
        terms = [terms[1], 2 * scaled @ terms[1] - terms[0]]
    parity.assert_equal(layer(graph.x, graph, lambda_max=3.4), expected)


def test_its_terms_are_the_chebyshev_polynomials_of_the_spectrum():
    graph = make_graph("ring", dtype=torch.float64)
    graph = graph.replace(edge_weight=torch.ones(9).double()).to_undirected()
    values, vectors = torch.linalg.eigh(_dense_laplacian(graph, "sym"))
    layer = ChebConv(4, 4, 6, bias=False).double()
    *others, last = layer.parameters()
    for weight in others:
        torch.nn.init.zeros_(weight)
    torch.nn.init.eye_(last)
    waves = (5 * (values - 1).clamp(-1, 1).arccos()).cos()
    expected = vectors @ (waves[:, None] * (vectors.T @ graph.x))
    torch.testing.assert_close(layer(graph.x, graph), expected)


def test_sparse_features_are_never_made_dense(monkeypatch):
    graph = make_graph("unsorted", sparse=True)
    monkeypatch.setattr(SparseFeatures, "to_dense", None)
    assert ChebConv(4, 6, 3)(graph.x, graph).shape == (5, 6)


def test_what_depends_on_the_structure_is_computed_once_for_a_graph():
    graph = make_graph("unsorted")
    ChebConv(4, 3, 3)(graph.x, graph.adj)
    kept = dict(graph.adj._memo)
    ChebConv(4, 2, 2)(graph.x, graph.adj)
    assert all(graph.adj._memo[key] is value for key, value in kept.items())
    assert graph.adj._memo.keys() == kept.keys()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_node_of_weight_zero_has_a_finite_gradient(normalization):
    graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.randn(3, 4))
    weight = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    ChebConv(4, 3, 3, normalization=normalization)(graph.x, graph, weight).sum().backward()
    assert weight.grad is not None and weight.grad.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"K": 0}, "K must be an int of at least 1, got 0"),
        ({"K": 2, "normalization": "symm"}, "normalization must be one of 'sym', .*; got 'symm'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ChebConv(4, 3, **arguments)


@pytest.mark.parametrize(
    ("lambda_max", "error", "message"),
    [
        (0.0, ValueError, "lambda_max must be positive, got 0.0"),
        (float("nan"), ValueError, "lambda_max must be positive, got nan"),
        (torch.ones(3), ValueError,
         r"lambda_max must be one number or one for each of num_graphs=1, got shape \(3,\)"),
        ("2", TypeError, "lambda_max must be a number or a tensor, got str"),
    ],
)  # fmt: skip
def test_a_wrong_lambda_max_is_named(lambda_max, error, message):
    graph = make_graph("unsorted")
    with pytest.raises(error, match=message):
        ChebConv(4, 3, 2)(graph.x, graph, lambda_max=lambda_max)


def test_wrong_features_are_named():
    graph = make_graph("unsorted")
    for out_channels in (3, 9):
        with pytest.raises(ValueError, match=r"in_channels=7 features, got x of shape \(5, 4\)"):
            ChebConv(7, out_channels, 2)(graph.x, graph)


def test_edge_features_are_a_type_error():
    graph = make_graph("unsorted")
    with pytest.raises(TypeError, match="edge_attr"):
        ChebConv(4, 3, 2)(graph.x, graph, edge_attr=graph.edge_attr)


def test_its_parameters_are_reset():
    layer = ChebConv(4, 3, 2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert len(before) == 3 and layer.bias is not None
    torch.nn.init.ones_(layer.bias)
    layer.reset_parameters()
    after = layer.state_dict()
    assert all(not torch.equal(after[name], before[name]) for name in before if name != "bias")
    assert not layer.bias.any()
    assert "4, 3, K=2, normalization='sym'" in repr(layer)
