"""Neighbor counts: how many nodes are one step away, or two."""

from collections.abc import Callable

import torch

from .._errors import unknown_choice
from ..graph import Graph
from . import _random_graphs
from ._dataset import Dataset
from ._generated import CAPABILITIES, LICENCE, as_count, as_density, node_masks, seeded


class NeighborCount(Dataset):
    """A random graph and, for each node, the number of its neighbors or of theirs.

    `y` [N] is the size of ne[n] for `order` 1; for order 2, the number of nodes other than n
    that have an edge to a neighbor of n. `x` [N, 1] is 1 for all nodes: the structure tells
    everything. As y is a number, the dataset has no classes.

    From the paper: the two tasks (the neighbors and the second-order neighbors problem) on one
    random graph. Our choices: what is counted for order 2, and all of the numbers.

    Args:
        num_nodes: N.
        order: 1 or 2.
        density: probability of an edge.
        num_train, num_val: nodes to train and to validate on; the rest are test nodes.
        seed: draws everything.
        transform: applied once to the graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: an order that is neither 1 nor 2, too few nodes for the split, a probability
            outside [0, 1].

    Reference:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "Computational capabilities of graph
        neural networks", IEEE Transactions on Neural Networks 20(1), 2009.

    Example:
        >>> from gnnlib.datasets import NeighborCount
        >>> graph = NeighborCount(300, num_train=100, num_val=100)[0]
        >>> bool((graph.y == graph.adj.degree()).all())
        True
    """

    def __init__(
        self,
        num_nodes: int = 500,
        order: int = 1,
        *,
        density: float = 0.01,
        num_train: int = 125,
        num_val: int = 125,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("num_nodes", num_nodes)
        if order not in (1, 2):
            raise unknown_choice("order", order, ("1", "2"))
        generator = seeded(seed)
        joined = _random_graphs.gnp(num_nodes, as_density(density), generator)
        counted = joined
        if order == 2:
            counted = (joined.float() @ joined.float() > 0).fill_diagonal_(False)
        order_of_nodes = torch.randperm(num_nodes, generator=generator)
        graph = Graph(
            _random_graphs.edge_index_of(joined),
            x=torch.ones(num_nodes, 1),
            y=counted.sum(1).float(),
            **node_masks(num_nodes, num_train, num_val, order_of_nodes),
        )
        super().__init__(
            "neighbor_count",
            [graph],
            num_classes=0,
            licence=LICENCE,
            citation=CAPABILITIES,
            transform=transform,
        )
