"""The door of every conv: graphs of three forms, edge tensors from two places, and their checks."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from gnnlib import Adjacency, Graph, SparseFeatures
from gnnlib._resolve import as_features, resolve
from gnnlib.conv import GCNConv
from tests.graphs import make_graph


def test_a_graph_gives_its_own_adjacency():
    graph = make_graph("unsorted")
    assert resolve(graph, graph.x)[0] is graph.adj
    assert resolve(graph.adj, graph.x)[0] is graph.adj


def test_edge_tensors_come_from_the_graph_when_the_conv_takes_them_and_none_is_given():
    graph = make_graph("unsorted")
    assert resolve(graph, graph.x)[1:] == (None, None)
    _, weight, attr = resolve(graph, graph.x, edge_weight=None, edge_attr=None)
    assert weight is graph.edge_weight and attr is graph.edge_attr
    other = torch.ones(7)
    assert resolve(graph, graph.x, edge_weight=other)[1] is other
    assert resolve(graph.adj, graph.x, edge_weight=None, edge_attr=None)[1:] == (None, None)


def test_edge_tensors_are_given_in_the_layers_form():
    graph = make_graph("unsorted", dtype=torch.float64)
    weight, attr = torch.ones(7, 1, dtype=torch.int64), torch.ones(7)
    _, weight, attr = resolve(graph, graph.x, edge_weight=weight, edge_attr=attr)
    assert weight is not None and attr is not None
    assert weight.shape == (7,) and attr.shape == (7, 1)
    assert weight.dtype == attr.dtype == torch.float64


# edge_index tensors ------------------------------------------------------------------------------


def test_an_edge_index_is_sorted_once():
    graph = make_graph("unsorted")
    edge_index = graph.edge_index.clone()
    adj = resolve(edge_index, graph.x)[0]
    assert resolve(edge_index, graph.x)[0] is adj
    assert resolve(edge_index.clone(), graph.x)[0] is not adj
    assert torch.equal(adj.edge_index, edge_index)


def test_an_edge_index_is_sorted_again_after_a_write_into_it():
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    x = torch.eye(3)
    adj = resolve(edge_index, x)[0]
    edge_index[0, 0] = 2
    fresh = resolve(edge_index, x)[0]
    assert fresh is not adj
    assert torch.equal(fresh.edge_index, edge_index)
    base = torch.zeros(2, 3, dtype=torch.long)
    view = base.view(2, 3)
    before = resolve(view, x)[0]
    base[1, 1] = 1
    assert resolve(view, x)[0] is not before


def test_an_edge_index_is_sorted_again_for_another_number_of_nodes():
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    assert resolve(edge_index, torch.eye(3))[0].num_dst == 3
    assert resolve(edge_index, torch.eye(5))[0].num_dst == 5


def test_what_is_kept_of_an_edge_index_dies_with_it():
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    adj = weakref.ref(resolve(edge_index, torch.eye(3))[0])
    assert adj() is not None
    del edge_index
    gc.collect()
    assert adj() is None


def test_an_edge_index_of_inference_mode_is_taken():
    with torch.inference_mode():
        edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
        assert resolve(edge_index, torch.eye(3))[0].num_edges == 3


def test_an_edge_index_between_two_sets_of_nodes_takes_their_sizes():
    edge_index = torch.tensor([[0, 4], [1, 0]])
    adj = resolve(edge_index, (torch.ones(5, 2), torch.ones(2, 3)))[0]
    assert (adj.num_src, adj.num_dst) == (5, 2)


@pytest.mark.parametrize(
    ("edge_index", "error", "message"),
    [
        (torch.tensor([[0, 3], [1, 0]]), ValueError, "3"),
        (torch.tensor([[0, -1], [1, 0]]), ValueError, "-1"),
        (torch.tensor([[0.0], [1.0]]), TypeError, "edge_index"),
        (torch.tensor([0, 1]), ValueError, "edge_index"),
        (torch.tensor([[0, 1]] * 3), ValueError, "edge_index"),
    ],
)
def test_a_bad_edge_index_is_named(edge_index, error, message):
    with pytest.raises(error) as caught:
        resolve(edge_index, torch.eye(3))
    assert "edge_index" in str(caught.value) and message in str(caught.value)


# rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(4, 2),
         "x must have one row per node: graph has num_nodes=5, got x of shape (4, 2)"),
        ((torch.ones(4, 2), torch.ones(5, 2)),
         "x[0] must have one row per source node: graph has 5, got x[0] of shape (4, 2)"),
        ((torch.ones(5, 2), torch.ones(4, 2)),
         "x[1] must have one row per destination node: graph has 5, got x[1] of shape (4, 2)"),
    ],
)  # fmt: skip
def test_wrong_rows_are_named(x, message):
    with pytest.raises(ValueError) as caught:
        resolve(make_graph("unsorted"), x)
    assert str(caught.value) == message


def test_one_set_of_features_does_not_fit_two_sets_of_nodes():
    adj = Adjacency.from_edge_index([[0, 1], [1, 0]], num_src=3, num_dst=2)
    with pytest.raises(ValueError, match=r"x must be a pair \(x_src, x_dst\) where .* num_src=3"):
        resolve(adj, torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"x\[0\] must have one row per source node: graph has 3"):
        resolve(adj, (torch.ones(2, 2), None))


@pytest.mark.parametrize("name", ["edge_weight", "edge_attr"])
def test_edge_tensors_of_wrong_length_are_named(name):
    graph = make_graph("unsorted")
    for value in (torch.ones(6), torch.ones(8, 3), torch.tensor(1.0)):
        with pytest.raises(
            ValueError, match=f"{name} must have one row per edge: graph has num_edges=7"
        ):
            resolve(graph, graph.x, **{name: value})
    numbers: Any = [1.0] * 7
    with pytest.raises(TypeError, match=f"{name} must be a tensor, got list"):
        resolve(graph, graph.x, **{name: numbers})


# features ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_sparse_matrices_of_other_libraries_become_sparse_features():
    import scipy.sparse

    dense = torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]])
    for x in (dense.to_sparse(), dense.to_sparse_csr(), scipy.sparse.csr_array(dense.numpy())):
        features = as_features(x)
        assert isinstance(features, SparseFeatures)
        assert torch.equal(features.to_dense(), dense)
    features = SparseFeatures.from_dense(dense)
    assert as_features(features) is features
    assert as_features(dense) is dense
    assert as_features((dense, None), pair=True) == (dense, None)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(3), ValueError, "x must have shape [num_nodes, num_features], got (3,)"),
        (torch.ones(3, 2).bool(), TypeError, "floating tensor, got torch.bool: use x.float()"),
        (np.ones((3, 2)), TypeError, "got ndarray; convs are called conv(x, graph, …)"),
        ([[1.0]], TypeError, "got list; convs are called conv(x, graph, …)"),
        (
            Graph([[0], [0]], num_nodes=1),
            TypeError,
            "got Graph; convs are called conv(x, graph, …)",
        ),
    ],
)
def test_bad_features_are_named(x, error, message):
    with pytest.raises(error) as caught:
        as_features(x)
    assert message in str(caught.value)


def test_a_cuda_tensor_in_a_build_without_cuda_is_named():
    """Asked of the dispatcher: such a machine need not have a GPU."""
    from gnnlib._extension import has_cuda_kernels, has_kernels

    if has_cuda_kernels() or not has_kernels:
        pytest.skip("this build runs on CUDA")
    ptr = torch.tensor([0, 1])
    arguments = (ptr, None, None, None, torch.ones(1, 2), "sum", None, None)
    with pytest.raises(RuntimeError, match=r"no CUDA kernels, and got a CUDA tensor: .*\.cpu\(\)"):
        torch.ops.gnnlib.spmm.default._op_dk(torch._C.DispatchKey.CUDA, *arguments)


def test_features_and_graph_on_different_devices_are_refused():
    graph = make_graph("unsorted")
    with pytest.raises((RuntimeError, ValueError), match="meta|device"):
        GCNConv(4, 3).to("meta")(graph.x.to("meta"), graph)
