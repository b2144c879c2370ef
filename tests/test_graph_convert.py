"""Graphs from and to scipy, torch.sparse, dense matrices and networkx."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch

from gnnlib.graph import Graph
from tests.graphs import GRAPHS, make_graph

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support")

A: Any = np.array([[0, 2, 0], [0, 0, 3], [4, 0, 5]], dtype=np.float32)
EDGES_OF_A = {(0, 1): 2.0, (1, 2): 3.0, (2, 0): 4.0, (2, 2): 5.0}


def edges(graph: Graph) -> dict[tuple[int, int], float]:
    return dict(zip(zip(*graph.edge_index.tolist()), graph.edge_weight.tolist()))


# matrices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Graph.from_dense(A),
        lambda: Graph.from_dense(torch.from_numpy(A)),
        lambda: Graph.from_dense(A.tolist()),
        lambda: Graph.from_scipy(scipy.sparse.csr_array(A)),
        lambda: Graph.from_scipy(scipy.sparse.csc_matrix(A)),
        lambda: Graph.from_scipy(scipy.sparse.coo_array(A)),
        lambda: Graph.from_scipy(scipy.sparse.lil_matrix(A)),
        lambda: Graph.from_torch_sparse(torch.from_numpy(A).to_sparse()),
        lambda: Graph.from_torch_sparse(torch.from_numpy(A).to_sparse_csr()),
        lambda: Graph.from_torch_sparse(torch.from_numpy(A).to_sparse_csc()),
    ],
)
def test_an_entry_i_j_is_an_edge_from_i_to_j(make):
    graph = make()
    assert edges(graph) == EDGES_OF_A
    assert graph.num_nodes == 3
    assert graph.edge_weight.dtype == torch.float32


@pytest.mark.parametrize("name", GRAPHS)
def test_matrices_of_a_graph_hold_its_weights(name):
    graph = make_graph(name, dtype=torch.float64)
    dense = graph.to_dense()
    torch.testing.assert_close(graph.to_torch_sparse().to_dense(), dense)
    torch.testing.assert_close(torch.from_numpy(graph.to_scipy().toarray()), dense)
    operator = graph.to_scipy(transpose=True)
    torch.testing.assert_close(torch.from_numpy(operator.toarray()), dense.T)
    x = graph.x.numpy()
    aggregated = np.zeros_like(x)
    for (i, j), weight in zip(graph.edge_index.T.tolist(), graph.edge_weight.tolist()):
        aggregated[j] += weight * x[i]
    np.testing.assert_allclose(operator @ x, aggregated)


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (Graph.to_scipy, Graph.from_scipy),
        (Graph.to_torch_sparse, Graph.from_torch_sparse),
        (lambda g: g.to_torch_sparse(torch.sparse_csr), Graph.from_torch_sparse),
        (lambda g: g.to_torch_sparse(torch.sparse_csc), Graph.from_torch_sparse),
        (Graph.to_dense, Graph.from_dense),
    ],
    ids=["scipy", "coo", "csr", "csc", "dense"],
)
@pytest.mark.parametrize("name", GRAPHS)
def test_there_and_back_is_the_same_graph(name, write, read):
    graph = make_graph(name)
    back = read(write(graph), x=graph.x)
    torch.testing.assert_close(back.to_dense(), graph.to_dense())
    assert back.num_nodes == graph.num_nodes
    assert torch.equal(back.x, graph.x)


def test_torch_coo_keeps_edges_as_they_are():
    graph = make_graph("repeated_edges")
    back = Graph.from_torch_sparse(graph.to_torch_sparse())
    assert torch.equal(back.edge_index, graph.edge_index)
    assert torch.equal(back.edge_weight, graph.edge_weight)


def test_a_hybrid_coo_tensor_gives_edge_attr():
    index = torch.tensor([[0, 1], [1, 0]])
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    matrix = torch.sparse_coo_tensor(index, values, (2, 2, 2), check_invariants=False)
    graph = Graph.from_torch_sparse(matrix)
    assert torch.equal(graph.edge_attr, values)
    assert "edge_weight" not in graph


def test_stored_zeros_and_repeated_entries_of_scipy_are_edges():
    matrix = scipy.sparse.coo_array(
        (np.array([0.0, 1.0, 2.0]), (np.array([0, 1, 1]), np.array([1, 0, 0]))), shape=(2, 2)
    )
    graph = Graph.from_scipy(matrix)
    assert graph.edge_index.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert graph.edge_weight.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", [np.int32, np.bool_, np.uint8])
def test_integer_and_bool_entries_become_floating_weights(kind):
    graph = Graph.from_scipy(scipy.sparse.csr_array(np.eye(2, dtype=kind)))
    assert graph.edge_weight.dtype == torch.float32
    assert graph.edge_weight.tolist() == [1.0, 1.0]


def test_weights_of_a_matrix_carry_gradients():
    matrix = torch.tensor([[0.0, 2.0], [3.0, 0.0]], requires_grad=True)
    for graph in (Graph.from_dense(matrix), Graph.from_torch_sparse(matrix.to_sparse())):
        (grad,) = torch.autograd.grad(graph.edge_weight.sum(), matrix)
        assert grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Graph.from_dense(torch.ones(2, 3)), ValueError, r"square, got shape \(2, 3\)"),
        (lambda: Graph.from_dense(torch.ones(3)), ValueError, r"square, got shape \(3,\)"),
        (lambda: Graph.from_scipy(scipy.sparse.eye(2, 3)), ValueError, "must be square"),
        (lambda: Graph.from_scipy(A), TypeError, "expected a scipy sparse matrix, got ndarray"),
        (lambda: Graph.from_torch_sparse(torch.eye(2)), TypeError, "got a dense tensor"),
        (lambda: Graph.from_torch_sparse(A), TypeError, "got ndarray"),
        (
            lambda: Graph.from_torch_sparse(torch.ones(2, 3).to_sparse()),
            ValueError,
            "must be square",
        ),
        (lambda: Graph.from_networkx(A), TypeError, "expected a networkx graph, got ndarray"),
    ],
)
def test_what_is_no_adjacency_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# networkx ----------------------------------------------------------------------------------------


def rows(graph: Graph) -> list[tuple]:
    """Each edge with its weight, type and attributes."""
    columns = (*graph.edge_index, graph.edge_weight, graph.edge_type, *graph.edge_attr.T)
    return list(zip(*(column.tolist() for column in columns)))


@pytest.mark.parametrize("name", GRAPHS)
def test_networkx_takes_and_gives_every_tensor(name):
    graph = make_graph(name)
    theirs = graph.to_networkx()
    assert theirs.number_of_nodes() == graph.num_nodes
    assert theirs.number_of_edges() == graph.num_edges
    assert theirs.is_directed()
    assert theirs.is_multigraph() == graph.has_repeated_edges()
    back = Graph.from_networkx(theirs)
    assert (back.num_nodes, back.num_edges) == (graph.num_nodes, graph.num_edges)
    assert torch.equal(back.graph_y, graph.graph_y)
    if graph.num_nodes:
        for name in ("x", "y", "train_mask"):
            assert torch.equal(back[name], graph[name])
    if graph.num_edges:
        # networkx has an order of its own: compare edges with all that belongs to them.
        assert sorted(rows(back)) == sorted(rows(graph))


def test_an_undirected_networkx_graph_has_both_directions_and_one_of_a_loop():
    theirs = nx.Graph()
    theirs.add_edge(0, 1, weight=2.0)
    theirs.add_edge(1, 1, weight=5.0)
    graph = Graph.from_networkx(theirs)
    assert edges(graph) == {(0, 1): 2.0, (1, 0): 2.0, (1, 1): 5.0}
    assert graph.num_edges == 3


def test_multi_edges_are_kept():
    theirs = nx.MultiDiGraph([(0, 1), (0, 1), (1, 0)])
    assert sorted(Graph.from_networkx(theirs).edge_index.T.tolist()) == [[0, 1], [0, 1], [1, 0]]


def test_nodes_named_by_numbers_keep_them_and_others_are_counted():
    theirs = nx.DiGraph([(2, 0), (0, 1)])
    assert list(theirs) == [2, 0, 1]
    assert Graph.from_networkx(theirs).edge_index.tolist() == [[2, 0], [0, 1]]
    theirs = nx.relabel_nodes(theirs, {0: "a", 1: "b", 2: "c"})
    names = list(theirs)
    sources, destinations = Graph.from_networkx(theirs).edge_index.tolist()
    named = [(names[i], names[j]) for i, j in zip(sources, destinations)]
    assert named == list(theirs.edges)


def test_attributes_that_are_numbers_become_tensors_by_name():
    theirs = nx.karate_club_graph()
    graph = Graph.from_networkx(theirs)
    assert (graph.num_nodes, graph.num_edges) == (34, 156)
    assert graph.is_undirected()
    assert list(graph.keys()) == ["edge_weight"]  # "club" is text
    theirs.graph["graph_y"] = [1.0]
    nx.set_node_attributes(theirs, {node: [node, 1.5] for node in theirs}, "x")
    nx.set_node_attributes(theirs, {0: 1.0}, "partial")
    nx.set_edge_attributes(theirs, dict.fromkeys(theirs.edges, 3), "type")
    graph = Graph.from_networkx(theirs)
    assert sorted(graph.keys()) == ["edge_type", "edge_weight", "graph_y", "x"]
    assert graph.x[5].tolist() == [5.0, 1.5]
    assert graph.edge_type.tolist() == [3] * 156
    chosen = Graph.from_networkx(theirs, node_attrs=["x"], edge_attrs=[])
    assert sorted(chosen.keys()) == ["graph_y", "x"]
    with pytest.raises(TypeError, match="node attribute 'club' is not of numbers"):
        Graph.from_networkx(theirs, node_attrs=["club"])
    with pytest.raises(ValueError, match="'partial' is missing on 33 of 34 nodes"):
        Graph.from_networkx(theirs, node_attrs=["partial"])
    with pytest.raises(ValueError, match="'none' is missing on 156 of 156 edges"):
        Graph.from_networkx(theirs, edge_attrs=["none"])


@pytest.mark.parametrize("convert", [np.array, torch.tensor])
def test_attributes_may_be_arrays(convert):
    theirs = nx.DiGraph([(0, 1), (1, 2)])
    for node in theirs:
        theirs.nodes[node]["x"] = convert([node, 2.0])
    for i, j in theirs.edges:
        theirs.edges[i, j]["weight"] = convert(i)
    graph = Graph.from_networkx(theirs)
    assert graph.x.tolist() == [[0.0, 2.0], [1.0, 2.0], [2.0, 2.0]]
    assert graph.edge_weight.tolist() == [0.0, 1.0]


def test_a_missing_weight_is_one_as_in_networkx():
    theirs = nx.DiGraph()
    theirs.add_edge(0, 1)
    theirs.add_edge(1, 0, weight=3)
    assert edges(Graph.from_networkx(theirs)) == {(0, 1): 1.0, (1, 0): 3.0}


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_empty_networkx_graphs(kind):
    assert Graph.from_networkx(kind()).num_nodes == 0
    lonely = kind()
    lonely.add_nodes_from(range(3))
    assert (Graph.from_networkx(lonely).num_nodes, Graph.from_networkx(lonely).num_edges) == (3, 0)
