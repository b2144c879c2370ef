import pytest
import torch
from torch import Tensor

from gnnlib.train.splits import Split, k_folds, random_split

LABELS = {
    "balanced": torch.arange(100) % 4,
    "imbalanced": (torch.arange(188) < 63).long(),
    "sorted": torch.arange(600) // 100,
    "tiny classes": torch.tensor([0] * 40 + [1, 2, 3, 3, 4, 4, 4, 5, 6, 7, 8]),
    "numbers": torch.linspace(-1, 1, 103),
    "several labels": torch.full((57, 3), float("nan")),
}
every_y = pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)


def share(y: Tensor, rows: Tensor, of: Tensor) -> list[tuple[int, int]]:
    """How many rows of each class there are among `rows`, and among `of`."""
    if y.is_floating_point():
        return [(len(rows), len(of))]
    return [(int((y[rows] == c).sum()), int((y[of] == c).sum())) for c in y.unique().tolist()]


def equal(one: Split, other: Split) -> bool:
    return all(torch.equal(*parts) for parts in zip(one, other))


@every_y
@pytest.mark.parametrize("k", [2, 3, 10])
def test_folds_are_partitions_with_an_even_share_of_each_class(y, k):
    folds = k_folds(y, k, seed=3)
    everything = torch.arange(len(y))
    assert len(folds) == k
    assert torch.equal(torch.cat([fold.test for fold in folds]).sort().values, everything)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        assert torch.equal(torch.cat(fold).sort().values, everything)
        assert all(part.dtype == torch.int64 and (part.diff() > 0).all() for part in fold)
        for number, total in share(y, fold.test, everything):
            assert abs(number - total / k) < 1
        rest = torch.cat([fold.train, fold.val])
        for number, total in share(y, fold.val, rest):
            assert abs(number - total / 10) < 1
        assert abs(len(fold.val) - len(rest) / 10) <= 1


@every_y
@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.48, 0.32, 0.2)])
def test_a_random_split_has_an_even_share_of_each_class(y, fractions):
    split = random_split(y, fractions, seed=3)
    everything = torch.arange(len(y))
    assert torch.equal(torch.cat(split).sort().values, everything)
    for part, fraction in zip(split, fractions):
        for number, total in share(y, part, everything):
            assert abs(number - fraction * total) < 1
        assert abs(len(part) - fraction * len(y)) <= 1


@every_y
def test_a_split_depends_on_the_seed_alone(y):
    state = torch.random.get_rng_state()
    folds, split = k_folds(y, 5, seed=1), random_split(y, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1234)
    assert all(map(equal, folds, k_folds(y, 5, seed=1)))
    assert equal(split, random_split(y, seed=1))
    assert not any(map(equal, folds, k_folds(y, 5, seed=2)))
    assert not equal(split, random_split(y, seed=2))


def test_numbers_do_not_change_a_split_but_their_count_does():
    folds = k_folds(torch.rand(50), 5)
    assert all(map(equal, folds, k_folds(torch.rand(50, 12), 5)))
    assert not any(map(equal, folds, k_folds(torch.rand(51), 5)))


def test_the_splits_of_a_seed_stay_what_they_are():
    y = torch.arange(12) % 2
    tests = [fold.test.tolist() for fold in k_folds(y, 3, val_fraction=0.25)]
    assert tests == [[1, 4, 7, 10], [0, 6, 9, 11], [2, 3, 5, 8]]
    parts = [part.tolist() for part in random_split(y, (0.5, 0.25, 0.25))]
    assert parts == [[1, 4, 6, 7, 10, 11], [0, 2, 9], [3, 5, 8]]


def test_a_row_without_a_label_is_in_no_part():
    y = torch.arange(60) % 3
    y[10:20] = -1
    labelled = (y >= 0).nonzero().flatten()
    assert torch.equal(torch.cat(random_split(y)).sort().values, labelled)
    for fold in k_folds(y, 5):
        assert torch.equal(torch.cat(fold).sort().values, labelled)


def test_classes_smaller_than_k_are_spread_over_the_folds():
    y = torch.arange(50) // 2  # 25 classes of two
    for fold in k_folds(y, 10):
        assert len(fold.test) == 5
        assert len(y[fold.test].unique()) == 5


@pytest.mark.parametrize("k", [-1, 0, 1, 7])
def test_folds_are_2_to_the_number_of_rows(k):
    with pytest.raises(ValueError, match=rf"k must be .*, got {k}"):
        k_folds(torch.tensor([0, 0, 1, 1, 0, 1, -1]), k)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_is_between_0_and_1(fraction):
    with pytest.raises(ValueError, match=r"val_fraction must be in \(0, 1\), got"):
        k_folds(torch.rand(20), 5, val_fraction=fraction)


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.8, 0.2, 0.0), (0.5, 0.3, 0.3), (2, -0.5, -0.5)]
)
def test_fractions_are_three_with_the_sum_1(fractions):
    with pytest.raises(ValueError, match="three positive numbers with the sum 1, got"):
        random_split(torch.rand(20), fractions)


def test_an_empty_part_is_refused():
    with pytest.raises(ValueError, match=r"each part to have one, got parts of .*'val': 0"):
        k_folds(torch.rand(5), 5)
    with pytest.raises(ValueError, match="each part to have one, got parts of"):
        random_split(torch.rand(2))
    with pytest.raises(ValueError, match="each part to have one, got parts of"):
        random_split(torch.full((9,), -1))
    with pytest.raises(ValueError, match="one row per graph or node"):
        random_split(torch.tensor(1))
