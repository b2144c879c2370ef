"""A dataset made ready to be trained on: its graph or graphs, its task, and its splits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..batch import Batch
from ..graph import Graph
from .examples import MASKS, Data, GraphSplit
from .splits import Split
from .task import Task


@dataclass(frozen=True)
class Material:
    """What there is to train on.

    Args:
        whole: one graph, or a Batch of all graphs.
        task: what is to be learned.
        num_outputs: classes, labels or numbers: what a model must give.
        num_folds: how many splits there are.
        split: gives the rows of each part in a fold.
    """

    whole: Graph
    task: Task
    num_outputs: int
    num_folds: int
    split: Callable[[int], Split]

    @property
    def edge_dim(self) -> int | None:
        """Columns of edge_attr, if there are any that a layer can read."""
        if "edge_attr" not in self.whole or self.whole.edge_attr.ndim != 2:
            return None
        return self.whole.edge_attr.shape[1]

    def data(self, fold: int) -> Data:
        """A fold, as a Trainer takes it."""
        split, whole = self.split(fold), self.whole
        if isinstance(whole, Batch) and self.task.level == "graph":
            return GraphSplit(*(whole.select(rows) for rows in split))
        masks = dict(zip(MASKS, (mask_of(rows, whole) for rows in split)))
        return whole.replace(**masks)

    def to(self, device: torch.device) -> "Material":
        """The material with its graphs there."""
        return Material(
            self.whole.to(device), self.task, self.num_outputs, self.num_folds, self.split
        )


def mask_of(rows: Tensor, graph: Graph) -> Tensor:
    mask = torch.zeros(graph.num_nodes, dtype=torch.bool)
    mask[rows] = True
    return mask.to(graph.device)


def split_of(graph: Graph) -> Split:
    """The rows that the graph's masks select."""
    return Split(*(graph[mask].nonzero().flatten().cpu() for mask in MASKS))


def has_masks(graph: Any) -> bool:
    return all(mask in graph for mask in MASKS)
