"""The datasets that `gnnlib train` knows by name, and what is done to each before training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..datasets._molecules import NUM_ATOM_VALUES, NUM_BOND_VALUES
from ..datasets.catalogue import CATALOGUE, Entry
from ..graph import Graph
from ..loader.data_loader import joined
from ..transforms import NormalizeFeatures, OneHotDegree, OneHotFeatures
from .material import Material, has_masks, split_of
from .splits import Split, k_folds, random_split
from .task import Kind, Level, Task


@dataclass(frozen=True)
class Source:
    """Where graphs come from, and how they are split.

    Args:
        open: gives the dataset, a sequence of graphs with `.num_classes`; may download it.
        transforms: applied to the graphs, in this order, before they are trained on.
        level: "node": the dataset's first graph is trained on; "graph": all of them.
        split_by: the argument of `open` that numbers the splits of the nodes, if it has one.
        num_splits: how many of them there are; None: as many as one wants.
        metric: the usual one of this dataset, if it is another than that of its task.
    """

    open: Callable[..., Any]
    transforms: tuple[Callable[[Graph], Graph], ...] = ()
    level: Level = "node"
    split_by: str | None = None
    num_splits: int | None = None
    metric: str | None = None

    def load(
        self, folds: int | None = None, metric: str | None = None, kind: Kind | None = None
    ) -> Material:
        """The graphs, transformed, and their splits.

        Args:
            folds: for graphs, K-fold cross-validation; for nodes, that many of the dataset's
                splits. None: the one split that there is, or a random one, 80 % to train on (60 %
                of nodes), the rest in halves to validate and to test.
            metric: which one chooses the best epoch, if not the usual one.
            kind: the task, if the labels do not say it.

        Raises:
            ValueError: there are not so many folds, or the dataset has another kind of labels
                than the metric is for.
        """
        dataset = self.open()
        whole = self._graphs(dataset)
        for transform in self.transforms:
            whole = transform(whole)
        y = whole.graph_y if self.level == "graph" else whole.y
        task = Task.of(self.level, y, kind, metric or self.metric)
        return Material(whole, task, dataset.num_classes, folds or 1, self._splits(whole, y, folds))

    def graphs(self) -> Graph:
        """The graph, or a Batch of all graphs, before the transforms."""
        return self._graphs(self.open())

    def _graphs(self, dataset: Any) -> Graph:
        return joined(dataset) if self.level == "graph" else dataset[0]

    def _splits(self, whole: Graph, y: Any, folds: int | None) -> Callable[[int], Split]:
        if self.level == "graph":
            parts = [random_split(y)] if folds is None else k_folds(y, folds)
            return parts.__getitem__
        if folds is None:
            split = split_of(whole) if has_masks(whole) else random_split(y, NODES)
            return lambda fold: split
        if self.split_by is None:
            raise ValueError(f"folds needs a dataset with several splits, got folds={folds}")
        if self.num_splits is not None and folds > self.num_splits:
            raise ValueError(
                f"folds must be at most {self.num_splits}, the dataset's splits, got {folds}"
            )
        return cache(self._published)

    def _published(self, fold: int) -> Split:
        return split_of(self.open(**{self.split_by or "": fold})[0])


NODES = (0.6, 0.2, 0.2)

# x counts words there; it is divided by how many there are.
OF_DOCUMENTS = ("cora", "citeseer", "pubmed")
# The graphs have no x; the largest degree of each dataset is known.
OF_DEGREES = {"imdb-binary": 135, "imdb-multi": 88}

# Their x and edge_attr are categories.
OF_MOLECULES = (
    *("esol", "freesolv", "lipophilicity", "bbbp", "bace", "tox21", "clintox", "sider"),
)


def _source(entry: Entry) -> Source:
    transforms: tuple[Callable[[Graph], Graph], ...] = ()
    if entry.name in OF_DOCUMENTS:
        transforms = (NormalizeFeatures(),)
    if entry.name in OF_DEGREES:
        transforms = (OneHotDegree(OF_DEGREES[entry.name]),)
    if entry.name in OF_MOLECULES:
        transforms = (OneHotFeatures(NUM_ATOM_VALUES, NUM_BOND_VALUES),)
    level: Level = "graph" if entry.task.startswith("graph") else "node"
    return Source(
        entry.open, transforms, level, entry.split_by, entry.num_splits, metric=entry.metric
    )


SOURCES: dict[str, Source] = {name: _source(entry) for name, entry in CATALOGUE.items()}
