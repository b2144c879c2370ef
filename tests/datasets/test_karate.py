"""Karate: networkx's graph, its clubs, and a split with one label a club."""

import networkx
import numpy as np
import pytest
import torch

from gnnlib.datasets import Karate

CLUB = networkx.karate_club_graph()


@pytest.fixture(scope="module")
def dataset() -> Karate:
    return Karate()


def test_the_edges_and_weights_are_those_of_networkx(dataset):
    graph = Karate(weighted=True)[0]
    np.testing.assert_array_equal(graph.to_dense(), networkx.to_numpy_array(CLUB))
    assert torch.equal(dataset[0].to_dense(), graph.to_dense().sign())
    assert "edge_weight" not in dataset[0]
    assert graph.edge_weight.dtype == torch.float32
    assert graph.adj.eid is None


def test_the_labels_are_the_clubs(dataset):
    names = [("Mr. Hi", "Officer")[label] for label in dataset[0].y.tolist()]
    assert names == [club for _, club in CLUB.nodes(data="club")]
    assert repr(dataset) == "Karate('karate', num_graphs=1, num_features=34, num_classes=2)"
    assert torch.equal(dataset[0].x, torch.eye(34))
    assert dataset.licence
    assert dataset.citation


def test_one_member_of_each_club_is_labelled(dataset):
    graph = dataset[0]
    assert graph.train_mask.nonzero().flatten().tolist() == [0, 33]
    assert graph.y[graph.train_mask].tolist() == [0, 1]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(1).tolist() == [2, 10, 22]
    assert (masks.sum(0) == 1).all()


def test_the_seed_draws_the_nodes_for_validation_alone(dataset):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    other, same = Karate(seed=1)[0], Karate(seed=0)[0]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(same.val_mask, dataset[0].val_mask)
    assert not torch.equal(other.val_mask, dataset[0].val_mask)
    assert torch.equal(other.train_mask, dataset[0].train_mask)


def test_a_transform_is_applied():
    assert "y" not in Karate(transform=lambda graph: graph.replace(y=None))[0]
