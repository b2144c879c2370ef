"""Seeded splits: the numbers asked for, no node twice, none without a label."""

from itertools import chain

import pytest
import torch

from gnnlib.datasets._splits import fractions, per_class

Y = torch.tensor([2, 0, -1, 0, 2] * 40)
MASKS = ("train_mask", "val_mask", "test_mask")


def drawn(masks: dict[str, torch.Tensor]) -> list[list[int]]:
    assert tuple(masks) == MASKS
    assert all(mask.dtype == torch.bool for mask in masks.values())
    return [masks[name].nonzero().flatten().tolist() for name in MASKS]


def test_each_class_gives_as_many_nodes_and_the_rest_are_to_test():
    masks = per_class(Y, num_train=20, num_val=30, seed=3)
    assert [Y[mask].bincount().tolist() for mask in masks.values()] == [
        [20, 0, 20],
        [30, 0, 30],
        [30, 0, 30],
    ]
    assert sorted(chain(*drawn(masks))) == (Y >= 0).nonzero().flatten().tolist()


def test_fractions_are_of_the_labelled_nodes():
    masks = fractions(len(Y), 0.6, 0.2, seed=3, labelled=Y >= 0)
    assert [len(part) for part in drawn(masks)] == [96, 32, 32]
    assert sorted(chain(*drawn(masks))) == (Y >= 0).nonzero().flatten().tolist()
    assert [len(part) for part in drawn(fractions(7, 0.5, 0.5))] == [3, 3, 1]
    assert [len(part) for part in drawn(fractions(10, 0.7, 0.3))] == [7, 3, 0]


@pytest.mark.parametrize(
    "split",
    [lambda seed: per_class(Y, 20, 30, seed), lambda seed: fractions(len(Y), 0.6, 0.2, seed)],
    ids=["per_class", "fractions"],
)
def test_a_split_depends_on_its_seed_alone(split):
    first = drawn(split(0))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert drawn(split(0)) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn(split(1)) != first


def test_wishes_that_cannot_be_met_are_refused():
    with pytest.raises(ValueError, match=r"= 20 \+ 70 nodes, class 0 has 80"):
        per_class(Y, 20, 70)
    with pytest.raises(ValueError, match="fractions with a sum of at most 1, got 0.7 and 0.4"):
        fractions(10, 0.7, 0.4)
    with pytest.raises(ValueError, match="fractions"):
        fractions(10, float("nan"), 0.1)
