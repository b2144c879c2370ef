"""Digits: the graph by its definition, the split by its sizes."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from gnnlib.datasets import Digits


@pytest.fixture(scope="module")
def dataset() -> Digits:
    return Digits()


def test_the_images_are_scaled_and_labelled(dataset):
    pixels, digits = load_digits(return_X_y=True)
    graph = dataset[0]
    assert repr(dataset) == "Digits('digits', num_graphs=1, num_features=64, num_classes=10)"
    np.testing.assert_array_equal(graph.x, np.float32(pixels / 16))
    np.testing.assert_array_equal(graph.y, digits)
    assert graph.x.min() == 0
    assert graph.x.max() == 1
    assert dataset.licence
    assert dataset.citation


@pytest.mark.parametrize("k", [1, 3, 8])
def test_each_image_is_joined_to_its_nearest_in_both_directions(k):
    graph = Digits(k)[0]
    pixels, _ = load_digits(return_X_y=True)
    squares = cdist(pixels, pixels, "sqeuclidean")
    np.fill_diagonal(squares, np.inf)
    near = np.argsort(squares, axis=1, kind="stable")[:, :k]
    joined = np.zeros(squares.shape, dtype=bool)
    joined[np.arange(len(near))[:, None], near] = True
    np.testing.assert_array_equal(graph.to_dense().bool(), joined | joined.T)
    assert not graph.has_repeated_edges()
    assert graph.adj.eid is None


def test_the_split_has_20_labels_a_class(dataset):
    graph = dataset[0]
    assert graph.y[graph.train_mask].bincount().tolist() == [20] * 10
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(1).tolist() == [200, 500, 1097]
    assert (masks.sum(0) == 1).all()


def test_the_seed_draws_the_split_and_nothing_else(dataset):
    same, other = Digits(seed=0)[0], Digits(seed=1)[0]
    graph = dataset[0]
    assert torch.equal(same.train_mask, graph.train_mask)
    assert torch.equal(same.val_mask, graph.val_mask)
    assert not torch.equal(other.train_mask, graph.train_mask)
    assert torch.equal(other.edge_index, graph.edge_index)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    Digits(seed=2)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("k", [0, -1, 1797])
def test_k_must_be_a_number_of_other_nodes(k):
    with pytest.raises(ValueError, match=rf"k must be in \[1, 1796\].* got {k}"):
        Digits(k)


@pytest.mark.parametrize("k", [2.0, "3", True, None])
def test_k_must_be_a_whole_number(k):
    with pytest.raises(TypeError, match="k must be an int, got"):
        Digits(k)
