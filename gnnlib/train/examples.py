"""What a model is trained on: the nodes of one graph, or mini-batches of many graphs."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ..batch import Batch
from ..graph import Graph
from ..loader.data_loader import joined
from .task import Level

PARTS = ("train", "val", "test")
MASKS = ("train_mask", "val_mask", "test_mask")


class GraphSplit(NamedTuple):
    """Many graphs in three parts; each is a Batch, a Dataset or a list of Graphs."""

    train: Any
    val: Any
    test: Any


Data: TypeAlias = Graph | GraphSplit | tuple[Any, Any, Any]


class Step(NamedTuple):
    """What one step of the optimizer looks at."""

    graph: Graph
    rows: Tensor | None  # of the model's outputs; None: all of them
    y: Tensor


class NodesOfGraph:
    """The labelled nodes of one graph, in one step; one pass gives the outputs of all parts."""

    level: Level = "node"
    many = False

    def __init__(self, graph: Graph):
        self.first = graph
        self.graphs = {"graph": graph}
        self.rows = {part: graph[f"{part}_mask"].nonzero().squeeze(1) for part in PARTS}
        self.y = {part: graph.y[rows] for part, rows in self.rows.items()}

    def where(self, part: str) -> str:
        """What the labels of a part are called in an error."""
        return f"{part}_mask"

    def steps(self) -> Iterator[Step]:
        yield Step(self.first, self.rows["train"], self.y["train"])

    def outputs(self, run: Callable[[Graph], Tensor], parts: Sequence[str]) -> dict[str, Tensor]:
        out = run(self.first)
        return {part: out[self.rows[part]] for part in parts}


class ManyGraphs:
    """Graphs in three parts, in mini-batches of at most `batch_size`; the labels are those of the
    graphs if they have `graph_y`, else those of their nodes."""

    many = True

    def __init__(self, split: GraphSplit, batch_size: int):
        self._batch_size = batch_size
        self.graphs: dict[str, Batch] = dict(zip(PARTS, split))
        self.first = self.graphs["train"]
        self.level: Level = "graph" if "graph_y" in self.first else "node"
        name = "graph_y" if self.level == "graph" else "y"
        self.y = {part: batch[name] for part, batch in self.graphs.items()}
        self.rows: dict[str, None] = dict.fromkeys(PARTS)  # all of them
        self._label = name
        self._evaluated: dict[str, list[Graph]] = {}

    def where(self, part: str) -> str:
        """What the labels of a part are called in an error."""
        return f"the graphs of {part}"

    def steps(self) -> Iterator[Step]:
        """Mini-batches of the training graphs in a new order."""
        order = torch.randperm(len(self.first))
        for batch in _batches(self.first, order, self._batch_size):
            yield Step(batch, None, batch[self._label])

    def outputs(self, run: Callable[[Graph], Tensor], parts: Sequence[str]) -> dict[str, Tensor]:
        return {part: torch.cat([run(b) for b in self._in_order(part)]) for part in parts}

    def _in_order(self, part: str) -> list[Graph]:
        """The part's graphs in mini-batches, made once: they are the same in each epoch."""
        if part not in self._evaluated:
            whole = self.graphs[part]
            order = torch.arange(len(whole))
            size = WITHOUT_GRADIENT * self._batch_size
            self._evaluated[part] = list(_batches(whole, order, size))
        return self._evaluated[part]


WITHOUT_GRADIENT = 4  # times as many graphs fit: what a layer has read need not be kept


def _batches(whole: Batch, order: Tensor, batch_size: int) -> Iterator[Batch]:
    # Spread evenly: a last mini-batch of one graph has no variance for a BatchNorm.
    for numbers in order.tensor_split(ceil(len(order) / batch_size)):
        yield whole.select(numbers)


def examples_of(data: Data, batch_size: int = 32) -> NodesOfGraph | ManyGraphs:
    """The examples in what a Trainer was given, which has been looked at by `check_trainable`."""
    return NodesOfGraph(data) if isinstance(data, Graph) else ManyGraphs(as_split(data), batch_size)


def device_of(data: Data) -> torch.device:
    """Where the graphs are; the training graphs, where there are three sequences of them."""
    return data.device if isinstance(data, Graph) else as_split(data).train.device


def as_split(data: Any) -> GraphSplit:
    """Three Batches.

    Raises:
        TypeError: it is neither a Graph nor three sequences of graphs.
        ValueError: a part without graphs, or graphs whose tensors differ.
    """
    if not isinstance(data, tuple) or len(data) != len(PARTS):
        raise TypeError(
            "graph must be a Graph with masks, or a tuple of three sequences of graphs: to train, "
            f"to validate and to test; got {type(data).__name__}"
            + (f" of {len(data)}" if isinstance(data, tuple) else "")
        )
    batches = []
    for part, graphs in zip(PARTS, data):
        try:
            if not len(graphs):
                raise ValueError("it must have at least one graph, got none")
            batch = joined(graphs)
            batches.append(batch if isinstance(batch, Batch) else Batch.from_graphs(list(batch)))
        except (TypeError, ValueError) as error:
            raise type(error)(f"the graphs to {_VERBS[part]}: {error}") from None
    return GraphSplit(*batches)


_VERBS = {"train": "train", "val": "validate", "test": "test"}
