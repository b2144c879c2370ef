"""A user's own graph as something to train on."""

from functools import partial
from pathlib import Path

from ..datasets import Dataset
from ..graph import Graph
from ._checks import check_trainable
from .sources import SOURCES, Source
from .task import Task


def find_source(dataset: str) -> Source:
    """The source with this name, or of a graph in this file.

    A graph from a file, written by `Graph.save`, is trained on as it is. It has as many classes as
    its largest label says, or as many labels or numbers as y has columns.

    Raises:
        ValueError: neither a name nor a file.

    Example:
        >>> find_source("digits").load().num_outputs
        10
        >>> find_source("no/such.graph")
        Traceback (most recent call last):
        ValueError: dataset must be one of ... or the file of a graph; got 'no/such.graph'
    """
    if dataset in SOURCES:
        return SOURCES[dataset]
    if not Path(dataset).is_file():
        names = ", ".join(map(repr, SOURCES))
        raise ValueError(f"dataset must be one of {names} or the file of a graph; got {dataset!r}")
    return Source(partial(_open, dataset))


def _open(path: str) -> Dataset:
    graph = Graph.load(path)
    try:
        check_trainable(graph)
        num_outputs = Task.of("node", graph.y).num_outputs(graph.y)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from None
    if num_outputs < 1:
        raise ValueError(f"{path}: y must hold class numbers from 0 on, got none")
    return Dataset(Path(path).stem, [graph], num_classes=num_outputs, licence="", citation="")
