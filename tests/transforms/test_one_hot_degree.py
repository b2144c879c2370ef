"""OneHotDegree: dense, sparse, and against PyG."""

import pytest
import torch

from gnnlib import Graph
from gnnlib.features import SparseFeatures
from gnnlib.transforms import OneHotDegree
from tests.graphs import GRAPHS, make_graph
from tests.pyg import transforms


@pytest.mark.parametrize("cat", [True, False])
@pytest.mark.parametrize("in_degree", [True, False])
@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "empty"])
def test_columns_are_those_of_pyg(name, in_degree, cat):
    graph = make_graph(name)
    theirs = transforms.OneHotDegree(200, in_degree, cat)(graph.to_pyg())
    ours = OneHotDegree(200, in_degree, cat)(graph)
    assert torch.equal(ours.x, theirs.x.float())
    assert ours.y is graph.y
    assert ours.edge_attr is graph.edge_attr
    assert ours.adj is graph.adj


@pytest.mark.parametrize("name", GRAPHS)
def test_sparse_features_stay_sparse(name):
    ours = OneHotDegree(200)(make_graph(name, sparse=True)).x
    assert isinstance(ours, SparseFeatures)
    assert ours.structure.eid is None
    assert torch.equal(ours.to_dense(), OneHotDegree(200)(make_graph(name)).x)


def test_the_dtype_of_x_is_kept():
    assert OneHotDegree(9)(make_graph("ring", dtype=torch.float64)).x.dtype == torch.float64
    assert OneHotDegree(9)(Graph([[0], [1]])).x.dtype == torch.float32


def test_a_larger_degree_names_the_node():
    with pytest.raises(ValueError, match="at least 40, the degree of node 0; got 39"):
        OneHotDegree(39)(make_graph("star_in"))
    assert OneHotDegree(40)(make_graph("star_in")).num_features == 45
    assert OneHotDegree(1, in_degree=False)(make_graph("star_in")).num_features == 6


def test_the_largest_degree_must_be_a_number_of_edges():
    with pytest.raises(ValueError, match="max_degree must be 0 or more, got -1"):
        OneHotDegree(-1)
    with pytest.raises(TypeError, match="max_degree must be an int, got str"):
        OneHotDegree("3")  # pyright: ignore[reportArgumentType]


def test_repr_is_what_a_config_records():
    assert repr(OneHotDegree(4)) == "OneHotDegree(max_degree=4, in_degree=True, cat=True)"
