"""What datasets there are, and their facts, without reading or downloading one of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from . import (
    _generated,
    blogcatalog,
    blogcatalog3,
    breast_cancer,
    chains,
    deezer_europe,
    digits,
    email_eu_core,
    facebook100,
    facebook_pages,
    gnn_benchmark,
    heterophilous,
    karate,
    molecule_net,
    node2vec_ppi,
    planetoid,
    polblogs,
    tu,
    twitch,
)
from ._dataset import Dataset
from ._source import Source


@dataclass(frozen=True)
class Entry:
    """The facts of a dataset.

    Attributes:
        name: what the dataset is called.
        open: gives the dataset; may download it.
        cached: True if `open` needs no download: the dataset is made, or its files come with a
            package, or the cache or a folder in $GNNLIB_MIRROR has them.
        num_nodes, num_edges: of all its graphs; an undirected edge counts twice.
        num_features: columns of `x`.
        num_classes: number of classes; of a multi-label or regression task, of labels or numbers.
        licence, citation: as the dataset has them.
        download_size: bytes to download; 0 if there is nothing to download.
        num_graphs: how many there are.
        task: what its labels are for: "node" or "graph", and "classification", "multilabel" or
            "regression".
        metric: by what models are compared on it, if not by the usual metric of its task.
        split_by: the argument of `open` that numbers its splits of the nodes; None: it has none.
        num_splits: how many there are; None: as many as one wants.

    Example:
        >>> entry = CATALOGUE["digits"]
        >>> entry.num_nodes, entry.num_classes, entry.cached()
        (1797, 10, True)
        >>> entry.open()
        Digits('digits', num_graphs=1, num_features=64, num_classes=10)
    """

    name: str
    open: Callable[[], Dataset]
    cached: Callable[[], bool]
    num_nodes: int
    num_edges: int
    num_features: int
    num_classes: int
    licence: str
    citation: str
    download_size: int = 0
    num_graphs: int = 1
    task: str = "node classification"
    metric: str | None = None
    split_by: str | None = "seed"
    num_splits: int | None = None


def _planetoid(name: str, nodes: int, edges: int, features: int, classes: int, size: int) -> Entry:
    return Entry(
        name,
        open=partial(planetoid.Planetoid, name),
        cached=partial(planetoid.is_at_hand, name),
        num_nodes=nodes,
        num_edges=edges,
        num_features=features,
        num_classes=classes,
        licence=planetoid.LICENCE,
        citation=planetoid.CITATIONS[name],
        download_size=size,
        split_by="split",
        num_splits=10,
    )


def _published(
    name: str,
    open: Callable[[], Dataset],
    source: Source,
    counts: Sequence[int],
    licence: str,
    citation: str,
    options: Mapping[str, bool],
    **more: Any,
) -> Entry:
    """`counts` are nodes, edges, features and classes; with `options` `open` reads the source."""
    return Entry(
        name,
        open,
        partial(source.is_at_hand, **options),
        *counts,
        licence=licence,
        citation=citation,
        download_size=source.size,
        **more,
    )


def _benchmark(kind: type[gnn_benchmark.Benchmark], key: str, *counts: int) -> Entry:
    name = kind.names[key]
    source, citation = gnn_benchmark.PUBLISHED[name]
    options = {"raw_edges": False, "largest_component": False}
    return _published(
        name, partial(kind, key), source, counts, gnn_benchmark.LICENCE, citation, options
    )


def _heterophilous(key: str, *counts: int, metric: str | None = None) -> Entry:
    source, citation, _ = heterophilous.PUBLISHED[key]
    open = partial(heterophilous.HeterophilousGraphs, key)
    name, licence = key.replace("_", "-"), heterophilous.LICENCE
    splits = {"split_by": "split", "num_splits": 10, "metric": metric}
    return _published(name, open, source, counts, licence, citation, {"raw_edges": False}, **splits)


def _social(
    name: str,
    terms: ModuleType,
    open: Callable[[], Dataset],
    *counts: int,
    task: str = "node classification",
    **options: bool,
) -> Entry:
    """Of a module with a single source."""
    facts = terms.LICENCE, terms.CITATION, options
    return _published(name, open, terms.SOURCE, counts, *facts, task=task)


def _twitch(key: str, *counts: int) -> Entry:
    name, open, source = f"twitch-{key.lower()}", partial(twitch.Twitch, key), twitch.SOURCES[key]
    facts = twitch.LICENCE, twitch.CITATION, {"raw_edges": False}
    return _published(name, open, source, counts, *facts)


def _facebook100(key: str, *counts: int) -> Entry:
    open, source = partial(facebook100.Facebook100, key), facebook100.SOURCES[key]
    return _published(key, open, source, counts, facebook100.LICENCE, facebook100.CITATION, {})


def _tu(key: str, graphs: int, *counts: int, size: int) -> Entry:
    return Entry(
        key.lower().replace("_", "-"),
        partial(tu.TUDataset, key),
        partial(tu.is_at_hand, key),
        *counts,
        licence=tu.LICENCE,
        citation=tu.citation(key),
        download_size=size,
        num_graphs=graphs,
        task="graph classification",
        split_by=None,
    )


def _molecules(key: str, task: str, graphs: int, *counts: int, size: int) -> Entry:
    return Entry(
        key.lower(),
        partial(molecule_net.MoleculeNet, key),
        partial(molecule_net.is_at_hand, key),
        *counts,
        licence=molecule_net.LICENCE,
        citation=molecule_net.CITATION,
        download_size=size,
        num_graphs=graphs,
        task=task,
        split_by=None,
    )


_ENTRIES = [
    _planetoid("cora", 2708, 10556, 1433, 7, size=572_444),
    _planetoid("citeseer", 3327, 9104, 3703, 6, size=1_036_188),
    _planetoid("pubmed", 19717, 88648, 500, 3, size=8_700_000),  # allx is about 7.6 MB of it
    _benchmark(gnn_benchmark.CitationFull, "cora_ml", 2995, 16316, 2879, 7),
    _benchmark(gnn_benchmark.Amazon, "computers", 13752, 491722, 767, 10),
    _benchmark(gnn_benchmark.Amazon, "photo", 7650, 238162, 745, 8),
    _benchmark(gnn_benchmark.Coauthor, "cs", 18333, 163788, 6805, 15),
    _benchmark(gnn_benchmark.Coauthor, "physics", 34493, 495924, 8415, 5),
    _heterophilous("minesweeper", 10000, 78804, 7, 2, metric="roc_auc"),
    _heterophilous("tolokers", 11758, 1038000, 10, 2, metric="roc_auc"),
    _heterophilous("actor", 7600, 53318, 932, 5),
    _heterophilous("chameleon_filtered", 890, 17708, 2325, 5),
    _heterophilous("squirrel_filtered", 2223, 93996, 2089, 5),
    Entry(
        "digits",
        open=digits.Digits,
        cached=lambda: True,
        num_nodes=1797,
        num_edges=19858,
        num_features=64,
        num_classes=10,
        licence=digits.LICENCE,
        citation=digits.CITATION,
    ),
    Entry(
        "breast-cancer",
        open=breast_cancer.BreastCancer,
        cached=lambda: True,
        num_nodes=569,
        num_edges=6880,
        num_features=30,
        num_classes=2,
        licence=breast_cancer.LICENCE,
        citation=breast_cancer.CITATION,
    ),
    Entry(
        "karate",
        open=karate.Karate,
        cached=lambda: True,
        num_nodes=34,
        num_edges=156,
        num_features=34,
        num_classes=2,
        licence=karate.LICENCE,
        citation=karate.CITATION,
    ),
    Entry(
        "chains",
        open=chains.Chains,
        cached=lambda: True,
        num_nodes=4000,
        num_edges=3960,
        num_features=100,
        num_classes=2,
        licence=_generated.LICENCE,
        citation=chains.CITATION,
    ),
    _social(
        "facebook-pages",
        facebook_pages,
        facebook_pages.FacebookPages,
        *(22470, 341646, 4714, 4),
        raw_edges=False,
    ),
    _twitch("ENGB", 7126, 70648, 3170, 2),
    _twitch("PTBR", 1912, 62598, 3170, 2),
    _twitch("RU", 4385, 74608, 3170, 2),
    _social(
        "deezer-europe",
        deezer_europe,
        deezer_europe.DeezerEurope,
        *(28281, 185504, 31241, 2),
        raw_edges=False,
    ),
    _social(
        "email-eu-core",
        email_eu_core,
        email_eu_core.EmailEuCore,
        *(1005, 24929, 1005, 42),
        raw_edges=False,
    ),
    _social("polblogs", polblogs, polblogs.Polblogs, 1490, 19022, 1490, 2, raw_edges=False),
    _social("blogcatalog", blogcatalog, blogcatalog.BlogCatalog, 5196, 343486, 8189, 6),
    _facebook100("reed98", 962, 37624, 745, 2),
    _facebook100("amherst41", 2235, 181908, 1193, 2),
    _social(
        "blogcatalog3",
        blogcatalog3,
        blogcatalog3.BlogCatalog3,
        *(10312, 667966, 10312, 39),
        task="node multilabel",
    ),
    _social(
        "ppi-node2vec",
        node2vec_ppi,
        node2vec_ppi.Node2VecPPI,
        *(3890, 75690, 3890, 50),
        task="node multilabel",
        self_loops=False,
    ),
    _tu("MUTAG", 188, 3371, 7442, 7, 2, size=24_422),
    _tu("PTC_MR", 344, 4915, 10108, 18, 2, size=34_185),
    _tu("PTC_FM", 349, 4925, 10110, 18, 2, size=34_219),
    _tu("PTC_FR", 351, 5110, 10532, 19, 2, size=35_372),
    _tu("PTC_MM", 336, 4695, 9624, 20, 2, size=32_862),
    _tu("PROTEINS", 1113, 43471, 162088, 4, 2, size=457_780),
    _tu("ENZYMES", 600, 19580, 74564, 21, 6, size=536_482),
    _tu("NCI1", 4110, 122747, 265506, 37, 2, size=802_908),
    _tu("AIDS", 2000, 31385, 64780, 42, 2, size=448_227),
    _tu("BZR", 405, 14479, 31070, 13, 2, size=276_978),
    _tu("COX2", 467, 19252, 40578, 11, 2, size=365_096),
    _tu("IMDB-BINARY", 1000, 19773, 193062, 0, 2, size=579_096),
    _tu("IMDB-MULTI", 1500, 19502, 197806, 0, 3, size=583_600),
    _molecules("ESOL", "graph regression", 1128, 14991, 30856, 9, 1, size=96_699),
    _molecules("FreeSolv", "graph regression", 642, 5600, 10770, 9, 1, size=32_060),
    _molecules("Lipophilicity", "graph regression", 4200, 113568, 247798, 9, 1, size=282_606),
    _molecules("BBBP", "graph multilabel", 2039, 49068, 105842, 9, 1, size=148_743),
    _molecules("BACE", "graph multilabel", 1513, 51577, 111536, 9, 1, size=3_897_770),
    _molecules("Tox21", "graph multilabel", 7823, 145256, 301802, 9, 12, size=525_119),
    _molecules("ClinTox", "graph multilabel", 1480, 38845, 82830, 9, 2, size=95_511),
    _molecules("SIDER", "graph multilabel", 1427, 48006, 100912, 9, 27, size=34_759),
]

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
