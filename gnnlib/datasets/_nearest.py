"""Edges between points and those that are nearest to them."""

import torch
from torch import Tensor


def joined(near: Tensor) -> Tensor:
    """edge_index [2, E] between each node and those in its row of `near` [N, k], both ways.

    Each edge stands there once, by destination and then by source.

    Example:
        >>> joined(torch.tensor([[1], [2], [1]])).tolist()
        [[1, 0, 2, 1], [0, 1, 1, 2]]
    """
    adjacent = torch.zeros(len(near), len(near), dtype=torch.bool).scatter_(1, near, True)
    return (adjacent | adjacent.T).nonzero().T.flip(0)
