"""Parity: a label's bits, and a graph that does not matter."""

from collections.abc import Callable

import torch

from ..graph import Graph
from . import _random_graphs
from ._dataset import Dataset
from ._generated import CAPABILITIES, LICENCE, as_count, as_density, node_masks, seeded


class Parity(Dataset):
    """A random graph whose nodes have random bits; the class is whether their sum is odd.

    `x` [N, F] holds F bits and `y` [N] = (Σ_f x_f) mod 2. The edges say nothing: the task shows
    whether a model can compute a hard function of a node's own label and leave the rest alone.

    From the paper: the task. Our choices: all of the numbers, and 1 for odd.

    Args:
        num_nodes: N.
        num_bits: F.
        density: probability of an edge.
        num_train, num_val: nodes to train and to validate on; the rest are test nodes.
        seed: draws everything.
        transform: applied once to the graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: one below 1, too few nodes for the split, a probability outside [0, 1].

    Reference:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "Computational capabilities of graph
        neural networks", IEEE Transactions on Neural Networks 20(1), 2009.

    Example:
        >>> from gnnlib.datasets import Parity
        >>> graph = Parity()[0]
        >>> bool((graph.x.sum(1) % 2 == graph.y).all())
        True
    """

    def __init__(
        self,
        num_nodes: int = 500,
        num_bits: int = 4,
        *,
        density: float = 0.01,
        num_train: int = 200,
        num_val: int = 100,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("num_nodes", num_nodes)
        as_count("num_bits", num_bits)
        generator = seeded(seed)
        joined = _random_graphs.gnp(num_nodes, as_density(density), generator)
        x = torch.randint(2, (num_nodes, num_bits), generator=generator)
        order = torch.randperm(num_nodes, generator=generator)
        graph = Graph(
            _random_graphs.edge_index_of(joined),
            x=x.float(),
            y=x.sum(1) % 2,
            **node_masks(num_nodes, num_train, num_val, order),
        )
        super().__init__(
            "parity",
            [graph],
            num_classes=2,
            licence=LICENCE,
            citation=CAPABILITIES,
            transform=transform,
        )
