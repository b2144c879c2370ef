"""Breast cancer: the graph by its definition, the split by its sizes."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from gnnlib.datasets import BreastCancer


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return StandardScaler().fit_transform(load_breast_cancer(return_X_y=True)[0])


def test_the_measurements_are_scaled_and_labelled(points):
    dataset = BreastCancer()
    graph = dataset[0]
    np.testing.assert_allclose(graph.x, points, rtol=1e-5, atol=1e-6)
    assert graph.x.dtype == torch.float32
    np.testing.assert_array_equal(graph.y, load_breast_cancer(return_X_y=True)[1])
    assert dataset.licence and dataset.citation


@pytest.mark.parametrize("k", [1, 8])
def test_each_tumour_is_joined_to_its_nearest_in_both_directions(k, points):
    graph = BreastCancer(k)[0]
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    adjacent = np.zeros(distances.shape, dtype=bool)
    np.put_along_axis(adjacent, distances.argsort(axis=1)[:, :k], True, axis=1)
    np.testing.assert_array_equal(graph.to_dense().bool(), adjacent | adjacent.T)
    assert not graph.has_repeated_edges()
    assert graph.adj.eid is None


def test_the_seed_draws_a_split_of_20_and_30_labels_a_class():
    graph, other = BreastCancer()[0], BreastCancer(seed=1)[0]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert [graph.y[mask].bincount().tolist() for mask in masks[:2]] == [[20, 20], [30, 30]]
    assert (masks.sum(0) == 1).all()
    assert torch.equal(BreastCancer(seed=0)[0].test_mask, graph.test_mask)
    assert not torch.equal(other.train_mask, graph.train_mask)
    assert torch.equal(other.edge_index, graph.edge_index)


def test_k_must_be_a_number_of_other_nodes():
    for k in (0, 569):
        with pytest.raises(ValueError, match=rf"k must be in \[1, 568\], got {k}"):
            BreastCancer(k)
    with pytest.raises(TypeError, match="k must be an int"):
        BreastCancer("3")  # pyright: ignore[reportArgumentType]
