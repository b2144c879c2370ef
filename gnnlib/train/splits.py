"""Seeded divisions of rows, graphs or nodes, into those to train, to validate and to test on."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._validate import as_size


class Split(NamedTuple):
    """Three sets of row numbers, int64 and ascending, no row in two of them.

    Args:
        train: to train on.
        val: to choose by: the epoch, the settings.
        test: to measure on, once.
    """

    train: Tensor
    val: Tensor
    test: Tensor


def k_folds(y: Tensor, k: int, seed: int = 0, val_fraction: float = 0.1) -> list[Split]:
    """k divisions of the rows of y whose test parts are k sets that together are all rows.

    Each fold's other rows are divided once more: `val_fraction` of them to validate on, the rest to
    train on. Classes are shared out evenly: a part's rows of a class, and the rows of a test part,
    are within one of its share. The draw depends on `seed` and y alone: the global random state is
    neither read nor changed.

    Args:
        y: class numbers [N], shared out evenly; or anything else with N rows, such as floating
            numbers [N] or [N, T], of which only N matters. Rows of a class below 0 have no label
            and are in no part.
        k: number of folds.
        seed: of the draw.
        val_fraction: in (0, 1).

    Returns:
        k splits, on the CPU.

    Raises:
        ValueError: k < 2, k > N, a fraction out of range, or so few rows that a part is empty.

    Paper: Errica et al., "A fair comparison of graph neural networks for graph classification",
    ICLR 2020, with k = 10.

    Example:
        >>> folds = k_folds(torch.arange(20) % 2, k=5, val_fraction=0.25)
        >>> [[len(part) for part in fold] for fold in folds[:2]]
        [[12, 4, 4], [12, 4, 4]]
        >>> torch.equal(torch.cat([fold.test for fold in folds]).sort().values, torch.arange(20))
        True
    """
    classes = _classes(y)
    k, num_rows = as_size("k", k), sum(map(len, classes))
    if not 2 <= k <= num_rows:
        raise ValueError(f"k must be at least 2 and at most the {num_rows} labelled rows, got {k}")
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must be in (0, 1), got {val_fraction}")
    generator = torch.Generator().manual_seed(as_size("seed", seed))
    # As a part of each class, so that what is left of it needs no look at y again.
    tests = _shared_out(classes, [1 / k] * k, generator)
    splits = []
    for fold in range(k):
        rest = [torch.cat(parts) for parts in zip(*(tests[:fold] + tests[fold + 1 :]))]
        train, val = _shared_out(rest, [1 - val_fraction, val_fraction], generator)
        splits.append(_as_split(train, val, tests[fold]))
    return splits


def random_split(y: Tensor, fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0) -> Split:
    """One division of the rows of y, of these sizes.

    Classes are shared out evenly: a part's rows of a class are within one of its share. The draw
    depends on `seed` and y alone: the global random state is neither read nor changed.

    Args:
        y: class numbers [N], shared out evenly; or anything else with N rows, such as floating
            numbers [N] or [N, T], of which only N matters. Rows of a class below 0 have no label
            and are in no part.
        fractions: to train, to validate and to test on; positive, with the sum 1.
        seed: of the draw.

    Returns:
        The split, on the CPU.

    Raises:
        ValueError: other fractions, or so few rows that a part is empty.

    Example:
        >>> [len(part) for part in random_split(torch.rand(20, 3))]
        [16, 2, 2]
    """
    if len(fractions) != 3 or not min(fractions) > 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"fractions must be three positive numbers with the sum 1, got {tuple(fractions)}"
        )
    generator = torch.Generator().manual_seed(as_size("seed", seed))
    return _as_split(*_shared_out(_classes(y), fractions, generator))


def _classes(y: Tensor) -> list[Tensor]:
    """The rows of each class, or all rows where y is not of classes."""
    if y.ndim == 0:
        raise ValueError("y must have one row per graph or node, got a tensor of shape ()")
    if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
        return [torch.arange(len(y))]
    y = y.cpu()
    return [(y == label).nonzero().flatten() for label in y[y >= 0].unique().tolist()]


def _shared_out(
    classes: Sequence[Tensor], fractions: Sequence[float], generator: torch.Generator
) -> list[list[Tensor]]:
    """For each fraction, a random part of each class: its share, rounded down or up.

    What rounding leaves of a class goes to the parts that are furthest below their share of all the
    rows so far. So classes too small to be in each part do not all end in the same ones.
    """
    parts: list[list[Tensor]] = [[] for _ in fractions]
    owed = [0.0] * len(fractions)
    for rows in classes:
        shares = [fraction * len(rows) for fraction in fractions]
        sizes = [int(share + 1e-6) for share in shares]
        owed = [debt + share - size for debt, share, size in zip(owed, shares, sizes)]
        # Rounded, so that parts of one size are equal whatever was added before; the first wins.
        creditors = sorted(range(len(owed)), key=lambda part: -round(owed[part], 6))
        for part in creditors[: len(rows) - sum(sizes)]:
            sizes[part] += 1
            owed[part] -= 1
        drawn = rows[torch.randperm(len(rows), generator=generator)].split(sizes)
        for part, some in zip(parts, drawn):
            part.append(some)
    return parts


def _as_split(*parts: list[Tensor]) -> Split:
    split = Split(*(torch.cat([*part, torch.empty(0).long()]).sort().values for part in parts))
    sizes = {name: len(part) for name, part in split._asdict().items()}
    if not min(sizes.values()):
        raise ValueError(f"y must have rows enough for each part to have one, got parts of {sizes}")
    return split
