"""Twitch users and their friendships, from MUSAE."""

import os
from collections.abc import Callable
from functools import partial

from .._errors import unknown_choice
from ..graph import Graph
from ._dataset import Dataset
from ._musae import MUSAE, MUSAE_CITATION, MUSAE_LICENCE, Form, parse
from ._source import RemoteFile, Source
from ._splits import per_class


class Twitch(Dataset):
    """Streamers of one language on Twitch, the games they play, and who is whose friend.

    ====  =====  =====  ========  =======
    name  nodes  edges  features  classes
    ====  =====  =====  ========  =======
    ENGB  7126   70648  3170      2
    PTBR  1912   62598  3170      2
    RU    4385   74608  3170      2
    ====  =====  =====  ========  =======

    The graph has `x` (`SparseFeatures` [N, F], 1 for each game played or liked, place and habit of
    streaming; a column means the same for all languages), `y` [N]: 1 for streams with explicit
    language (`mature`), else 0, and `train_mask`, `val_mask`, `test_mask` [N]. Each friendship is
    an edge in both directions.

    The source has no split. `seed` draws 20 nodes of each class to train on and 30 to validate
    on; the rest are to test on (Shchur et al., "Pitfalls of graph neural network evaluation",
    2018).

    Args:
        name: "ENGB" (English), "PTBR" (Portuguese) or "RU" (Russian), in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        seed: draws the split.
        raw_edges: keep the edge list as published: each friendship in one direction.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name.
        DownloadError: a file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: a file would have to be stored and the cache folder cannot be written.
        DatasetError: a file is damaged.

    Reference:
        Rozemberczki, Allen and Sarkar, "Multi-scale attributed node embedding", Journal of
        Complex Networks 9(2), 2021.

    Example:
        >>> from gnnlib.datasets import Twitch
        >>> Twitch("PTBR")                          # doctest: +SKIP
        Twitch('twitch-ptbr', num_graphs=1, num_features=3170, num_classes=2)
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        seed: int = 0,
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        key = str(name).upper()
        if key not in SOURCES:
            raise unknown_choice("name", name, SOURCES)
        graph = SOURCES[key].graph(partial(parse, form=FORM), root, raw_edges=raw_edges)
        super().__init__(
            f"twitch-{key.lower()}",
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=len(FORM.classes),
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


LICENCE = MUSAE_LICENCE
CITATION = MUSAE_CITATION
FORM = Form(
    edges="from,to",
    labels="id,days,mature,views,partner,new_id",
    node="new_id",  # `id` is the number that Twitch gave the user
    label="mature",
    classes=("False", "True"),
    num_features=3170,
)
_FILES = {  # checksum and bytes of edges, features and labels
    "ENGB": (
        ("5ea4d7f7267454e9523577eb2a9b4dcb7a22dd660a548240f01b815d08e0e3cc", 342_162),
        ("d55948bd911ab28e0a89c4946562d5a8b363b9a7e4216e1a4986f37c74caa777", 893_931),
        ("e9d51399878216d2dd662b0a152b602cccde7b5cbb8452cb91d9379f64114443", 253_352),
    ),
    "PTBR": (
        ("b72d93a3c8a82883771a2f3822fce229885fa0d40367fb105c0535fb36c773b9", 275_216),
        ("5012dee29ca3ae57cbdb4f46279506e3b87ff79d8c43affcafd7576acb21f960", 229_853),
        ("ecba7d1287e72ae7c3f42c922be475283288c0c67346245c72109690460444bd", 67_878),
    ),
    "RU": (
        ("fd307587a550289f746056ea12a7336171ab2053c9e08c42dba77499126ca5b2", 351_398),
        ("7767f5d6fdb405cc5cd4267bd3dd0371cbd585ef3f3bec6b5d156880fe42e30a", 545_943),
        ("db7617528355be994352e491e7b25d060fed466d0d81c09cadd90fa10f15c071", 158_570),
    ),
}


def _source(name: str) -> Source:
    edges, features, labels = _FILES[name]
    return Source(
        "social",
        "musae_twitch",
        [
            RemoteFile(f"{name}_edges.csv", *edges, f"{MUSAE}/edges/{name}_edges.csv"),
            RemoteFile(f"{name}.json", *features, f"{MUSAE}/features/{name}.json"),
            RemoteFile(f"{name}_target.csv", *labels, f"{MUSAE}/target/{name}_target.csv"),
        ],
    )


SOURCES = {name: _source(name) for name in _FILES}
