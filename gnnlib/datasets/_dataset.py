"""What every dataset is: a sequence of graphs that knows its source."""

import copy
from collections.abc import Callable, Sequence
from typing import overload

from ..graph import Graph


class Dataset(Sequence[Graph]):
    """A sequence of graphs with the facts that are needed to train on them and to cite them.

    A slice is a dataset too. `transform` is applied once, to each graph.

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
    """

    def __init__(
        self,
        name: str,
        graphs: Sequence[Graph],
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
        self._graphs = [graph if transform is None else transform(graph) for graph in graphs]

    @property
    def num_features(self) -> int:
        """Columns of `x`, the same for all graphs."""
        return self._graphs[0].num_features if self._graphs else 0

    def __len__(self) -> int:
        return len(self._graphs)

    @overload
    def __getitem__(self, index: int) -> Graph: ...
    @overload
    def __getitem__(self, index: slice) -> "Dataset": ...
    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._graphs[index]
        part = copy.copy(self)
        part._graphs = self._graphs[index]
        return part

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, num_graphs={len(self)}, "
            f"num_features={self.num_features}, num_classes={self.num_classes})"
        )
