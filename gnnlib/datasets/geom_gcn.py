"""The web pages and actors of Geom-GCN, as it published them, with its ten splits each."""

import os
import re
from collections.abc import Callable

import numpy as np
import torch

from .._errors import unknown_choice
from ..features import SparseFeatures
from ..graph import Graph
from . import _geom_splits
from ._cache import cached
from ._dataset import Dataset
from ._download import cache_root, fetch
from ._edges import distinct
from ._errors import DatasetError
from ._sparse import from_entries

_CATEGORY = "heterophily"
_EDGES, _NODES = "out1_graph_edges.txt", "out1_node_feature_label.txt"
_EDGE_HEADER = "node_id\tnode_id"
_NODE_HEADER = re.compile(r"node_id\tfeature(\(feature_amount:(\d{1,6})\))?\tlabel")


class GeomGCN(Dataset):
    """Web pages of a university, or actors: what is written about them, and who links to whom.

    =========  =====  =====  ========  =======  =====  ==========  ====
    name       nodes  edges  features  classes  train  validation  test
    =========  =====  =====  ========  =======  =====  ==========  ====
    cornell    183    554    1703      5        87     59          37
    texas      183    558    1703      5        87     59          37
    wisconsin  251    900    1703      5        120    80          51
    film       7600   53318  932       5        3648   2432        1520
    =========  =====  =====  ========  =======  =====  ==========  ====

    The first three are PyG's WebKB, film is its Actor. The graph has `x` (`SparseFeatures` [N, F],
    float32, 1 for each word that occurs), `y` [N] (int64), and `train_mask`, `val_mask`,
    `test_mask` [N] of one split. Each link is an edge in both directions; repeated edges and
    self-loops are removed.

    As published, cornell has the features and labels of texas, with edges of its own. Results in
    the literature are on that graph (30 % of its edges are within a class); that of
    `HeterophilousGraphs` has features and labels of its own (12 %). Class 1 of
    cornell and texas has a single node.

    Args:
        name: "cornell", "texas", "wisconsin" or "film", in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        split: which of the ten splits, 0 to 9.
        raw_edges: keep the edge list as published: one direction, repetitions, self-loops.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name, or no such split.
        DownloadError: a file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: a file would have to be stored and the cache folder cannot be written.
        DatasetError: a file is damaged.

    Reference:
        Pei, Wei, Chang, Lei and Yang, "Geom-GCN: geometric graph convolutional networks",
        ICLR 2020.

    Example:
        >>> from gnnlib.datasets import GeomGCN
        >>> GeomGCN("film", split=3)                # doctest: +SKIP
        GeomGCN('film', num_graphs=1, num_features=932, num_classes=5)
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        split: int = 0,
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        key = str(name).lower()
        if key not in _CHECKSUMS:
            raise unknown_choice("name", name, _CHECKSUMS)
        split = _geom_splits.as_split(split)
        folder = f"geom_gcn_{key}"
        url = f"{_geom_splits.URL}new_data/{key}/"

        def read() -> Graph:
            edges, nodes = (
                fetch(_CATEGORY, folder, file, sha256, [url + file], root)
                for file, sha256 in zip((_EDGES, _NODES), _CHECKSUMS[key], strict=True)
            )
            return parse(edges.read_bytes(), nodes.read_bytes(), key, raw_edges)

        read_by = [*_CHECKSUMS[key], f"raw_edges={bool(raw_edges)}"]
        graph = cached(cache_root(root) / _CATEGORY / folder, read_by, read)
        masks = _geom_splits.masks(key, split, graph.num_nodes, _CATEGORY, folder, root)
        super().__init__(
            key,
            [graph.replace(**masks)],
            num_classes=int(graph.y.max()) + 1,
            licence=LICENCE,
            citation=f"{_ACTOR if key == 'film' else _WEBKB} {_geom_splits.CITATION}",
            transform=transform,
        )


def parse(edges: bytes, nodes: bytes, name: str, raw_edges: bool = False) -> Graph:
    """The graph, without masks, in the bytes of the two tables of a graph of Geom-GCN.

    The rows of the nodes come in any order. Features are a number for each column, or, where the
    header has a feature_amount, the columns that are 1, from 0 to that amount inclusive.

    Raises:
        DatasetError: a table is not in this format, or the two contradict one another.
    """
    of_nodes, of_edges = f"{name}/{_NODES}", f"{name}/{_EDGES}"
    header, rows = _table(nodes, of_nodes, columns=3)
    amount = _NODE_HEADER.fullmatch(header)
    if amount is None:
        raise DatasetError(f"{of_nodes} must have node_id, feature and label, got {header!r}")
    node = _integers([row[0] for row in rows], of_nodes)
    y = _integers([row[2] for row in rows], of_nodes)
    num_nodes = len(node)
    if not np.array_equal(np.sort(node), np.arange(num_nodes)):
        raise DatasetError(f"{of_nodes} must have each node of [0, {num_nodes}) once")
    if y.max() >= num_nodes:
        raise DatasetError(f"{of_nodes} must have classes, numbered from 0, got {y.max()}")

    header, pairs = _table(edges, of_edges, columns=2)
    if header != _EDGE_HEADER:
        raise DatasetError(f"{of_edges} must have two columns of node_id, got {header!r}")
    ends = _integers([end for pair in pairs for end in pair], of_edges).reshape(-1, 2)
    if ends.max() >= num_nodes:
        raise DatasetError(f"{of_edges} must have nodes in [0, {num_nodes}), got {ends.max()}")
    src, dst = ends.T
    if not raw_edges:
        src, dst = distinct(src, dst, num_nodes, both_ways=True)
    return Graph(
        torch.from_numpy(np.stack([src, dst])),
        x=_features([row[1] for row in rows], node, amount[2], of_nodes),
        y=torch.from_numpy(y[node.argsort()]),
        num_nodes=num_nodes,
    )


def _table(data: bytes, source: str, columns: int) -> tuple[str, list[list[str]]]:
    """The header of a table and its rows, split at tabs."""
    try:
        header, *lines = data.decode("ascii").rstrip("\n").split("\n")
    except UnicodeDecodeError:
        raise DatasetError(f"{source} must be text in ASCII") from None
    rows = [line.split("\t") for line in lines]
    if not rows or any(len(row) != columns for row in rows):
        raise DatasetError(f"{source} must have {columns} columns below a header")
    return header, rows


def _integers(fields: list[str], source: str) -> np.ndarray:
    if not all(field.isdigit() and len(field) < 10 for field in fields):
        raise DatasetError(f"{source} must have integers of 0 or more in its columns")
    return np.array(fields).astype(np.int64)


def _features(
    lists: list[str], node: np.ndarray, amount: str | None, source: str
) -> SparseFeatures:
    """The matrix [N, F] of the features, of which `lists[k]` belongs to `node[k]`."""
    split = [fields.split(",") for fields in lists]
    lengths = [len(fields) for fields in split]
    row = np.repeat(node, lengths)
    numbers = _integers([field for fields in split for field in fields], source)
    if amount is not None:
        if numbers.max() > int(amount):
            raise DatasetError(f"{source} must have features in [0, {amount}], got {numbers.max()}")
        return from_entries(row, numbers, None, len(node), int(amount) + 1)
    if min(lengths) != max(lengths) or numbers.max() > 1:
        raise DatasetError(f"{source} must have as many features, 0 or 1, for each node")
    col = np.tile(np.arange(lengths[0]), len(node))
    return from_entries(row[numbers == 1], col[numbers == 1], None, len(node), lengths[0])


LICENCE = "not stated by its source, github.com/graphdml-uiuc-jlu/geom-gcn"
_WEBKB = (
    "M. Craven, D. DiPasquo, D. Freitag, A. McCallum, T. Mitchell, K. Nigam, S. Slattery. Learning "
    "to extract symbolic knowledge from the World Wide Web. AAAI 1998."
)
_ACTOR = (
    "J. Tang, J. Sun, C. Wang, Z. Yang. Social influence analysis in large-scale networks. "
    "KDD 2009."
)
_CHECKSUMS = {  # of the edges, of the nodes
    "cornell": (
        "c4522a00cc40873c8a04a3a07c49e24a48a507eb284ac9c9f2d3e0590351bbb7",
        "cf5a3ca346cdd1210b8342e22517fcbbdae658065b7a3145f59350e50e6236a3",
    ),
    "texas": (
        "0fe85183243a78cbee9b85a684f8240963d04d1020d10e9cd2b8cfb25e33b476",
        "cf5a3ca346cdd1210b8342e22517fcbbdae658065b7a3145f59350e50e6236a3",
    ),
    "wisconsin": (
        "ebd213511c88fce1eda450c2f920600c4b8cbb38f02384856bcc47c6ec1807ae",
        "a32b0aa38d42f0d36841e8a8cb646d197f0ff33a182ac75a2b4476aeed3c7e4b",
    ),
    "film": (
        "997cdce67ea9c29257d3ffe796328391931901cf823830affa453178b60e2c3e",
        "1d5cdd094f8b91e770f6decfca85b35cf42f75d1efb51055fd6af16e11820ff8",
    ),
}
