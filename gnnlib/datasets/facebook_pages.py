"""Facebook pages and the likes among them, from MUSAE."""

import os
from collections.abc import Callable
from functools import partial

from ..graph import Graph
from ._dataset import Dataset
from ._musae import MUSAE, MUSAE_CITATION, MUSAE_LICENCE, Form, parse
from ._source import RemoteFile, Source
from ._splits import per_class

CLASSES = ("company", "government", "politician", "tvshow")


class FacebookPages(Dataset):
    """Verified Facebook pages, the words of their descriptions, and which like each other.

    22470 nodes, 341646 edges, 4714 features, 4 classes. The graph has `x` (`SparseFeatures`
    [N, F], 1 where a description has the word), `y` [N]: 0 company, 1 government, 2 politician,
    3 tvshow (`facebook_pages.CLASSES`), and `train_mask`, `val_mask`, `test_mask` [N]. Each pair
    is an edge in both directions; the 179 pages that like themselves have no loop.

    The source has no split. `seed` draws 20 nodes of each class to train on and 30 to validate
    on; the rest are to test on (Shchur et al., "Pitfalls of graph neural network evaluation",
    2018).

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        seed: draws the split.
        raw_edges: keep the edge list as published: each pair in one direction, with self-loops.
        transform: applied once to the graph, after the cache.

    Raises:
        DownloadError: a file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: a file would have to be stored and the cache folder cannot be written.
        DatasetError: a file is damaged.

    Reference:
        Rozemberczki, Allen and Sarkar, "Multi-scale attributed node embedding", Journal of
        Complex Networks 9(2), 2021.

    Example:
        >>> from gnnlib.datasets import FacebookPages
        >>> FacebookPages()                         # doctest: +SKIP
        FacebookPages('facebook-pages', num_graphs=1, num_features=4714, num_classes=4)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        seed: int = 0,
        raw_edges: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(partial(parse, form=FORM), root, raw_edges=raw_edges)
        super().__init__(
            "facebook-pages",
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=len(CLASSES),
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


LICENCE = MUSAE_LICENCE
CITATION = MUSAE_CITATION
FORM = Form(
    edges="id_1,id_2",
    labels="id,facebook_id,page_name,page_type",
    node="id",
    label="page_type",
    classes=CLASSES,
    num_features=4714,
)
SOURCE = Source(
    "social",
    "musae_facebook",
    [
        RemoteFile(
            "facebook_edges.csv",
            "7c50d8f02a75cc0829577814a1fc14535164daa38d79c3612340c9e9cdbd4022",
            1_882_610,
            f"{MUSAE}/edges/facebook_edges.csv",
        ),
        RemoteFile(
            "facebook.json",
            "ea870537646a93642a0008d38aa9bfeff02018070ba97b1f3f469d9622626436",
            2_088_766,
            f"{MUSAE}/features/facebook.json",
        ),
        RemoteFile(
            "facebook_target.csv",
            "7bd96eafea3c2ca40f44bfa9e73642194696c21e38c7b29ed409c32ad14075cd",
            1_177_912,
            f"{MUSAE}/target/facebook_target.csv",
        ),
    ],
)
