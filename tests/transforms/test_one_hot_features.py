"""OneHotFeatures: categories become columns."""

import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.features import SparseFeatures
from gnnlib.transforms import OneHotFeatures

X = torch.tensor([[0, 2], [1, 0], [1, 1]])
EDGES = torch.tensor([[3], [0]])


def graph(**tensors) -> Graph:
    return Graph([[0, 1], [1, 2]], **{"x": X, "edge_attr": EDGES, **tensors})


def test_each_column_becomes_its_categories():
    ours = OneHotFeatures(x=(2, 4), edge_attr=(5,))(graph())
    for k, (start, end) in enumerate([(0, 2), (2, 6)]):
        assert torch.equal(ours.x[:, start:end].argmax(1), X[:, k])
    assert torch.equal(ours.x.sum(1), torch.full((3,), 2.0))
    assert set(ours.x.unique().tolist()) == {0.0, 1.0}
    assert ours.edge_attr.tolist() == [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]


def test_what_is_not_named_stays():
    before = graph(y=torch.tensor([1, 2, 3]))
    ours = OneHotFeatures(x=(2, 3))(before)
    assert ours.edge_attr is before.edge_attr and ours.y is before.y and ours.adj is before.adj
    assert OneHotFeatures(edge_attr=(4,))(before).x is before.x
    assert torch.equal(OneHotFeatures()(before).x, X)


def test_a_batch_stays_one():
    pair = Batch.from_graphs([graph(), graph()])
    ours = OneHotFeatures((2, 3), (4,))(pair)
    assert isinstance(ours, Batch) and len(ours) == 2
    assert torch.equal(ours[1].x, OneHotFeatures((2, 3), (4,))(graph()).x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_the_default_one(dtype):
    torch.set_default_dtype(dtype)
    assert OneHotFeatures((2, 3))(graph()).x.dtype == dtype
    assert OneHotFeatures(())(graph(x=X[:, :0])).x.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_all_integers_are_categories(dtype):
    ours = OneHotFeatures((2, 3))(graph(x=X.to(dtype)))
    assert torch.equal(ours.x, OneHotFeatures((2, 3))(graph()).x)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2, 2), r"column 1 of x must hold categories in \[0, 2\), got 2 in row 0"),
        ((1, 3), r"column 0 of x must hold categories in \[0, 1\), got 1 in row 1"),
        ((2,), r"x must have 1 columns of categories, got shape \(3, 2\)"),
        ((2, 3, 4), r"x must have 3 columns of categories, got shape \(3, 2\)"),
    ],
)
def test_what_is_no_category_is_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        OneHotFeatures(sizes)(graph())


def test_a_negative_number_is_no_category():
    with pytest.raises(ValueError, match=r"column 0 of edge_attr .* got -1 in row 1"):
        OneHotFeatures(edge_attr=(9,))(graph(edge_attr=torch.tensor([[3], [-1]])))


def test_features_must_be_there_and_of_integers():
    with pytest.raises(ValueError, match="edge_attr must be there to be made one-hot"):
        OneHotFeatures(edge_attr=(3,))(graph(edge_attr=None))
    with pytest.raises(TypeError, match=r"x must hold integers .* got torch\.float32"):
        OneHotFeatures((2, 3))(graph(x=X.float()))
    with pytest.raises(TypeError, match="x must hold integers .* got SparseFeatures"):
        OneHotFeatures((2, 3))(graph(x=SparseFeatures.from_dense(X.float())))


def test_sizes_must_be_numbers_of_categories():
    with pytest.raises(ValueError, match=r"x\[1\] must be .* -1"):
        OneHotFeatures(x=(2, -1))
    with pytest.raises(TypeError, match=r"edge_attr\[0\] must be an int, got str"):
        OneHotFeatures(edge_attr=("3",))  # pyright: ignore[reportArgumentType]


def test_repr_is_what_a_config_records():
    assert repr(OneHotFeatures((4, 2))) == "OneHotFeatures(x=(4, 2), edge_attr=None)"
