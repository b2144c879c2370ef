"""A dataset is a sequence of graphs."""

import pickle
from collections.abc import Sequence

import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import Dataset


def make(count: int = 4, transform=None) -> Dataset:
    graphs = [Graph([[0], [1]], x=torch.full((2, 3), float(i))) for i in range(count)]
    return Dataset(
        "pairs", graphs, num_classes=2, licence="CC0-1.0", citation="none", transform=transform
    )


def values(dataset) -> list[int]:
    return [int(graph.x[0, 0]) for graph in dataset]


def test_a_dataset_is_a_sequence():
    dataset = make()
    assert isinstance(dataset, Sequence)
    assert len(dataset) == 4
    assert values(dataset) == [0, 1, 2, 3]
    assert values(reversed(dataset)) == [3, 2, 1, 0]
    assert dataset[-1] is dataset[3]
    assert dataset[2] in dataset
    with pytest.raises(IndexError):
        dataset[4]


def test_a_slice_is_a_dataset_of_the_same_facts():
    part = make()[::2]
    assert isinstance(part, Dataset)
    assert values(part) == [0, 2]
    assert values(part[1:]) == [2]
    assert (part.num_features, part.num_classes, part.licence) == (3, 2, "CC0-1.0")
    assert repr(part) == "Dataset('pairs', num_graphs=2, num_features=3, num_classes=2)"
    assert len(make()) == 4


def test_an_empty_dataset_has_a_repr():
    assert "num_graphs=0" in repr(make()[:0])


def test_a_transform_is_applied_to_each_graph_once():
    dataset = make(transform=lambda graph: graph.replace(x=graph.x[:, :2] + 1))
    assert dataset.num_features == 2
    assert values(dataset) == [1, 2, 3, 4]
    assert dataset[1] is dataset[1]


def test_a_dataset_can_be_pickled():
    assert values(pickle.loads(pickle.dumps(make()))) == [0, 1, 2, 3]  # noqa: S301
