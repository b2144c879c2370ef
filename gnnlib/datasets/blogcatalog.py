"""Bloggers of BlogCatalog with one label each, in a MATLAB file."""

import os
from collections.abc import Callable

import numpy as np
import torch

from ..graph import Graph
from ._dataset import Dataset
from ._errors import DatasetError
from ._mat import Entries, adjacency_edges, load
from ._source import RemoteFile, Source
from ._sparse import from_entries
from ._splits import per_class

_NUM_CLASSES = 6


class BlogCatalog(Dataset):
    """Bloggers, the keywords of their blogs, and who is whose friend.

    5196 nodes, 343486 edges, 8189 features, 6 classes. The graph has `x` (`SparseFeatures` [N, F],
    how often a blog has the keyword: not normalised), `y` [N], the blog's topic, and
    `train_mask`, `val_mask`, `test_mask` [N]. Each friendship is an edge in both directions.

    The source has no split. `seed` draws 20 nodes of each class to train on and 30 to validate
    on; the rest are to test on (Shchur et al., "Pitfalls of graph neural network evaluation",
    2018).

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        seed: draws the split.
        transform: applied once to the graph, after the cache.

    Raises:
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    References:
        Huang, Li and Hu, "Label informed attributed network embedding", WSDM 2017. Liu et al.,
        "Anomaly detection on attributed networks via contrastive self-supervised learning", IEEE
        TNNLS 33(6), 2022, from whose repository the file is.

    Example:
        >>> from gnnlib.datasets import BlogCatalog
        >>> BlogCatalog()                           # doctest: +SKIP
        BlogCatalog('blogcatalog', num_graphs=1, num_features=8189, num_classes=6)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(parse, root)
        super().__init__(
            "blogcatalog",
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=_NUM_CLASSES,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes]) -> Graph:
    """The graph in the variables `Network`, `Attributes` and `Label`; labels count from 1.

    Raises:
        DatasetError: the file is damaged, or its variables contradict one another.
    """
    [(source, data)] = files.items()
    found = load(data, source, ["Network", "Attributes", "Label"])
    edge_index, num_nodes = adjacency_edges(found["Network"], f"{source}, variable Network")
    words, label = found["Attributes"], found["Label"]
    if not isinstance(words, Entries) or words.shape[0] != num_nodes:
        raise DatasetError(
            f"{source}, variable Attributes must be sparse and have {num_nodes} rows, "
            f"got {type(words).__name__} of shape {words.shape}"
        )
    with np.errstate(over="ignore"):
        values = words.values.astype(np.float32)
    if not np.isfinite(values).all():
        raise DatasetError(f"{source}, variable Attributes must hold finite float32 numbers")
    if isinstance(label, Entries) or label.shape != (num_nodes, 1):
        raise DatasetError(
            f"{source}, variable Label must be a column of {num_nodes} numbers, "
            f"got {type(label).__name__} of shape {label.shape}"
        )
    if not np.isin(label, np.arange(1, _NUM_CLASSES + 1)).all():
        raise DatasetError(f"{source}, variable Label must hold classes 1 to {_NUM_CLASSES}")
    return Graph(
        torch.from_numpy(edge_index),
        x=from_entries(words.row, words.col, values, *words.shape),
        y=torch.from_numpy(label[:, 0].astype(np.int64) - 1),
        num_nodes=num_nodes,
    )


LICENCE = "MIT, by the LICENSE of github.com/GRAND-Lab/CoLA, which does not name the data"
CITATION = (
    "X. Huang, J. Li, X. Hu. Label informed attributed network embedding. WSDM 2017. "
    "Y. Liu, Z. Li, S. Pan, C. Gong, C. Zhou, G. Karypis. Anomaly detection on attributed "
    "networks via contrastive self-supervised learning. IEEE TNNLS 33(6), 2022."
)
SOURCE = Source(
    "social",
    "blogcatalog_attributed",
    [
        RemoteFile(
            "BlogCatalog.mat",
            "886e1d8dec043588247ef7188fe6459f2ba657b6b9211d73f255d28b42f06b0c",
            1_476_789,
            "https://raw.githubusercontent.com/GRAND-Lab/CoLA/"
            "c2b5273fe6368509dfc558a485764003f5f18ca3/raw_dataset/BlogCatalog/BlogCatalog.mat",
        )
    ],
)
