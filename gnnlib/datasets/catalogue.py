"""What datasets there are, and their facts, without reading or downloading one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from . import (
    _generated,
    blogcatalog,
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
    planetoid,
    polblogs,
    twitch,
)
from ._dataset import Dataset
from ._source import Source


@dataclass(frozen=True)
class Entry:
    """The facts of a dataset of one graph.

    Attributes:
        name: what the dataset is called.
        open: gives the dataset; may download it.
        cached: True if `open` needs no download: the dataset is made, or its files come with a
            package, or the cache or a folder in $GNNLIB_MIRROR has them.
        num_nodes, num_edges: of the graph; an undirected edge counts twice.
        num_features: columns of `x`.
        num_classes: number of classes.
        licence, citation: as the dataset has them.
        download_size: bytes to download; 0 if there is nothing to download.
        task: what its labels and masks are for.

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
    task: str = "node classification"


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
    )


def _published(
    name: str,
    open: Callable[[], Dataset],
    source: Source,
    counts: Sequence[int],
    licence: str,
    citation: str,
    **options: bool,
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
    )


def _benchmark(kind: type[gnn_benchmark.Benchmark], key: str, *counts: int) -> Entry:
    name = kind.names[key]
    source, citation = gnn_benchmark.PUBLISHED[name]
    options = {"raw_edges": False, "largest_component": False}
    return _published(
        name, partial(kind, key), source, counts, gnn_benchmark.LICENCE, citation, **options
    )


def _heterophilous(key: str, *counts: int) -> Entry:
    source, citation, _ = heterophilous.PUBLISHED[key]
    open = partial(heterophilous.HeterophilousGraphs, key)
    name, licence = key.replace("_", "-"), heterophilous.LICENCE
    return _published(name, open, source, counts, licence, citation, raw_edges=False)


def _social(
    name: str, terms: ModuleType, open: Callable[[], Dataset], *counts: int, **options: bool
) -> Entry:
    """Of a module with a single source."""
    return _published(name, open, terms.SOURCE, counts, terms.LICENCE, terms.CITATION, **options)


def _twitch(key: str, *counts: int) -> Entry:
    name, open, source = f"twitch-{key.lower()}", partial(twitch.Twitch, key), twitch.SOURCES[key]
    return _published(name, open, source, counts, twitch.LICENCE, twitch.CITATION, raw_edges=False)


def _facebook100(key: str, *counts: int) -> Entry:
    open, source = partial(facebook100.Facebook100, key), facebook100.SOURCES[key]
    return _published(key, open, source, counts, facebook100.LICENCE, facebook100.CITATION)


_ENTRIES = [
    _planetoid("cora", 2708, 10556, 1433, 7, size=572_444),
    _planetoid("citeseer", 3327, 9104, 3703, 6, size=1_036_188),
    _planetoid("pubmed", 19717, 88648, 500, 3, size=8_700_000),  # allx is about 7.6 MB of it
    _benchmark(gnn_benchmark.CitationFull, "cora_ml", 2995, 16316, 2879, 7),
    _benchmark(gnn_benchmark.Amazon, "computers", 13752, 491722, 767, 10),
    _benchmark(gnn_benchmark.Amazon, "photo", 7650, 238162, 745, 8),
    _benchmark(gnn_benchmark.Coauthor, "cs", 18333, 163788, 6805, 15),
    _benchmark(gnn_benchmark.Coauthor, "physics", 34493, 495924, 8415, 5),
    _heterophilous("minesweeper", 10000, 78804, 7, 2),
    _heterophilous("tolokers", 11758, 1038000, 10, 2),
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
]

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
