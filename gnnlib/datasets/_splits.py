"""Seeded splits into train, validation and test nodes, for the sources that publish none."""

import torch
from torch import Tensor

from ._generated import as_count, node_masks, seeded


def per_class(
    y: Tensor, num_train: int = 20, num_val: int = 30, seed: int = 0
) -> dict[str, Tensor]:
    """Masks [N] of `num_train` and `num_val` nodes of each class of `y` [N]; the rest are to test.

    The numbers are those of Shchur et al., "Pitfalls of graph neural network evaluation", 2018.
    Nodes without a label (`y` below 0) are in no mask.

    Raises:
        ValueError: a class has fewer nodes than that.

    Example:
        >>> masks = per_class(torch.tensor([0, 1, 0, 1, -1, 0, 1]), num_train=1, num_val=1)
        >>> {name: int(mask.sum()) for name, mask in masks.items()}
        {'train_mask': 2, 'val_mask': 2, 'test_mask': 2}
    """
    wanted = as_count("num_train", num_train, 0) + as_count("num_val", num_val, 0)
    order = torch.randperm(len(y), generator=seeded(seed))
    order = order[y[order] >= 0]
    order = order[y[order].argsort(stable=True)]  # class by class
    labels, sizes = y[order].unique_consecutive(return_counts=True)
    for label, size in zip(labels.tolist(), sizes.tolist(), strict=True):
        if size < wanted:
            raise ValueError(
                f"each class must have num_train + num_val = {num_train} + {num_val} nodes,"
                f" class {label} has {size}"
            )
    first = sizes.cumsum(0) - sizes
    place = torch.arange(len(order)) - first.repeat_interleave(sizes)  # within its class
    part = (place >= num_train).long() + (place >= wanted)  # 0 train, 1 validation, 2 test
    order = order[part.argsort(stable=True)]
    return node_masks(len(y), num_train * len(sizes), num_val * len(sizes), order)


def fractions(
    num_nodes: int, train: float, val: float, seed: int = 0, labelled: Tensor | None = None
) -> dict[str, Tensor]:
    """Masks [N] of these fractions of the nodes, rounded down; the rest are to test.

    Nodes that are not in the mask `labelled` [N] are in no mask; by default all are.

    Raises:
        ValueError: fractions that are negative or more than 1 in sum.

    Example:
        >>> masks = fractions(10, train=0.6, val=0.2)
        >>> {name: int(mask.sum()) for name, mask in masks.items()}
        {'train_mask': 6, 'val_mask': 2, 'test_mask': 2}
    """
    if not (train >= 0 and val >= 0 and train + val <= 1 + 1e-9):  # NaN too
        raise ValueError(
            f"train and val must be fractions with a sum of at most 1, got {train} and {val}"
        )
    order = torch.randperm(num_nodes, generator=seeded(seed))
    if labelled is not None:
        order = order[labelled[order]]
    num_train, num_val = (int(part * len(order) + 1e-9) for part in (train, val))
    return node_masks(num_nodes, num_train, num_val, order)
