"""Masks that divide the nodes into those to train on, to validate on and to test on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import unknown_choice
from .._validate import as_size
from ..graph import Graph

_SPLITS = ("random", "train_rest", "test_rest")


@dataclass(frozen=True)
class RandomNodeSplit:
    """Draws `train_mask`, `val_mask` and `test_mask` [N], no node in two of them.

    Nodes without a label (`y` below 0) are in no mask. The draw depends on `seed` and the labels
    alone: the global random state is neither read nor changed.

    Args:
        split: 'random' draws `num_train_per_class` nodes of each class to train on, then `num_val`
            and `num_test` of the rest; with 'test_rest' all of the rest after validation are test
            nodes; with 'train_rest' `num_val` and `num_test` are drawn first and all other nodes
            are trained on. (PyG's default is 'train_rest'.)
        num_train_per_class: nodes, or with a float the fraction of the nodes of each class, rounded
            down; not used by 'train_rest'.
        num_val: nodes, or with a float the fraction of all labelled nodes, rounded down.
        num_test: the same; not used by 'test_rest'.
        key: the labels, an integer tensor [N].
        seed: of the draw.

    Raises:
        TypeError: a number that is neither an int nor a float, labels that are no integers.
        ValueError: a fraction outside [0, 1], a graph without labels, or one with too few nodes.

    The defaults are those of "Semi-Supervised Classification with Graph Convolutional Networks"
    (Kipf and Welling, ICLR 2017); 'test_rest' is used in "Pitfalls of Graph Neural Network
    Evaluation" (Shchur et al., 2018).

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0], [1]], y=[0, 0, 0, 1, 1, 1, 1, -1])
        >>> RandomNodeSplit(num_train_per_class=1, num_val=2, num_test=0.5)(graph)
        Graph(num_nodes=8, num_edges=1, y=[8], train_mask=2, val_mask=2, test_mask=3)
    """

    split: str = "random"
    num_train_per_class: int | float = 20
    num_val: int | float = 500
    num_test: int | float = 1000
    key: str = "y"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in _SPLITS:
            raise unknown_choice("split", self.split, _SPLITS)
        for name in ("num_train_per_class", "num_val", "num_test"):
            value = getattr(self, name)
            if not isinstance(value, float):
                as_size(name, value)
            elif not 0 <= value <= 1:
                raise ValueError(f"{name} must be a number of nodes or in [0, 1], got {value}")
        as_size("seed", self.seed)

    def __call__(self, graph: Graph) -> Graph:
        y = self._labels(graph)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(graph.num_nodes, generator=generator)
        order = order[y[order] >= 0]
        num_labelled = len(order)
        num_val = _count(self.num_val, num_labelled)
        num_test = 0 if self.split == "test_rest" else _count(self.num_test, num_labelled)

        train = order[:0]
        if self.split != "train_rest":
            chosen = self._of_each_class(y, order)
            train, order = order[chosen], order[~chosen]
        if num_val + num_test > len(order):
            wanted = f"num_val={num_val}"
            wanted += "" if self.split == "test_rest" else f" and num_test={num_test}"
            drawn = f" after {len(train)} to train on" if len(train) else ""
            raise ValueError(
                f"the graph has too few nodes to draw {wanted}: {len(order)} of its"
                f" {num_labelled} labelled ones are left{drawn}"
            )
        val, rest = order[:num_val], order[num_val:]
        test = rest if self.split == "test_rest" else rest[:num_test]
        if self.split == "train_rest":
            train = rest[num_test:]
        parts = {"train_mask": train, "val_mask": val, "test_mask": test}
        zeros = torch.zeros(graph.num_nodes, dtype=torch.bool)
        return graph.replace(
            **{
                name: zeros.index_fill(0, part, True).to(graph.device)
                for name, part in parts.items()
            }
        )

    def _labels(self, graph: Graph) -> Tensor:
        if self.key not in graph:
            raise ValueError(
                f"RandomNodeSplit needs graph.{self.key}, which this graph does not have"
            )
        y = graph[self.key]
        if y.dim() != 1 or len(y) != graph.num_nodes:
            raise ValueError(
                f"{self.key} must have shape [num_nodes]: graph has num_nodes={graph.num_nodes},"
                f" got shape {tuple(y.shape)}"
            )
        if y.is_floating_point() or y.is_complex():
            raise TypeError(f"{self.key} must hold classes as integers, got {y.dtype}")
        return y.long().cpu()

    def _of_each_class(self, y: Tensor, order: Tensor) -> Tensor:
        """Which nodes of `order` are the first of their class in it, as many as are asked for."""
        chosen = torch.zeros(len(order), dtype=torch.bool)
        for label, size in zip(*(part.tolist() for part in y[order].unique(return_counts=True))):
            number = _count(self.num_train_per_class, size)
            if number > size:
                raise ValueError(
                    f"the graph has too few nodes of class {label} to draw"
                    f" num_train_per_class={number}: it has {size}"
                )
            chosen[(y[order] == label).nonzero()[:number]] = True
        return chosen


def _count(value: float, total: int) -> int:
    """`value`, or that fraction of `total`; rounded down, so that fractions that add to 1 fit."""
    return int(value * total + 1e-9) if isinstance(value, float) else value
