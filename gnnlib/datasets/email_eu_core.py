"""E-mails within a European research institution, from SNAP."""

import os
from collections.abc import Callable

import numpy as np
import torch

from ..graph import Graph
from ._dataset import Dataset
from ._edges import distinct
from ._errors import DatasetError
from ._source import RemoteFile, Source
from ._sparse import identity
from ._splits import fractions
from ._text import numbers

_NUM_CLASSES = 42


class EmailEuCore(Dataset):
    """The members of a European research institution, and who wrote an e-mail to whom.

    1005 nodes, 24929 edges, 42 classes. Directed: an edge i → j says that i wrote to j. `y` [N] is
    the department. The members have no features, so `x` is the identity [N, N]
    (`SparseFeatures`). The 642 members who wrote to themselves have no loop; 19 of them have no
    edge then.

    The source has no split. `seed` draws 60 % of the nodes for `train_mask` and 20 % for
    `val_mask`; the rest are in `test_mask`. (Not as many of each class: some have one node.)

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        train, val: fractions of the nodes, rounded down; the rest are to test on.
        seed: draws the split.
        raw_edges: keep the edge list as published, with self-loops.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: fractions that are negative or more than 1 in sum.
        DownloadError: a file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: a file would have to be stored and the cache folder cannot be written.
        DatasetError: a file is damaged.

    References:
        Leskovec, Kleinberg and Faloutsos, "Graph evolution: densification and shrinking
        diameters", ACM TKDD 1(1), 2007. Yin, Benson, Leskovec and Gleich, "Local higher-order
        graph clustering", KDD 2017.

    Example:
        >>> from gnnlib.datasets import EmailEuCore
        >>> EmailEuCore()                           # doctest: +SKIP
        EmailEuCore('email-eu-core', num_graphs=1, num_features=1005, num_classes=42)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        train: float = 0.6,
        val: float = 0.2,
        seed: int = 0,
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(parse, root, raw_edges=raw_edges)
        super().__init__(
            "email-eu-core",
            [graph.replace(**fractions(graph.num_nodes, train, val, seed))],
            num_classes=_NUM_CLASSES,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes], raw_edges: bool = False) -> Graph:
    """The graph in the bytes of the edge list and of the list of departments, in this order.

    Lines may end as those of Unix or of Windows.

    Raises:
        DatasetError: a line is not two numbers, or a node has no department or several.
    """
    (edges_source, edges), (labels_source, labels) = files.items()
    num_nodes = len(labels.splitlines())
    node, label = numbers(labels, labels_source, (num_nodes, _NUM_CLASSES)).T
    if len(np.unique(node)) != num_nodes:
        twice = np.bincount(node).argmax()
        raise DatasetError(f"{labels_source} must name each node once, got {twice} several times")
    y = np.empty(num_nodes, dtype=np.int64)
    y[node] = label
    src, dst = np.ascontiguousarray(numbers(edges, edges_source, (num_nodes, num_nodes)).T)
    return Graph(
        torch.from_numpy(np.stack([src, dst]) if raw_edges else distinct(src, dst, num_nodes)),
        x=identity(num_nodes),
        y=torch.from_numpy(y),
        num_nodes=num_nodes,
    )


LICENCE = "not stated"
CITATION = (
    "J. Leskovec, J. Kleinberg, C. Faloutsos. Graph evolution: densification and shrinking "
    "diameters. ACM TKDD 1(1), 2007. H. Yin, A. R. Benson, J. Leskovec, D. F. Gleich. Local "
    "higher-order graph clustering. KDD 2017."
)
_URL = (
    "https://raw.githubusercontent.com/rameshkumarnunna/Social-Network-Analysis---R/"
    "cc2f2c32fd88833cd4a20c24024e56ba54d5cc62"
)
SOURCE = Source(
    "social",
    "email_eu_core",
    [
        RemoteFile(
            "email-Eu-core.txt",
            "52583871255368570372333457e854951e7e85f30cab4aa1afc5f5ce3cc1d2f8",
            218_269,
            f"{_URL}/email-Eu-core.txt",
        ),
        RemoteFile(
            "email-Eu-core-department-labels.txt",
            "015c8cee3eb7d15a03d1c5ceed87a9dc0964c978c16db01542e5ff8b93741c6d",
            7_542,
            f"{_URL}/email-Eu-core-department-labels.txt",
        ),
    ],
)
