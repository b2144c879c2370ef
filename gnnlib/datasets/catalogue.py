"""What datasets there are, and their facts, without reading or downloading one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import _generated, chains, digits, gnn_benchmark, heterophilous, karate, planetoid
from ._dataset import Dataset


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


def _benchmark(
    kind: type[gnn_benchmark.Benchmark],
    key: str,
    nodes: int,
    edges: int,
    features: int,
    classes: int,
) -> Entry:
    name = kind.names[key]
    source = gnn_benchmark.SOURCES[name]
    return Entry(
        name,
        open=partial(kind, key),
        cached=partial(gnn_benchmark.is_at_hand, name),
        num_nodes=nodes,
        num_edges=edges,
        num_features=features,
        num_classes=classes,
        licence=gnn_benchmark.LICENCE,
        citation=source.citation,
        download_size=source.size,
    )


def _heterophilous(key: str, nodes: int, edges: int, features: int, classes: int) -> Entry:
    source = heterophilous.SOURCES[key]
    return Entry(
        key.replace("_", "-"),
        open=partial(heterophilous.HeterophilousGraphs, key),
        cached=partial(heterophilous.is_at_hand, key),
        num_nodes=nodes,
        num_edges=edges,
        num_features=features,
        num_classes=classes,
        licence=heterophilous.LICENCE,
        citation=source.citation,
        download_size=source.size,
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
]

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
