"""What every dataset is: a sequence of graphs that knows its source."""

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any, overload

import torch

from .._validate import as_positions
from ..batch import Batch
from ..graph import Graph


class Dataset(Sequence[Graph]):
    """A sequence of graphs with the facts that are needed to train on them and to cite them.

    `dataset[3]` is a graph. `dataset[10:20]`, `dataset[[5, 0, 2]]` (a list, array or tensor of
    integers, in any order) and `dataset[mask]` (a bool for each graph) are datasets too.
    `transform` is applied once, to each graph.

    Attributes:
        name: what the dataset is called.
        num_classes: number of classes.
        licence: the terms under which the data may be used, as its source states them.
        citation: the publications to cite.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graphs = [Graph(torch.tensor([[0], [1]]), x=torch.ones(2, 3)) for _ in range(4)]
        >>> dataset = Dataset("pairs", graphs, num_classes=2, licence="CC0-1.0", citation="none")
        >>> dataset
        Dataset('pairs', num_graphs=4, num_features=3, num_classes=2)
        >>> dataset[1:3]
        Dataset('pairs', num_graphs=2, num_features=3, num_classes=2)
        >>> len(dataset[torch.tensor([3, 0, 3])])
        3
    """

    _graphs: Sequence[Graph] | Batch  # a Batch, which makes them when they are asked for, or a list

    def __init__(
        self,
        name: str,
        graphs: Sequence[Graph] | Batch,
        *,
        num_classes: int,
        licence: str,
        citation: str,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        self.name = name
        self.num_classes = num_classes
        self.licence = licence
        self.citation = citation
        if transform is not None:
            graphs = [transform(graph) for graph in graphs]
        self._graphs = graphs if isinstance(graphs, Batch) else list(graphs)

    @property
    def num_features(self) -> int:
        """Columns of `x`, the same for all graphs."""
        return self._graphs[0].num_features if self._graphs else 0

    def __len__(self) -> int:
        return len(self._graphs)

    @overload
    def __getitem__(self, index: int) -> Graph: ...
    @overload
    def __getitem__(self, index: Any) -> "Dataset": ...
    def __getitem__(self, index):
        if hasattr(index, "__index__") and getattr(index, "ndim", 0) == 0:
            return self._graphs[operator.index(index)]
        numbers = as_positions(
            index, len(self), torch.device("cpu"), "index", "the dataset", "graph"
        )
        part = copy.copy(self)
        if isinstance(self._graphs, Batch):
            part._graphs = self._graphs.select(numbers)
        else:
            part._graphs = [self._graphs[number] for number in numbers.tolist()]
        return part

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, num_graphs={len(self)}, "
            f"num_features={self.num_features}, num_classes={self.num_classes})"
        )
