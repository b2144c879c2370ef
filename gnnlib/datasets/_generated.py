"""What the datasets that are made rather than read share: their terms, doors and masks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._validate import as_size

LICENCE = "CC0-1.0 (made by a generator, not collected)"
THE_MODEL = (
    "F. Scarselli, M. Gori, A. C. Tsoi, M. Hagenbuchner, G. Monfardini. The graph neural network "
    "model. IEEE Transactions on Neural Networks 20(1), 2009."
)
CAPABILITIES = (
    "F. Scarselli, M. Gori, A. C. Tsoi, M. Hagenbuchner, G. Monfardini. Computational capabilities "
    "of graph neural networks. IEEE Transactions on Neural Networks 20(1), 2009."
)
_MASKS = ("train_mask", "val_mask", "test_mask")


def seeded(seed: int) -> torch.Generator:
    """Randomness of its own, so that the global state is neither read nor changed."""
    return torch.Generator().manual_seed(as_size("seed", seed))


def as_count(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an integer in [least, most]."""
    count = as_size(name, value)
    if count < least or (most is not None and count > most):
        bound = f"in [{least}, {most}]" if most is not None else f"{least} or more"
        raise ValueError(f"{name} must be {bound}, got {count}")
    return count


def as_density(density: float) -> float:
    """The probability of an edge."""
    if not 0 <= density <= 1:
        raise ValueError(f"density must be in [0, 1], the probability of an edge; got {density}")
    return float(density)


def node_masks(num_nodes: int, num_train: int, num_val: int, order: Tensor) -> dict[str, Any]:
    """The first nodes of `order` to train on, the next to validate on, the rest to test on.

    A node that is not in `order` is in no mask.
    """
    as_count("num_train", num_train, least=0)
    as_count("num_val", num_val, least=0)
    num_test = len(order) - num_train - num_val
    if num_test < 0:
        raise ValueError(
            f"num_train + num_val must be at most the {len(order)} nodes,"
            f" got {num_train} + {num_val}"
        )
    parts = order.split([num_train, num_val, num_test])
    empty = torch.zeros(num_nodes, dtype=torch.bool)
    return {name: empty.index_fill(0, part, True) for name, part in zip(_MASKS, parts, strict=True)}


def graph_masks(num_graphs: Sequence[int], num_nodes: int) -> list[dict[str, Any]]:
    """Masks of each of the graphs, whose nodes are all in one: training graphs come first."""
    if len(num_graphs) != len(_MASKS):
        raise ValueError(
            "num_graphs must be three numbers, of graphs to train, validate and test on; got"
            f" {tuple(num_graphs)}"
        )
    counts = [as_count("num_graphs", count, least=0) for count in num_graphs]
    return [
        {name: torch.full((num_nodes,), name == part) for name in _MASKS}
        for part, count in zip(_MASKS, counts, strict=True)
        for _ in range(count)
    ]
