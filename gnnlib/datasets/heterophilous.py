"""Graphs whose edges join nodes of different classes, with ten published splits each."""

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from .._errors import unknown_choice
from ..features import SparseFeatures
from ..graph import Graph
from ._dataset import Dataset
from ._edges import distinct
from ._errors import DatasetError
from ._generated import as_count
from ._npz import arrays
from ._source import RemoteFile, Source

NUM_SPLITS = 10
_URL = (
    "https://raw.githubusercontent.com/yandex-research/heterophilous-graphs/"
    "a431395582e929d88271309716bea4fe24ce6318/data/"
)
_MASKS = ("train_mask", "val_mask", "test_mask")
_NAMES = ("node_features", "node_labels", "edges", *(f"{mask}s" for mask in _MASKS))


class HeterophilousGraphs(Dataset):
    """A graph of "A critical look at the evaluation of GNNs under heterophily".

    ===========================  =====  =======  ========  =======  =====  ==========  ====
    name                         nodes  edges    features  classes  train  validation  test
    ===========================  =====  =======  ========  =======  =====  ==========  ====
    minesweeper                  10000  78804    7         2        5000   2500        2500
    tolokers                     11758  1038000  10        2        5879   2939        2940
    actor                        7600   53318    932       5        3648   2432        1520
    chameleon                    2277   62742    2325      5        1092   729         456
    chameleon_filtered           890    17708    2325      5        409    287         194
    chameleon_filtered_directed  890    13534    2325      5        409    287         194
    squirrel                     5201   396706   2089      5        2496   1664        1041
    squirrel_filtered            2223   93996    2089      5        1053   718         452
    squirrel_filtered_directed   2223   65578    2089      5        1053   718         452
    cornell                      183    554      1703      5        87     59          37
    texas                        183    558      1703      5        87     59          37
    texas_4_classes              183    558      1703      5        87     58          37
    wisconsin                    251    900      1703      5        120    80          51
    ===========================  =====  =======  ========  =======  =====  ==========  ====

    The graph has `x` [N, F] (float32; of minesweeper and tolokers a tensor, of the others, which
    are bags of words, `SparseFeatures`), `y` [N] (int64), and `train_mask`, `val_mask`,
    `test_mask` [N] of one split. The table has the sizes of split 0. Each edge is there in both
    directions, but in the directed graphs; repeated edges and self-loops are removed.

    In chameleon and squirrel many nodes have a duplicate, with the same neighbors and class; the
    splits put one to train on and the other to test on, so that models are rewarded for
    remembering. The paper filters them out: prefer the filtered graphs. In texas class 1 has a
    single node; texas_4_classes keeps its label, but has the node in no mask. Of minesweeper and
    tolokers, whose classes are unequal, the paper reports the ROC AUC.

    Args:
        name: one of the table, in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        split: which of the ten splits, 0 to 9.
        raw_edges: keep the edge list as published: each edge once, self-loops in the directed.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name, or no such split.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    References:
        Platonov, Kuznedelev, Diskin, Babenko and Prokhorenkova, "A critical look at the evaluation
        of GNNs under heterophily: are we really making progress?", ICLR 2023. Pei, Wei, Chang, Lei
        and Yang, "Geom-GCN: geometric graph convolutional networks", ICLR 2020.

    Example:
        >>> from gnnlib.datasets import HeterophilousGraphs
        >>> HeterophilousGraphs("tolokers", split=3)    # doctest: +SKIP
        HeterophilousGraphs('tolokers', num_graphs=1, num_features=10, num_classes=2)
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
        key = str(name).lower().replace("-", "_")
        if key not in PUBLISHED:
            raise unknown_choice("name", name, PUBLISHED)
        source, citation, words = PUBLISHED[key]
        split = as_count("split", split, 0, NUM_SPLITS - 1)
        read = partial(parse, words=words, directed=key.endswith("_directed"))
        graph = source.graph(read, root, raw_edges=raw_edges)
        super().__init__(
            key.replace("_", "-"),
            [graph.replace(**{mask: graph[mask][:, split].clone() for mask in _MASKS})],
            num_classes=int(graph.y.max()) + 1,
            licence=LICENCE,
            citation=citation,
            transform=transform,
        )


def parse(
    files: dict[str, bytes],
    raw_edges: bool = False,
    directed: bool = False,
    words: bool = False,
) -> Graph:
    """The graph in the bytes of a file of yandex-research/heterophilous-graphs, the only one.

    Its masks are [N, 10], one column a split. `words`: x is a bag of words, and becomes sparse.

    Raises:
        DatasetError: the file is not in this format, or its arrays contradict one another.
    """
    [(source, data)] = files.items()
    found = arrays(data, source, _NAMES)
    x, y, edges = (found[name] for name in _NAMES[:3])
    num_nodes = len(y)

    def check(holds, name: str, rule: str) -> None:
        if not holds:
            raise DatasetError(f"{source}: {name} must {rule}")

    check(y.ndim == 1 and num_nodes > 0, "node_labels", "be a vector")
    check(y.dtype.kind == "i", "node_labels", "hold integers")
    check(((y >= 0) & (y < num_nodes)).all(), "node_labels", "be classes, numbered from 0")
    check(x.ndim == 2 and len(x) == num_nodes, "node_features", f"have {num_nodes} rows")
    check(x.dtype == np.float32 and np.isfinite(x).all(), "node_features", "be finite float32")
    check(edges.ndim == 2 and edges.shape[1] == 2, "edges", "have two columns")
    check(edges.dtype.kind == "i", "edges", "hold integers")
    check(((edges >= 0) & (edges < num_nodes)).all(), "edges", f"hold nodes in [0, {num_nodes})")
    masks = [found[f"{mask}s"] for mask in _MASKS]
    for name, mask in zip(_MASKS, masks, strict=True):
        check(mask.dtype == bool, f"{name}s", "hold booleans")
        check(mask.shape == (NUM_SPLITS, num_nodes), f"{name}s", f"be {NUM_SPLITS} x {num_nodes}")
    check((np.sum(masks, axis=0) <= 1).all(), "masks", "have no node in common")

    features = torch.from_numpy(x.copy())
    src, dst = edges.astype(np.int64).T
    if not raw_edges:
        src, dst = distinct(src, dst, num_nodes, both_ways=not directed)
    return Graph(
        torch.from_numpy(np.stack([src, dst])),
        x=SparseFeatures.from_dense(features) if words else features,
        y=torch.from_numpy(y.astype(np.int64)),
        num_nodes=num_nodes,
        **{name: torch.from_numpy(mask.T.copy()) for name, mask in zip(_MASKS, masks, strict=True)},
    )


LICENCE = (
    "MIT, by the LICENSE of yandex-research/heterophilous-graphs, which does not name the data"
)
_PLATONOV = (
    "O. Platonov, D. Kuznedelev, M. Diskin, A. Babenko, L. Prokhorenkova. A critical look at the "
    "evaluation of GNNs under heterophily: are we really making progress? ICLR 2023."
)
_PEI = (
    "H. Pei, B. Wei, K. C.-C. Chang, Y. Lei, B. Yang. Geom-GCN: geometric graph convolutional "
    "networks. ICLR 2020."
)
_WIKIPEDIA = (
    "B. Rozemberczki, C. Allen, R. Sarkar. Multi-scale attributed node embedding. Journal of "
    f"Complex Networks 9(2), 2021. {_PEI} {_PLATONOV}"
)
_WEBKB = (
    "M. Craven, D. DiPasquo, D. Freitag, A. McCallum, T. Mitchell, K. Nigam, S. Slattery. Learning "
    f"to extract symbolic knowledge from the World Wide Web. AAAI 1998. {_PEI} {_PLATONOV}"
)
_ACTOR = (
    "J. Tang, J. Sun, C. Wang, Z. Yang. Social influence analysis in large-scale networks. "
    f"KDD 2009. {_PEI} {_PLATONOV}"
)
_TOLOKERS = (
    "D. Likhobaba, N. Pavlichenko, D. Ustalov. Toloker graph: interaction of crowd annotators. "
    f"2023. {_PLATONOV}"
)


class Published(NamedTuple):
    """Where a graph is, whom to cite, and whether its x is a bag of words."""

    source: Source
    citation: str
    words: bool


def _published(
    name: str, sha256: str, size: int, citation: str, words: bool = True
) -> tuple[str, Published]:
    file = RemoteFile(f"{name}.npz", sha256, size, f"{_URL}{name}.npz")
    return name, Published(
        Source("heterophily", "heterophilous_graphs_npz", [file]), citation, words
    )


PUBLISHED = dict(
    [
        _published(
            "minesweeper",
            "e664c8dacf1e8ac466c2c09ed4b237bd2c5541f47a6eae9c6092cb87f16412b3",
            135_045,
            _PLATONOV,
            words=False,
        ),
        _published(
            "tolokers",
            "dacf3ac94cec53d03cd2adb5255c08b33dee1656c33ca8164a464bd9450a1667",
            1_329_769,
            _TOLOKERS,
            words=False,
        ),
        _published(
            "actor",
            "c350eef06b2c2a9bf8218be2b57cac6d4003d0922eb597a039e9123f75817816",
            252_956,
            _ACTOR,
        ),
        _published(
            "chameleon",
            "4c640bd2877fc4f9f101531e2f977bc16445a54e09a5cb01178df608e552f3fd",
            177_840,
            _WIKIPEDIA,
        ),
        _published(
            "chameleon_filtered",
            "bf46f07e1fb5249280447e5fe3100f3e82fc4b93ad1e13ffcfdec924b6ac0bb5",
            58_924,
            _WIKIPEDIA,
        ),
        _published(
            "chameleon_filtered_directed",
            "5a2d40701407188f1661d37a326484b49cc15251e0dedaa7bd380873dac80f21",
            69_275,
            _WIKIPEDIA,
        ),
        _published(
            "squirrel",
            "d436e3b42c0546b105241c0ab0766097074e68e55f67b133eeb9b0162e55cbd9",
            704_277,
            _WIKIPEDIA,
        ),
        _published(
            "squirrel_filtered",
            "f06370ffb3116c5de8b7a600005400b2293c025e0ce2f6916d8201a825505ac7",
            208_215,
            _WIKIPEDIA,
        ),
        _published(
            "squirrel_filtered_directed",
            "0526e53252f0b052124f7390829c32e923d432acaf64206191a1144a07b39620",
            249_855,
            _WIKIPEDIA,
        ),
        _published(
            "cornell",
            "684c54ba3daa13b0ba1f04a3d6dd1b1175c1ae9bdeb982851fd4ff96d3aac298",
            30_515,
            _WEBKB,
        ),
        _published(
            "texas",
            "b164b99e6c3d43e4ab07488ec59bd8c815f90cbc1bd4cf425ce587d2b534d844",
            28_586,
            _WEBKB,
        ),
        _published(
            "texas_4_classes",
            "2da438ba7f41fd82e0953e2c9f63ef18e5a58da51ae6369cb5f5010bdf0e67bd",
            28_586,
            _WEBKB,
        ),
        _published(
            "wisconsin",
            "2543c89838cfc75f737f7c4664cc1d097f8268602c20b2d1bd4f21407df9c074",
            41_672,
            _WEBKB,
        ),
    ]
)
