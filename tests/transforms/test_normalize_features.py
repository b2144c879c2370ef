import pytest
import torch

from gnnlib import Graph
from gnnlib.features import SparseFeatures
from gnnlib.transforms import NormalizeFeatures

X = torch.tensor([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0, 5.0, 0.0], [2.0, 2.0, 4.0]])
EXPECTED = torch.tensor([[0.25, 0, 0.75], [0, 0, 0], [0, 1, 0], [0.25, 0.25, 0.5]])
RING = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_sum_to_one_and_empty_rows_stay(dtype):
    graph = Graph(RING, x=X.to(dtype), y=torch.arange(4))
    normal = NormalizeFeatures()(graph)
    torch.testing.assert_close(normal.x, EXPECTED.to(dtype))
    assert normal.y is graph.y
    assert normal.adj is graph.adj
    assert torch.equal(graph.x, X.to(dtype))  # the given graph is as it was


def test_rows_of_several_dimensions_each_sum_to_one():
    normal = NormalizeFeatures()(Graph(RING, x=torch.stack([X, 2 * X], dim=1)))
    torch.testing.assert_close(normal.x, torch.stack([EXPECTED, EXPECTED], dim=1))


def test_sparse_features_stay_sparse():
    normal = NormalizeFeatures()(Graph(RING, x=SparseFeatures.from_dense(X)))
    assert isinstance(normal.x, SparseFeatures)
    assert normal.x.values.shape == (6,)
    torch.testing.assert_close(normal.x.to_dense(), EXPECTED)


@pytest.mark.parametrize("convert", [torch.clone, SparseFeatures.from_dense])
def test_negative_features_are_refused_with_their_count(convert):
    with pytest.raises(ValueError, match="negative to be normalised: 2 entries"):
        NormalizeFeatures()(Graph(RING, x=convert(X - 3 * (X == 2).float())))


def test_a_graph_without_x_is_refused():
    with pytest.raises(ValueError, match=r"needs graph\.x"):
        NormalizeFeatures()(Graph(RING))


def test_repr_is_what_a_config_records():
    assert repr(NormalizeFeatures()) == "NormalizeFeatures()"
