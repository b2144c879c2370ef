"""The graphs of "Pitfalls of graph neural network evaluation": Amazon, Coauthor and Cora-ML."""

import os
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from .._errors import unknown_choice
from ..features import SparseFeatures
from ..graph import Graph
from ._csr_npz import parse
from ._dataset import Dataset
from ._source import RemoteFile, Source
from ._splits import per_class


class Published(NamedTuple):
    """Where a graph is, and whom to cite."""

    source: Source
    citation: str


class Benchmark(Dataset):
    """What the classes of this file share: they differ in their names alone."""

    names: ClassVar[dict[str, str]]  # as users give them, and in full

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        raw_edges: bool = False,
        largest_component: bool = False,
        binary: bool = False,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        key = str(name).lower().replace("-", "_")
        if key not in self.names:
            raise unknown_choice("name", name, self.names)
        source, citation = PUBLISHED[self.names[key]]
        graph = source.graph(parse, root, raw_edges=raw_edges, largest_component=largest_component)
        if binary:
            graph = graph.replace(
                x=SparseFeatures(graph.x.structure, (graph.x.values != 0).float())
            )
        super().__init__(
            self.names[key],
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=int(graph.y.max()) + 1,
            licence=LICENCE,
            citation=citation,
            transform=transform,
        )


class Amazon(Benchmark):
    """Goods sold by Amazon, words of their reviews, their category, what is bought together.

    =========  ======  ======  ========  =======  =====  ==========
    name       nodes   edges   features  classes  train  validation
    =========  ======  ======  ========  =======  =====  ==========
    computers  13752   491722  767       10       200    300
    photo      7650    238162  745       8        160    240
    =========  ======  ======  ========  =======  =====  ==========

    The graph has `x` (`SparseFeatures` [N, F], float32, 1 for each word that occurs), `y` [N]
    (int64), and `train_mask`, `val_mask`, `test_mask` [N]. Each edge is there in both directions;
    self-loops are removed. There is no published split: `seed` draws 20 nodes of each class to
    train on and 30 to validate on, the rest are test nodes, as in the paper.

    Args:
        name: "computers" or "photo", in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        raw_edges: keep the edge list as published: one direction, self-loops.
        largest_component: keep its largest connected component only, as the paper does: 13381 and
            7487 nodes.
        binary: 1 for every feature that is not 0, as the paper and PyG have it.
        seed: draws the split.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    References:
        McAuley, Targett, Shi and van den Hengel, "Image-based recommendations on styles and
        substitutes", SIGIR 2015. Shchur, Mumme, Bojchevski and Günnemann, "Pitfalls of graph
        neural network evaluation", 2018.

    Example:
        >>> from gnnlib.datasets import Amazon
        >>> Amazon("photo")                         # doctest: +SKIP
        Amazon('amazon-photo', num_graphs=1, num_features=745, num_classes=8)
    """

    names: ClassVar = {"computers": "amazon-computers", "photo": "amazon-photo"}


class Coauthor(Benchmark):
    """Authors of papers, the keywords of their papers, their field, and who wrote with whom.

    =======  =====  ======  ========  =======  =====  ==========
    name     nodes  edges   features  classes  train  validation
    =======  =====  ======  ========  =======  =====  ==========
    cs       18333  163788  6805      15       300    450
    physics  34493  495924  8415      5        100    150
    =======  =====  ======  ========  =======  =====  ==========

    The graph has `x` (`SparseFeatures` [N, F], float32, how often each keyword occurs), `y` [N]
    (int64), and `train_mask`, `val_mask`, `test_mask` [N]. Each edge is there in both directions.
    There is no published split: `seed` draws 20 nodes of each class to train on and 30 to validate
    on, the rest are test nodes, as in the paper.

    Args:
        name: "cs" or "physics", in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        raw_edges: keep the edges in the order of the file.
        largest_component: keep its largest connected component only; here that is the whole graph.
        binary: 1 for every feature that is not 0, as the paper and PyG have it.
        seed: draws the split.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    Reference:
        Shchur, Mumme, Bojchevski and Günnemann, "Pitfalls of graph neural network evaluation",
        2018.

    Example:
        >>> from gnnlib.datasets import Coauthor
        >>> Coauthor("physics")                     # doctest: +SKIP
        Coauthor('coauthor-physics', num_graphs=1, num_features=8415, num_classes=5)
    """

    names: ClassVar = {"cs": "coauthor-cs", "physics": "coauthor-physics"}


class CitationFull(Benchmark):
    """Papers on machine learning, their words, their topic, and who cites whom.

    =======  =====  =====  ========  =======  =====  ==========
    name     nodes  edges  features  classes  train  validation
    =======  =====  =====  ========  =======  =====  ==========
    cora_ml  2995   16316  2879      7        140    210
    =======  =====  =====  ========  =======  =====  ==========

    The graph has `x` (`SparseFeatures` [N, F], float32, the TF-IDF of each word), `y` [N] (int64),
    and `train_mask`, `val_mask`, `test_mask` [N]. Each citation is an edge in both directions.
    There is no published split: `seed` draws 20 nodes of each class to train on and 30 to validate
    on, the rest are test nodes.

    Args:
        name: "cora_ml", in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        raw_edges: keep the edge list as published: from the paper that cites to the one cited.
        largest_component: keep its largest connected component only, as most papers do: 2810 nodes.
        binary: 1 for every feature that is not 0, as PyG has it.
        seed: draws the split.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    References:
        McCallum, Nigam, Rennie and Seymore, "Automating the construction of internet portals with
        machine learning", Information Retrieval 3, 2000. Bojchevski and Günnemann, "Deep Gaussian
        embedding of graphs", ICLR 2018.

    Example:
        >>> from gnnlib.datasets import CitationFull
        >>> CitationFull("cora_ml")                 # doctest: +SKIP
        CitationFull('cora-ml', num_graphs=1, num_features=2879, num_classes=7)
    """

    names: ClassVar = {"cora_ml": "cora-ml"}


LICENCE = "MIT, by the LICENSE of the repositories it comes from, which do not name the data"
_PITFALLS = (
    "O. Shchur, M. Mumme, A. Bojchevski, S. Günnemann. Pitfalls of graph neural network "
    "evaluation. Relational Representation Learning workshop, NeurIPS 2018."
)
_MCAULEY = (
    "J. McAuley, C. Targett, Q. Shi, A. van den Hengel. Image-based recommendations on styles and "
    "substitutes. SIGIR 2015."
)
_CORA_ML = (
    "A. McCallum, K. Nigam, J. Rennie, K. Seymore. Automating the construction of internet portals "
    "with machine learning. Information Retrieval 3, 2000. A. Bojchevski, S. Günnemann. Deep "
    "Gaussian embedding of graphs: unsupervised inductive learning via ranking. ICLR 2018."
)
_COMPRESSED = (  # the arrays of shchur/gnn-benchmark, packed
    "https://raw.githubusercontent.com/EdisonLeeeee/GraphData/"
    "9df4e769b53b6bf953c4227cda0f8b653ffbb815/datasets/"
)


def _compressed(file: str, sha256: str, size: int, citation: str) -> Published:
    remote = RemoteFile(file, sha256, size, _COMPRESSED + file)
    return Published(
        Source("copurchase_coauthor", "gnn_benchmark_npz_compressed", [remote]), citation
    )


PUBLISHED = {
    "amazon-computers": _compressed(
        "amazon_cs.npz",
        "bffa1720ee30487a6f10f2ad57741d1a401d89a31a6a4c5c6de1ba42a1f2a0e0",
        size=3_407_870,
        citation=f"{_MCAULEY} {_PITFALLS}",
    ),
    "amazon-photo": _compressed(
        "amazon_photo.npz",
        "f0552bc8bcdb103c25b07cf4619bd9458af435c0728dc8366e86ffb912018c25",
        size=1_769_253,
        citation=f"{_MCAULEY} {_PITFALLS}",
    ),
    "coauthor-cs": _compressed(
        "coauthor_cs.npz",
        "48e79e9e838aab635ca8fff852d25cb804c0d8ed79e5bae0f1a8f2d147b2188d",
        size=2_796_277,
        citation=_PITFALLS,
    ),
    "coauthor-physics": _compressed(
        "coauthor_phy.npz",
        "121a85ee9fac9859693e649d3e9f3561e3a23a9aa4d8e8951e9e3eec8e9b52ef",
        size=3_767_567,
        citation=_PITFALLS,
    ),
    "cora-ml": Published(
        Source(
            "citation",
            "nettack_npz",
            [
                RemoteFile(
                    "cora_ml.npz",
                    "ffbe4e64857dc6bf38f1877e4312559a064df84b59d0f32f938717de5d5af0fd",
                    1_620_832,
                    "https://raw.githubusercontent.com/danielzuegner/gnn-meta-attack/"
                    "982d900d05f19f0bd061b8d4988310bd7baa5f91/data/cora_ml.npz",
                )
            ],
        ),
        citation=_CORA_ML,
    ),
}
