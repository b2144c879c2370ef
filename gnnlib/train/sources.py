"""The datasets that `gnnlib train` knows by name, and what is done to each before training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..datasets.catalogue import CATALOGUE
from ..graph import Graph
from ..transforms import NormalizeFeatures


@dataclass(frozen=True)
class Source:
    """Where a graph comes from.

    Args:
        open: gives the dataset, a sequence of graphs with `.num_classes`; may download it.
        transforms: applied to a graph, in this order, before it is trained on.
    """

    open: Callable[[], Any]
    transforms: tuple[Callable[[Graph], Graph], ...] = ()

    def load(self) -> tuple[Graph, int]:
        """The dataset's graph, transformed, and its number of classes."""
        dataset = self.open()
        graph = dataset[0]
        for transform in self.transforms:
            graph = transform(graph)
        return graph, dataset.num_classes


# Their x counts words; it is divided by how many there are.
OF_DOCUMENTS = ("cora", "citeseer", "pubmed")

SOURCES: dict[str, Source] = {
    name: Source(entry.open, (NormalizeFeatures(),) if name in OF_DOCUMENTS else ())
    for name, entry in CATALOGUE.items()
}
