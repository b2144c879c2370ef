"""European users of Deezer, from FEATHER."""

import os
from collections.abc import Callable

from ..graph import Graph
from ._archive import members
from ._dataset import Dataset
from ._musae import Form, parse
from ._source import RemoteFile, Source
from ._splits import per_class


class DeezerEurope(Dataset):
    """European users of Deezer, the artists they like, and who follows each other.

    28281 nodes, 185504 edges, 31241 features, 2 classes. The graph has `x` (`SparseFeatures`
    [N, F], 1 where a user likes the artist), `y` [N], the gender that the authors derived from the
    user's name (0 or 1, which is which they do not say), and `train_mask`, `val_mask`, `test_mask`
    [N]. Each pair is an edge in both directions. 6159 users like no artist: their rows of `x` are
    zero.

    The source has no split. `seed` draws 20 nodes of each class to train on and 30 to validate
    on; the rest are to test on (Shchur et al., "Pitfalls of graph neural network evaluation",
    2018).

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        seed: draws the split.
        raw_edges: keep the edge list as published: each pair in one direction.
        transform: applied once to the graph, after the cache.

    Raises:
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    Reference:
        Rozemberczki and Sarkar, "Characteristic functions on graphs: birds of a feather, from
        statistical descriptors to parametric models", CIKM 2020.

    Example:
        >>> from gnnlib.datasets import DeezerEurope
        >>> DeezerEurope()                          # doctest: +SKIP
        DeezerEurope('deezer-europe', num_graphs=1, num_features=31241, num_classes=2)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        seed: int = 0,
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(parse_archive, root, raw_edges=raw_edges)
        super().__init__(
            "deezer-europe",
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=len(FORM.classes),
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse_archive(files: dict[str, bytes], raw_edges: bool = False) -> Graph:
    """The graph in the bytes of the zip, the only one of `files`.

    Raises:
        DatasetError: it is damaged, or lacks a member, or one is not in its format.
    """
    [(source, data)] = files.items()
    found = members(data, source, MEMBERS, limit=2**26)
    return parse({name: found[name] for name in MEMBERS}, FORM, raw_edges)


MEMBERS = (
    "deezer_europe/deezer_europe_edges.csv",
    "deezer_europe/deezer_europe_features.json",
    "deezer_europe/deezer_europe_target.csv",
)
LICENCE = "not stated"
CITATION = (
    "B. Rozemberczki, R. Sarkar. Characteristic functions on graphs: birds of a feather, from "
    "statistical descriptors to parametric models. CIKM 2020."
)
FORM = Form(
    edges="node_1,node_2",
    labels="id,target",
    node="id",
    label="target",
    classes=("0", "1"),
    num_features=31241,
)
SOURCE = Source(
    "social",
    "deezer_europe",
    [
        RemoteFile(
            "deezer_europe.zip",
            "c8633cd1b543a9d730d7bc9c18c43e09bb9d668e4c2c52eabade40285f5d5bea",
            2_591_045,
            "https://raw.githubusercontent.com/mabeerkhan/Intermediate-Programing/"
            "ca3fc0aab07a8822a3a9f40d89022383ff4292d6/data/deezer_europe.zip",
        )
    ],
)
