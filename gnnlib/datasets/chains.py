"""Directed chains: what their first node knows has to reach the last."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..graph import Graph
from ._dataset import Dataset
from ._generated import LICENCE, as_count, node_masks, seeded

CITATION = (
    "F. Gu, H. Chang, W. Zhu, S. Sojoudi, L. El Ghaoui. Implicit graph neural networks. "
    "Advances in Neural Information Processing Systems 33, 2020."
)


class Chains(Dataset):
    """Chains of nodes, each of one class, which only the features of its first node tell.

    One graph of C · K · L nodes for C classes, K = `num_chains` chains of each and L = `length`:
    node l of a chain has an edge to node l + 1. `y` [N] is the class of the chain. `x` [N, F] is
    zero but at the first node of each chain, where it is the one-hot class. A model is right about
    a node at place l if it carries information over l edges.

    The protocol is that of implicit GNNs (Gu et al. 2020): 2 classes, 20 chains of each, 100
    features, and of all nodes, drawn at random, 5 % to train on, 10 % to validate on and 85 % to
    test on. Our choices: the draw by `seed`, and 100 as the default length (the paper varies it).

    Args:
        length: nodes of a chain.
        num_chains: chains of each class.
        num_classes: classes.
        num_features: columns of x, of which the first `num_classes` are used.
        train, val: fractions of the nodes, rounded down; the rest are test nodes.
        seed: draws the split.
        transform: applied once to the graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: one below 1, fewer features than classes, or fractions that are negative or
            more than 1 in sum.

    Reference:
        Gu, Chang, Zhu, Sojoudi and El Ghaoui, "Implicit graph neural networks", NeurIPS 2020.

    Example:
        >>> from gnnlib.datasets import Chains
        >>> dataset = Chains(length=10)
        >>> dataset
        Chains('chains', num_graphs=1, num_features=100, num_classes=2)
        >>> dataset[0].num_nodes, dataset[0].num_edges, int(dataset[0].train_mask.sum())
        (400, 360, 20)
    """

    def __init__(
        self,
        length: int = 100,
        num_chains: int = 20,
        num_classes: int = 2,
        num_features: int = 100,
        *,
        train: float = 0.05,
        val: float = 0.1,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("length", length)
        as_count("num_chains", num_chains)
        as_count("num_classes", num_classes)
        as_count("num_features", num_features)
        if num_features < num_classes:
            raise ValueError(
                "num_features must be at least num_classes, which it encodes: got"
                f" num_features={num_features}, num_classes={num_classes}"
            )
        if not (train >= 0 and val >= 0 and train + val <= 1):  # NaN too
            raise ValueError(
                f"train and val must be fractions with a sum of at most 1, got {train} and {val}"
            )
        num_nodes = num_classes * num_chains * length
        y = torch.arange(num_classes).repeat_interleave(num_chains * length)  # [N]
        order = torch.randperm(num_nodes, generator=seeded(seed))
        graph = Graph(
            _edges(num_nodes, length),
            x=_features(y, length, num_features),
            y=y,
            **node_masks(num_nodes, int(train * num_nodes), int(val * num_nodes), order),
        )
        super().__init__(
            "chains",
            [graph],
            num_classes=num_classes,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def _edges(num_nodes: int, length: int) -> Tensor:
    nodes = torch.arange(num_nodes)
    source = nodes[nodes % length != length - 1]
    return torch.stack([source, source + 1])


def _features(y: Tensor, length: int, num_features: int) -> Tensor:
    x = torch.zeros(len(y), num_features)
    first = torch.arange(0, len(y), length)
    x[first, y[first]] = 1.0
    return x
