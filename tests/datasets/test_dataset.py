"""A dataset is a sequence of graphs."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.datasets import Dataset


def make(count: int = 4, transform=None) -> Dataset:
    graphs = [Graph([[0], [1]], x=torch.full((2, 3), float(i))) for i in range(count)]
    return hold(graphs, transform)


def hold(graphs, transform=None) -> Dataset:
    return Dataset(
        "pairs", graphs, num_classes=2, licence="CC0-1.0", citation="none", transform=transform
    )


@pytest.fixture(params=["list", "batch"])
def held(request) -> Dataset:
    graphs = list(make())
    return hold(graphs if request.param == "list" else Batch.from_graphs(graphs))


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


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_integers_choose_graphs_in_their_order(kind, held):
    assert values(held[kind([3, 0, -1, 3])]) == [3, 0, 3, 3]
    assert values(held[kind([3, 1])][kind([1])]) == [1]
    assert len(held[kind([])]) == 0
    assert isinstance(held[kind([2])], Dataset)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_a_mask_chooses_graphs(kind, held):
    assert values(held[kind([False, True, False, True])]) == [1, 3]
    with pytest.raises(IndexError, match="a mask needs 4 entries, one per graph, got 3"):
        held[kind([False, True, True])]


@pytest.mark.parametrize("index", [2, np.int32(2), np.array(2), torch.tensor(2)])
def test_one_integer_of_any_kind_is_a_graph(index, held):
    assert isinstance(held[index], Graph)
    assert int(held[index].x[0, 0]) == 2


@pytest.mark.parametrize("index", ["1", None, 1.0, [0.5], [[1, 2]], {}, ["a"], np.array([1.0])])
def test_what_chooses_no_graphs_is_refused(index, held):
    with pytest.raises(TypeError, match="index must be a slice, a bool mask|graph numbers must be"):
        held[index]


@pytest.mark.parametrize("index", [4, -5, [0, 4], [-5]])
def test_a_number_that_is_too_large_is_refused(index, held):
    with pytest.raises(IndexError, match=r"has 4 graphs, got (graph )?(4|-5)|out of range"):
        held[index]


def test_a_batch_is_kept_and_gives_its_graphs_when_asked():
    batch = Batch.from_graphs(list(make()))
    dataset = hold(batch)
    assert dataset._graphs is batch
    assert isinstance(dataset[1:]._graphs, Batch)  # mini-batches are cut from it, not joined
    assert values(dataset) == values(dataset[:]) == [0, 1, 2, 3]
    assert values(reversed(dataset)) == values(dataset[::-1]) == [3, 2, 1, 0]
    assert dataset.num_features == 3
    assert values(pickle.loads(pickle.dumps(dataset))) == [0, 1, 2, 3]  # noqa: S301


def test_an_empty_dataset_has_a_repr():
    assert "num_graphs=0" in repr(make()[:0])


def test_a_transform_is_applied_to_each_graph_once():
    dataset = make(transform=lambda graph: graph.replace(x=graph.x[:, :2] + 1))
    assert dataset.num_features == 2
    assert values(dataset) == [1, 2, 3, 4]
    assert dataset[1] is dataset[1]


def test_a_dataset_can_be_pickled():
    assert values(pickle.loads(pickle.dumps(make()))) == [0, 1, 2, 3]  # noqa: S301
