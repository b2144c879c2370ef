"""The citation graphs Cora, CiteSeer and PubMed with the public split of the Planetoid paper."""

import os
from collections.abc import Callable
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from .._errors import unknown_choice
from ..features import SparseFeatures
from ..graph import Graph
from . import _geom_splits
from ._cache import cached, is_cached
from ._dataset import Dataset
from ._download import cache_root, fetch, find
from ._edges import distinct
from ._errors import DatasetError
from ._sparse import from_entries
from ._unpickle import CSR, load

_URL = (
    "https://raw.githubusercontent.com/kimiyoung/planetoid/"
    "af6abf468a772cc055bec88c52e4d6f51b7c37e3/data/"
)
_NUM_VALIDATION = 500


class Planetoid(Dataset):
    """One citation graph: papers, their words, their subjects, and who cites whom.

    ========  ======  ======  ========  =======  =====  ==========  ====
    name      nodes   edges   features  classes  train  validation  test
    ========  ======  ======  ========  =======  =====  ==========  ====
    cora      2708    10556   1433      7        140    500         1000
    citeseer  3327    9104    3703      6        120    500         1000
    pubmed    19717   88648   500       3        60     500         1000
    ========  ======  ======  ========  =======  =====  ==========  ====

    The graph has `x` (`SparseFeatures` [N, F], float32, as published: not normalised), `y` [N]
    (int64), and `train_mask`, `val_mask`, `test_mask` [N]. Each citation is an edge in both
    directions; repeated edges and self-loops are removed. CiteSeer has 15 papers of which nothing
    is known but their citations: their rows of `x` are zero, their `y` is -1, no mask has them.

    Args:
        name: "cora", "citeseer" or "pubmed", in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        split: "public" is the split of the Planetoid paper, which the table shows; a number from 0
            to 9 is one of the ten of Geom-GCN (Pei et al., ICLR 2020), of about 48 %, 32 % and 20 %
            of the nodes. Those of Cora, and 4 and 5 of CiteSeer, are of its largest component only.
        raw_edges: keep the edge list as published, with its repetitions and self-loops.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name, or no such split.
        DownloadError: a file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: a file would have to be stored and the cache folder cannot be written.
        DatasetError: a file is damaged.

    Reference:
        Yang, Cohen and Salakhutdinov, "Revisiting semi-supervised learning with graph
        embeddings", ICML 2016.

    Example:
        >>> from gnnlib.datasets import Planetoid
        >>> dataset = Planetoid("cora")             # doctest: +SKIP
        >>> dataset                                 # doctest: +SKIP
        Planetoid('cora', num_graphs=1, num_features=1433, num_classes=7)
        >>> dataset[0].num_edges                    # doctest: +SKIP
        10556
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        split: str | int = "public",
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        key = str(name).lower()
        if key not in _CHECKSUMS:
            raise unknown_choice("name", name, _CHECKSUMS)
        if isinstance(split, str) and split != "public":
            raise ValueError(f"split must be 'public' or a number from 0 to 9, got {split!r}")
        number = None if isinstance(split, str) else _geom_splits.as_split(split)
        checksums = _CHECKSUMS[key]
        folder = f"planetoid_{key}"

        def read() -> Graph:
            paths = {
                part: fetch("citation", folder, file, sha256, [_URL + file], root)
                for part, sha256 in checksums.items()
                for file in [f"ind.{key}.{part}"]
            }
            return parse({part: path.read_bytes() for part, path in paths.items()}, key, raw_edges)

        source = _source(key, bool(raw_edges))
        graph = cached(cache_root(root) / "citation" / folder, source, read)
        citation = CITATIONS[key]
        if number is not None:
            graph = graph.replace(**_masks_of_geom_gcn(key, number, graph.y, root))
            citation += f" {_geom_splits.CITATION}"
        super().__init__(
            key,
            [graph],
            num_classes=int(graph.y.max()) + 1,
            licence=LICENCE,
            citation=citation,
            transform=transform,
        )


def is_at_hand(name: str) -> bool:
    """Whether `Planetoid(name)` needs no download: read before, or its files in cache or mirror."""
    folder = f"planetoid_{name}"
    if is_cached(cache_root() / "citation" / folder, _source(name, False)):
        return True
    return all(
        find("citation", folder, f"ind.{name}.{part}", sha256)
        for part, sha256 in _CHECKSUMS[name].items()
    )


def _masks_of_geom_gcn(
    name: str, split: int, y: Tensor, root: str | os.PathLike | None
) -> dict[str, Tensor]:
    """The masks [N] of that split; they have the papers of which nothing is known, too."""
    masks = _geom_splits.masks(name, split, len(y), "citation", "geom_gcn_splits", root)
    return {part: mask & (y >= 0) for part, mask in masks.items()}


def _source(name: str, raw_edges: bool) -> list[str]:
    return [*_CHECKSUMS[name].values(), f"raw_edges={raw_edges}"]


def parse(files: dict[str, bytes], name: str, raw_edges: bool = False) -> Graph:
    """The graph in the bytes of the eight files `ind.<name>.*`.

    `x` and `y` are the training nodes, which are also the first rows of `allx` and `ally`. The
    rows of `tx` and `ty` belong to the nodes in `test.index`, in that order; nodes beyond `allx`
    that it leaves out have neither features nor a label. `graph` lists each node's neighbours.

    Raises:
        DatasetError: a file is not in this format, or the files contradict one another.
    """
    source = {part: f"ind.{name}.{part}" for part in files}
    x, tx, allx = (_features(files[part], source[part]) for part in ("x", "tx", "allx"))
    y, ty, ally = (_labels(files[part], source[part]) for part in ("y", "ty", "ally"))
    test = _test_nodes(files["test.index"], source["test.index"])
    edge_index, num_nodes = _edges(files["graph"], source["graph"], raw_edges)

    def check(holds, rule: str) -> None:
        if not holds:
            raise DatasetError(f"the files ind.{name}.* contradict one another: {rule}")

    num_train, num_known = len(y), len(ally)
    check(x.shape[1] == tx.shape[1] == allx.shape[1], "x, tx and allx differ in columns")
    check(y.shape[1] == ty.shape[1] == ally.shape[1], "y, ty and ally differ in columns")
    check(x.shape[0] == num_train, "x and y differ in rows")
    check(allx.shape[0] == num_known, "allx and ally differ in rows")
    check(tx.shape[0] == len(ty) == len(test), "tx, ty and test.index differ in rows")
    check(num_train + _NUM_VALIDATION <= num_known, "allx is too short for train and validation")
    check(np.array_equal(ally[:num_train], y), "y must be the first rows of ally")
    check(_same(x, allx), "x must be the first rows of allx")
    check(len(np.unique(test)) == len(test), "test.index repeats a node")
    check(
        test.min() >= num_known and test.max() < num_nodes,
        f"test.index must be in [{num_known}, {num_nodes}), between the ends of allx and graph",
    )

    known = np.concatenate([np.arange(num_known), test])
    labels = np.full(num_nodes, -1, dtype=np.int64)
    labels[known] = np.concatenate([ally, ty]).argmax(axis=1)
    nodes = torch.arange(num_nodes)
    test_mask = torch.zeros(num_nodes, dtype=torch.bool)
    test_mask[torch.from_numpy(test)] = True
    return Graph(
        torch.from_numpy(edge_index),
        x=_stack(allx, tx, known, num_nodes),
        y=torch.from_numpy(labels),
        train_mask=nodes < num_train,
        val_mask=(nodes >= num_train) & (nodes < num_train + _NUM_VALIDATION),
        test_mask=test_mask,
        num_nodes=num_nodes,
    )


def _features(data: bytes, source: str) -> CSR:
    matrix = load(data, source)
    if not isinstance(matrix, CSR):
        raise DatasetError(f"{source} must hold a sparse matrix, got {type(matrix).__name__}")
    with np.errstate(over="ignore"):
        values = matrix.data.astype(np.float32)
    if not np.isfinite(values).all():
        raise DatasetError(f"{source} must hold finite float32 numbers")
    return matrix._replace(data=values)


def _labels(data: bytes, source: str) -> np.ndarray:
    """One row a node, one column a class, a single 1 in each row."""
    labels = load(data, source)
    if not isinstance(labels, np.ndarray) or labels.ndim != 2:
        raise DatasetError(f"{source} must hold a matrix, got {type(labels).__name__}")
    if ((labels != 0) & (labels != 1)).any() or (labels.sum(axis=1) != 1).any():
        raise DatasetError(f"{source} must hold a single 1 in each row, and else 0")
    return labels


def _test_nodes(data: bytes, source: str) -> np.ndarray:
    """One node a line."""
    lines = data.split()
    if not lines or not all(line.isdigit() and len(line) < 10 for line in lines):
        raise DatasetError(f"{source} must hold one node a line")
    return np.array([int(line) for line in lines], dtype=np.int64)


def _edges(data: bytes, source: str, raw_edges: bool) -> tuple[np.ndarray, int]:
    """edge_index [2, E] and the number of nodes of the lists of neighbours in `data`."""
    lists = load(data, source)
    if not isinstance(lists, dict) or not all(type(item) is list for item in lists.values()):
        raise DatasetError(f"{source} must hold a list of neighbours for each node")
    num_nodes = len(lists)
    lengths = [len(item) for item in lists.values()]
    if sum(lengths) > len(data):
        raise DatasetError(f"{source} lists {sum(lengths)} edges in {len(data)} bytes")
    neighbours = list(chain.from_iterable(lists.values()))
    if not all(type(node) is int and 0 <= node < num_nodes for node in chain(lists, neighbours)):
        raise DatasetError(f"{source} must list nodes in [0, {num_nodes}), and all of them")
    src = np.repeat(np.fromiter(lists, np.int64, num_nodes), lengths)
    dst = np.array(neighbours, dtype=np.int64)
    return np.stack([src, dst]) if raw_edges else distinct(src, dst, num_nodes), num_nodes


def _same(head: CSR, whole: CSR) -> bool:
    """Whether `head` is the first rows of `whole`."""
    rows, size = head.shape[0], len(head.data)
    return (
        np.array_equal(head.indptr, whole.indptr[: rows + 1])
        and np.array_equal(head.indices, whole.indices[:size])
        and np.array_equal(head.data, whole.data[:size])
    )


def _stack(allx: CSR, tx: CSR, nodes: np.ndarray, num_nodes: int) -> SparseFeatures:
    """The rows of `allx` and `tx` as the rows `nodes` of a matrix of `num_nodes` rows."""
    lengths = np.concatenate([np.diff(allx.indptr), np.diff(tx.indptr)])
    row = np.repeat(nodes, lengths)
    col = np.concatenate([allx.indices, tx.indices])
    values = np.concatenate([allx.data, tx.data])
    return from_entries(row, col, values, num_nodes, allx.shape[1])


LICENCE = "MIT, by the LICENSE of github.com/kimiyoung/planetoid, which does not name the data"
_PLANETOID = (
    "Z. Yang, W. W. Cohen, R. Salakhutdinov. "
    "Revisiting semi-supervised learning with graph embeddings. ICML 2016."
)
_SEN = (
    "P. Sen, G. Namata, M. Bilgic, L. Getoor, B. Gallagher, T. Eliassi-Rad. "
    "Collective classification in network data. AI Magazine 29(3), 2008."
)
_NAMATA = (
    "G. Namata, B. London, L. Getoor, B. Huang. "
    "Query-driven active surveying for collective classification. MLG workshop, 2012."
)
CITATIONS = {
    "cora": f"{_SEN} {_PLANETOID}",
    "citeseer": f"{_SEN} {_PLANETOID}",
    "pubmed": f"{_NAMATA} {_PLANETOID}",
}
_CHECKSUMS = {
    "cora": {
        "x": "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab",
        "y": "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
        "tx": "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
        "ty": "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
        "allx": "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
        "ally": "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
        "graph": "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
        "test.index": "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
    },
    "citeseer": {
        "x": "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6",
        "y": "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
        "tx": "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
        "ty": "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
        "allx": "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
        "ally": "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
        "graph": "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
        "test.index": "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
    },
    "pubmed": {
        "x": "fbe9cb5c47200d1b7769a26e579be3b7130b556831f9d850e77c4c74f2599b33",
        "y": "e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3",
        "tx": "4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d",
        "ty": "ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd",
        "allx": "508e538e2abdccdd54c4d3e9f49d638b4af7107d85845f66ddea5a5152658b7e",
        "ally": "0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e",
        "graph": "5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9",
        "test.index": "b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5",
    },
}
