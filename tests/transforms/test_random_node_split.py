"""RandomNodeSplit: sizes, classes, seeds, and what cannot be drawn."""

import pytest
import torch
from torch import Tensor

from gnnlib import Graph
from gnnlib.transforms import RandomNodeSplit
from tests.pyg import transforms

EMPTY = torch.empty(2, 0, dtype=torch.long)
MASKS = ("train_mask", "val_mask", "test_mask")
Y = torch.arange(300) % 3


def masks(transform: RandomNodeSplit, y: Tensor = Y) -> Tensor:
    """[3, N], after a check that no node is in two masks."""
    graph = transform(Graph(EMPTY, y=y))
    stacked = torch.stack([graph[name] for name in MASKS])
    assert stacked.dtype == torch.bool
    assert int(stacked.sum(0).max()) <= 1
    return stacked


@pytest.mark.parametrize("split", ["random", "train_rest", "test_rest"])
def test_sizes_are_those_of_pyg(split):
    theirs = transforms.RandomNodeSplit(split, 1, 20, 50, 0.25)(Graph(EMPTY, y=Y).to_pyg())
    ours = masks(RandomNodeSplit(split, num_val=50, num_test=0.25))
    assert ours.sum(1).tolist() == [int(theirs[name].sum()) for name in MASKS]
    if split != "train_rest":
        assert Y[ours[0]].bincount().tolist() == [20, 20, 20]


def test_fractions_of_one_use_nearly_all_nodes_and_always_fit():
    for size in range(1, 60):
        split = RandomNodeSplit(num_train_per_class=0.6, num_val=0.2, num_test=0.2)
        ours = masks(split, torch.zeros(size, dtype=torch.long))
        assert ours.sum(1).tolist() == [size * 3 // 5, size // 5, size // 5]
    assert masks(RandomNodeSplit("train_rest", num_val=0.29, num_test=1)).sum(1)[1] == 87


def test_a_fraction_is_drawn_of_each_class():
    y = torch.tensor([0] * 10 + [1] * 40)
    ours = masks(RandomNodeSplit(num_train_per_class=0.5, num_val=0, num_test=0), y)
    assert y[ours[0]].bincount().tolist() == [5, 20]


@pytest.mark.parametrize("split", ["random", "train_rest", "test_rest"])
def test_nodes_without_a_label_are_in_no_mask(split):
    y = torch.where(torch.arange(300) % 7 == 0, -1, Y)
    ours = masks(RandomNodeSplit(split, num_train_per_class=5, num_val=0.5, num_test=20), y)
    assert not ours[:, y < 0].any()
    assert ours[1].sum() == int((y >= 0).sum()) // 2


def test_the_seed_alone_decides():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = masks(RandomNodeSplit(num_val=30, num_test=30))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    assert torch.equal(first, masks(RandomNodeSplit(num_val=30, num_test=30)))
    assert not torch.equal(first, masks(RandomNodeSplit(num_val=30, num_test=30, seed=1)))


def test_every_node_of_a_class_is_as_likely_as_another():
    drawn = torch.zeros(30)
    for seed in range(400):
        split = RandomNodeSplit(num_train_per_class=2, num_val=3, num_test=3, seed=seed)
        drawn += masks(split, torch.arange(30) % 3)[0]
    assert drawn.sum() == 2400
    assert (drawn - 80).abs().max() < 40  # 5 standard deviations of the binomial


def test_other_tensors_and_the_structure_stay():
    graph = Graph([[0, 1], [1, 2]], x=torch.ones(3, 2), kind=[0, 1, 0], edge_attr=torch.ones(2))
    split = RandomNodeSplit(num_train_per_class=1, num_val=1, num_test=0, key="kind")(graph)
    assert split.adj is graph.adj
    assert all(split[name] is value for name, value in graph.items())


@pytest.mark.parametrize(
    ("transform", "y", "message"),
    [
        (RandomNodeSplit(), Y, r"num_val=500 and num_test=1000: 240 of its 300 labelled ones are"),
        (RandomNodeSplit("train_rest"), Y, "num_test=1000: 300 of its 300 labelled ones are left$"),
        (RandomNodeSplit("test_rest"), Y, "num_val=500: 240 of .* left after 60 to train on"),
        (
            RandomNodeSplit(num_train_per_class=101),
            Y,
            "class 0 to draw num_train.*=101: it has 100",
        ),
        (RandomNodeSplit(key="label"), Y, r"needs graph\.label, which"),
        (RandomNodeSplit(), torch.ones(3, 2).long(), r"y must have shape \[num_nodes\]"),
    ],
)
def test_what_cannot_be_drawn_is_said(transform, y, message):
    with pytest.raises(ValueError, match=message):
        transform(Graph(EMPTY, y=y))


def test_labels_must_be_classes():
    with pytest.raises(TypeError, match=r"y must hold classes as integers, got torch\.float32"):
        RandomNodeSplit()(Graph(EMPTY, y=torch.rand(5)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"split": "rest"}, "split must be one of '.*_rest', .*; got 'rest'"),
        ({"num_val": 1.5}, r"num_val must be a number of nodes or in \[0, 1\], got 1.5"),
        ({"num_test": -1}, "num_test must be 0 or more, got -1"),
        ({"num_test": float("nan")}, "num_test must be a number of nodes or in"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_wrong_arguments_are_refused_at_once(wrong, message):
    with pytest.raises(ValueError, match=message):
        RandomNodeSplit(**wrong)


def test_numbers_must_be_numbers():
    with pytest.raises(TypeError, match="num_val must be an int, got str"):
        RandomNodeSplit(num_val="3")  # pyright: ignore[reportArgumentType]


def test_repr_is_what_a_config_records():
    assert repr(RandomNodeSplit(seed=3)) == (
        "RandomNodeSplit(split='random', num_train_per_class=20, num_val=500, num_test=1000,"
        " key='y', seed=3)"
    )
