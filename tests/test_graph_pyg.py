"""Graphs from and to PyG's Data."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gnnlib.batch import Batch
from gnnlib.features import SparseFeatures
from gnnlib.graph import Graph
from tests import pyg
from tests.graphs import GRAPHS, assert_same_graph, make_graph
from tests.pyg import Data, HeteroData

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support")


@pytest.mark.parametrize("name", GRAPHS)
def test_pyg_gets_and_gives_back_every_tensor_shared(name):
    graph = make_graph(name)
    data = graph.to_pyg()
    assert data.num_nodes == graph.num_nodes
    assert data.validate()
    for key, value in graph.items():
        assert data[key] is value
    assert data.edge_index is graph.edge_index
    back = Graph.from_pyg(data)
    assert_same_graph(back, graph)
    assert all(back[key].data_ptr() == value.data_ptr() for key, value in graph.items())


def test_sparse_features_go_to_pyg_and_back():
    graph = make_graph("unsorted", sparse=True)
    data = graph.to_pyg()
    assert data.x.layout == torch.sparse_csr
    assert_same_graph(Graph.from_pyg(data), graph)


def test_pyg_tensors_are_placed_by_their_rows():
    data = Data(
        edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]),
        x=torch.ones(5, 2),
        pos=torch.ones(5, 3),
        kind=torch.ones(4),
        y=torch.tensor([1]),
        u=torch.ones(7),
        edge_pair=torch.ones(2, 2),
        scalar=torch.tensor(3.0),
        text="left behind",
    )
    graph = Graph.from_pyg(data)
    shapes = {name: tuple(value.shape) for name, value in graph.items()}
    assert shapes == {
        "x": (5, 2),
        "pos": (5, 3),
        "edge_kind": (4,),
        "graph_y": (1,),
        "graph_u": (1, 7),
        "graph_edge_pair": (1, 2, 2),
        "graph_scalar": (1,),
    }


def test_numbers_and_arrays_are_carried_and_texts_are_not():
    array = np.arange(5.0)
    data = Data(
        edge_index=torch.tensor([[0, 1], [1, 2]]),
        num_nodes=5,
        height=array,
        kind=[3, 4],
        energy=1.5,
        name="benzene",
        names=["a", "b", "c", "d", "e"],
    )
    graph = Graph.from_pyg(data)
    assert graph.keys() == {"height", "edge_kind", "graph_energy"}
    assert graph.height.data_ptr() == array.ctypes.data
    assert graph.edge_kind.tolist() == [3, 4]
    assert graph.graph_energy.tolist() == [1.5]


def test_tensors_that_pyg_joins_along_columns_are_not_rows_of_nodes():
    data = Data(
        edge_index=torch.tensor([[0, 1], [1, 2]]),
        num_nodes=3,
        face=torch.tensor([[0], [1], [2]]),
        edge_label_index=torch.tensor([[0, 1, 2], [2, 1, 0]]),
    )
    shapes = {name: tuple(value.shape) for name, value in Graph.from_pyg(data).items()}
    assert shapes == {"graph_face": (1, 3, 1), "graph_edge_label_index": (1, 2, 3)}


def test_data_with_a_transposed_matrix_for_edges_is_taken():
    graph = make_graph("unsorted").replace(edge_attr=None, edge_type=None)
    matrix = graph.to_torch_sparse().t().coalesce()
    for layout in (torch.sparse_coo, torch.sparse_csr):
        taken = Graph.from_pyg(Data(adj_t=matrix.to_sparse(layout=layout), x=graph.x))
        assert taken.num_nodes == 5
        assert taken.keys() == {"x", "edge_weight"}
        torch.testing.assert_close(taken.to_dense(), graph.to_dense())


def test_several_kinds_of_edges_are_refused():
    with pytest.raises(TypeError, match=r"got HeteroData: data\.to_homogeneous\(\) makes one"):
        Graph.from_pyg(HeteroData())


def test_a_label_of_a_graph_of_one_node_can_be_told_apart():
    data = Data(edge_index=torch.empty(2, 0).long(), x=torch.ones(1, 2), y=torch.tensor([1]))
    assert "y" in Graph.from_pyg(data)
    graph = Graph.from_pyg(data, graph_level=["y"])
    assert graph.graph_y.tolist() == [1]
    assert "y" not in graph


def test_two_pyg_tensors_of_one_name_are_refused():
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 1]])
    data = Data(edge_index=edge_index, kind=torch.ones(3), edge_kind=torch.ones(3), num_nodes=9)
    with pytest.raises(ValueError, match="would be named 'edge_kind', which the Data object has"):
        Graph.from_pyg(data)


def test_a_batch_comes_back_as_a_batch():
    graphs = [
        Graph([[0, 1], [1, 0]], x=torch.rand(n, 3), edge_attr=torch.rand(2, 4),
              graph_y=torch.rand(1, 2), graph_id=torch.tensor([n]))
        for n in (2, 4, 3)
    ]  # fmt: skip
    batch = Batch.from_graphs(graphs)
    back = Graph.from_pyg(batch.to_pyg())
    assert isinstance(back, Batch) and back.keys() == batch.keys()
    assert torch.equal(back.graph_ptr, batch.graph_ptr)
    assert torch.equal(back.edge_index, batch.edge_index)
    assert all(back[name] is value for name, value in batch.items())


def test_batches_agree_with_pyg():
    graphs = [make_graph(name) for name in ("unsorted", "chain", "repeated_edges")]
    theirs = pyg.Batch.from_data_list([graph.to_pyg() for graph in graphs])
    ours = Batch.from_graphs(graphs).to_pyg()
    for key in ("edge_index", "x", "y", "edge_attr", "batch", "ptr", "graph_y"):
        assert isinstance(ours[key], Tensor)
        assert torch.equal(ours[key], theirs[key])
    with pytest.raises(TypeError, match="takes one Data object, got a batch"):
        Graph.from_pyg(theirs)


def test_a_sparse_x_of_pyg_is_taken():
    data = Data(edge_index=torch.tensor([[0], [1]]), x=torch.eye(2).to_sparse())
    graph = Graph.from_pyg(data)
    assert isinstance(graph.x, SparseFeatures)


@pytest.mark.parametrize("data", [torch.ones(2), Data(x=torch.ones(2, 1))])
def test_what_has_no_edges_is_refused(data):
    with pytest.raises(TypeError, match="takes a Data object with an edge_index"):
        Graph.from_pyg(data)
