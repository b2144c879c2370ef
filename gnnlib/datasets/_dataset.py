"""What every dataset is: a sequence of graphs that knows its source."""

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any, overload

import torch

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
        part = copy.copy(self)
        part._graphs = [self._graphs[k] for k in _numbers(index, len(self))]
        return part

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, num_graphs={len(self)}, "
            f"num_features={self.num_features}, num_classes={self.num_classes})"
        )


def _numbers(index: Any, length: int) -> list[int]:
    """Which of `length` graphs a slice, integers or a mask choose."""
    if isinstance(index, slice):
        return list(range(length)[index])
    try:
        chosen = torch.as_tensor(index)
    except (TypeError, ValueError, RuntimeError):
        chosen = torch.empty(())
    if chosen.numel() == 0 and chosen.dim() == 1:
        chosen = chosen.long()  # an empty list has no dtype of its own
    if chosen.dim() != 1 or chosen.is_floating_point() or chosen.is_complex():
        raise TypeError(
            "a dataset takes an int, a slice, integers or a mask of one dimension;"
            f" got {type(index).__name__}"
        )
    if chosen.dtype != torch.bool:
        numbers = chosen.tolist()
        for number in numbers:
            if not -length <= number < length:
                raise IndexError(f"the dataset has {length} graphs, got {number}")
        return numbers
    if len(chosen) != length:
        raise IndexError(f"a mask must have {length} values, one per graph; got {len(chosen)}")
    return chosen.nonzero().flatten().tolist()
