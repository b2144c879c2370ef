"""Bloggers of BlogCatalog with several labels each, in a MATLAB file."""

import os
from collections.abc import Callable

import torch

from ..graph import Graph
from ._dataset import Dataset
from ._errors import DatasetError
from ._mat import Entries, adjacency_edges, load
from ._source import RemoteFile, Source
from ._sparse import identity
from ._splits import fractions

_NUM_GROUPS = 39


class BlogCatalog3(Dataset):
    """Bloggers, the groups they are in, and who is whose friend: several labels a node.

    10312 nodes, 667966 edges, 39 groups. `y` [N, 39] (float32) is 1 where a blogger is in a group;
    each is in at least one. The bloggers have no features, so `x` is the identity [N, N]
    (`SparseFeatures`). Each friendship is an edge in both directions.

    The source has no split. The node2vec paper trains on a half of the nodes, drawn at random. So
    does `train_mask`; `val_mask` has a tenth, `test_mask` the rest.

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        train, val: fractions of the nodes, rounded down; the rest are to test on.
        seed: draws the split.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: fractions that are negative or more than 1 in sum.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    References:
        Tang and Liu, "Relational learning via latent social dimensions", KDD 2009. Perozzi,
        Al-Rfou and Skiena, "DeepWalk: online learning of social representations", KDD 2014, from
        whose repository the file is. Grover and Leskovec, "node2vec: scalable feature learning for
        networks", KDD 2016.

    Example:
        >>> from gnnlib.datasets import BlogCatalog3
        >>> BlogCatalog3()                          # doctest: +SKIP
        BlogCatalog3('blogcatalog3', num_graphs=1, num_features=10312, num_classes=39)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        train: float = 0.5,
        val: float = 0.1,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(parse, root)
        super().__init__(
            "blogcatalog3",
            [graph.replace(**fractions(graph.num_nodes, train, val, seed))],
            num_classes=_NUM_GROUPS,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes]) -> Graph:
    """The graph in the variables `network` and `group`, a sparse matrix of nodes and groups.

    Raises:
        DatasetError: the file is damaged, or its variables contradict one another.
    """
    [(source, data)] = files.items()
    found = load(data, source, ["network", "group"])
    edge_index, num_nodes = adjacency_edges(found["network"], f"{source}, variable network")
    group = found["group"]
    if not isinstance(group, Entries) or group.shape != (num_nodes, _NUM_GROUPS):
        raise DatasetError(
            f"{source}, variable group must be sparse of shape {(num_nodes, _NUM_GROUPS)}, "
            f"got {type(group).__name__} of shape {group.shape}"
        )
    if not (group.values == 1).all():
        raise DatasetError(f"{source}, variable group must hold ones, and else nothing")
    y = torch.zeros(num_nodes, _NUM_GROUPS)
    y[torch.from_numpy(group.row), torch.from_numpy(group.col)] = 1
    return Graph(torch.from_numpy(edge_index), x=identity(num_nodes), y=y, num_nodes=num_nodes)


LICENCE = (
    "GPL-3.0 or LGPL-3.0 (github.com/phanein/deepwalk has the text of one under the name of the "
    "other), which does not name the data"
)
CITATION = (
    "L. Tang, H. Liu. Relational learning via latent social dimensions. KDD 2009. "
    "B. Perozzi, R. Al-Rfou, S. Skiena. DeepWalk: online learning of social representations. "
    "KDD 2014."
)
SOURCE = Source(
    "social",
    "blogcatalog3_multilabel",
    [
        RemoteFile(
            "blogcatalog.mat",
            "d4f4fb89ce1ccd4b7e2a183386c000773cc9362cc61f1be5b246a6d9c259da8f",
            1_255_783,
            "https://raw.githubusercontent.com/phanein/deepwalk/"
            "6e6dff245e4692e9bea47e9017c1034e51afbf29/example_graphs/blogcatalog.mat",
        )
    ],
)
