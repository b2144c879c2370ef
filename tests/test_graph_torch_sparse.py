"""Graphs from and to torch_sparse; where it is not installed only what needs none is tested."""

import importlib.util
import sys
import warnings
from typing import Any

import pytest
import torch

from gnnlib.graph import Graph
from tests.graphs import GRAPHS, make_graph
from tests.pyg import Data, transforms


@pytest.fixture(scope="module")
def torch_sparse() -> Any:
    if importlib.util.find_spec("torch_sparse") is None:
        pytest.skip("torch_sparse is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch_sparse", exc_type=ImportError)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "empty"])
def test_the_matrix_is_ours_and_comes_back(name, transpose, torch_sparse):
    graph = make_graph(name)
    matrix = graph.to_sparse_tensor(transpose)
    assert matrix.sparse_sizes() == (graph.num_nodes, graph.num_nodes)
    assert matrix.nnz() == graph.num_edges
    back = Graph.from_sparse_tensor(matrix, transpose)
    assert back.num_nodes == graph.num_nodes
    torch.testing.assert_close(back.to_dense(), graph.to_dense())
    row, col = back.edge_index.flip(0) if transpose else back.edge_index
    assert bool(((row * graph.num_nodes + col).diff() >= 0).all())


def test_the_operator_is_that_of_aggregation(torch_sparse):
    graph = make_graph("power_law", dtype=torch.float64)
    ours = torch.from_numpy(graph.to_scipy(transpose=True) @ graph.x.numpy())
    torch.testing.assert_close(graph.to_sparse_tensor(transpose=True) @ graph.x, ours)


def test_values_are_shared_where_no_sorting_is_needed(torch_sparse):
    graph = make_graph("ring").coalesce()
    matrix = graph.to_sparse_tensor(transpose=True)
    assert matrix.storage.value().data_ptr() == graph.edge_weight.data_ptr()
    back = Graph.from_sparse_tensor(matrix, transpose=True)
    assert back.edge_weight.data_ptr() == graph.edge_weight.data_ptr()
    assert torch.equal(back.edge_index, graph.edge_index)


def test_values_are_weights_or_vectors_or_nothing(torch_sparse):
    graph = make_graph("sorted").coalesce()
    vectors = graph.replace(edge_weight=None)
    assert torch.equal(
        Graph.from_sparse_tensor(vectors.to_sparse_tensor(True), True).edge_attr, graph.edge_attr
    )
    plain = vectors.replace(edge_attr=None)
    assert not Graph.from_sparse_tensor(plain.to_sparse_tensor()).keys()
    counts = plain.to_sparse_tensor().fill_value(3, dtype=torch.long)
    assert Graph.from_sparse_tensor(counts).edge_weight.tolist() == [3.0] * graph.num_edges


def test_further_tensors_go_along(torch_sparse):
    graph = make_graph("ring")
    matrix = graph.to_sparse_tensor()
    assert Graph.from_sparse_tensor(matrix, x=graph.x).x is graph.x
    with pytest.raises(ValueError, match="x must have one row per node"):
        Graph.from_sparse_tensor(matrix, x=graph.x[1:])


def test_data_with_a_sparse_tensor_for_edges_is_taken(torch_sparse):
    graph = make_graph("unsorted").replace(edge_attr=None)
    matrix = graph.to_sparse_tensor(transpose=True)
    taken = Graph.from_pyg(Data(adj_t=matrix, x=graph.x))
    assert taken.x is graph.x
    torch.testing.assert_close(taken.to_dense(), graph.to_dense())
    data = transforms.ToSparseTensor(attr="edge_weight", remove_edge_index=True)(graph.to_pyg())
    again = Graph.from_pyg(data)
    torch.testing.assert_close(again.to_dense(), graph.to_dense())
    types = graph.replace(edge_weight=graph.edge_type.float()).to_dense()
    assert torch.equal(again.replace(edge_weight=again.edge_type.float()).to_dense(), types)


def test_a_matrix_that_is_not_square_is_refused(torch_sparse):
    matrix = torch_sparse.SparseTensor(
        row=torch.tensor([0]), col=torch.tensor([1]), sparse_sizes=(2, 3)
    )
    with pytest.raises(ValueError, match=r"must be square, got shape \(2, 3\)"):
        Graph.from_sparse_tensor(matrix)


@pytest.mark.parametrize("value", [torch.eye(2), torch.eye(2).to_sparse(), None])
def test_what_is_no_sparse_tensor_is_refused(value):
    kind = type(value).__name__
    with pytest.raises(TypeError, match=rf"expected a torch_sparse\.SparseTensor, got {kind}"):
        Graph.from_sparse_tensor(value)


def test_without_torch_sparse_the_error_says_what_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_sparse", None)
    with pytest.raises(ImportError, match="pip install torch_sparse"):
        make_graph("ring").to_sparse_tensor()
