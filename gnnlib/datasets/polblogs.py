"""Political weblogs of the American election of 2004, in GML."""

import os
from collections.abc import Callable

import numpy as np
import torch

from ..graph import Graph
from ._dataset import Dataset
from ._edges import distinct
from ._errors import DatasetError
from ._gml import blocks
from ._source import RemoteFile, Source
from ._sparse import identity
from ._splits import per_class
from ._text import as_number


class Polblogs(Dataset):
    """Weblogs on politics in the USA in 2004, and which links to which.

    1490 nodes, 19022 edges, 2 classes. Directed: an edge i → j says that blog i links to blog j.
    `y` [N] is 0 for the liberal, 1 for the conservative ones. The blogs have no features, so `x`
    is the identity [N, N] (`SparseFeatures`). The 65 links that the file lists again are one edge,
    the 3 links of a blog to itself are none. 266 blogs have no edge.

    The source has no split. `seed` draws 20 nodes of each class to train on and 30 to validate
    on; the rest are to test on (Shchur et al., "Pitfalls of graph neural network evaluation",
    2018).

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        seed: draws the split.
        raw_edges: keep the edge list as published, with its repetitions and self-loops.
        transform: applied once to the graph, after the cache.

    Raises:
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    Reference:
        Adamic and Glance, "The political blogosphere and the 2004 US election: divided they
        blog", LinkKDD 2005.

    Example:
        >>> from gnnlib.datasets import Polblogs
        >>> Polblogs()                              # doctest: +SKIP
        Polblogs('polblogs', num_graphs=1, num_features=1490, num_classes=2)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        seed: int = 0,
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(parse, root, raw_edges=raw_edges)
        super().__init__(
            "polblogs",
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=2,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes], raw_edges: bool = False) -> Graph:
    """The graph in the bytes of the GML file, the only one of `files`.

    Nodes are numbered from 1; `value` is a node's class.

    Raises:
        DatasetError: the file is no GML, or not of one directed graph of two classes.
    """
    [(source, data)] = files.items()
    labels: dict[int, int] = {}
    ends: list[tuple[int, int, int]] = []  # line, source, target
    graphs = []
    for line, name, values in blocks(data, source):
        where = f"{source}, block {name} that ends in line {line}"
        if name == "node":
            node, label = _numbers(where, values, "id", "value")
            if node in labels or label > 1:
                raise DatasetError(f"{where}: id must be new and value 0 or 1, got {values}")
            labels[node] = label
        elif name == "edge":
            ends.append((line, *_numbers(where, values, "source", "target")))
        else:
            graphs.append(values.get("directed"))
    if graphs != ["1"]:
        raise DatasetError(f"{source} must hold one graph with directed 1, got {graphs}")
    num_nodes = len(labels)
    if sorted(labels) != list(range(1, num_nodes + 1)):
        raise DatasetError(f"{source} must number its {num_nodes} nodes from 1 to {num_nodes}")
    for line, *nodes in ends:
        if not all(1 <= node <= num_nodes for node in nodes):
            raise DatasetError(
                f"{source}, block edge that ends in line {line}: source and target must be in "
                f"[1, {num_nodes}], got {nodes}"
            )
    _, src, dst = np.array(ends, dtype=np.int64).reshape(-1, 3).T - 1
    return Graph(
        torch.from_numpy(np.stack([src, dst]) if raw_edges else distinct(src, dst, num_nodes)),
        x=identity(num_nodes),
        y=torch.tensor([labels[node] for node in range(1, num_nodes + 1)], dtype=torch.int64),
        num_nodes=num_nodes,
    )


def _numbers(where: str, values: dict[str, str], one: str, other: str) -> tuple[int, int]:
    numbers = as_number(values.get(one, "")), as_number(values.get(other, ""))
    if min(numbers) < 0:
        raise DatasetError(f"{where} must have the numbers {one} and {other}, got {values}")
    return numbers


LICENCE = "not stated"
CITATION = (
    "L. A. Adamic, N. Glance. The political blogosphere and the 2004 US election: divided they "
    "blog. LinkKDD workshop, 2005."
)
SOURCE = Source(
    "social",
    "polblogs",
    [
        RemoteFile(
            "polblogs.gml",
            "bd83e3dd2397a57d2252cc212524c21fee6708663136898d4ace523224bdc632",
            977_839,
            "https://raw.githubusercontent.com/shubbot/SocialNetworkAnalysis/"
            "9b3313eaa4c6bf6074e9411032f169a4242beed3/polblogs.gml",
        )
    ],
)
