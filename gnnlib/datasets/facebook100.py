"""Facebook friendships within a college, in MATLAB files."""

import os
from collections.abc import Callable

import numpy as np
import torch

from .._errors import unknown_choice
from ..features import SparseFeatures
from ..graph import Graph
from ._dataset import Dataset
from ._errors import DatasetError
from ._mat import Entries, adjacency_edges, load
from ._source import RemoteFile, Source
from ._sparse import from_entries
from ._splits import per_class

_NUM_COLUMNS = 7
_GENDER = 1


class Facebook100(Dataset):
    """The members of a college on Facebook in September 2005, and who is whose friend.

    =========  =====  ======  ========  =======
    name       nodes  edges   features  classes
    =========  =====  ======  ========  =======
    Reed98     962    37624   745       2
    Amherst41  2235   181908  1193      2
    =========  =====  ======  ========  =======

    `y` [N] is the gender, 0 or 1 (which is which the source does not say), or -1 where it is
    missing, for 97 and 203 nodes; those are in no mask. `x` (`SparseFeatures` [N, F]) is one-hot
    in each of the other columns: status, major, second major, dormitory, year and high school.
    A missing value is a value of its own there. Each friendship is an edge in both directions.

    The source has no split. `seed` draws 20 nodes of each class to train on and 30 to validate
    on; the rest are to test on (Shchur et al., "Pitfalls of graph neural network evaluation",
    2018).

    Args:
        name: "Reed98" or "Amherst41", in any case.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        seed: draws the split.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: there is no dataset of that name.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    References:
        Traud, Mucha and Porter, "Social structure of Facebook networks", Physica A 391(16), 2012.
        Lim et al., "Large scale learning on non-homophilous graphs", NeurIPS 2021, from whose
        repository the files are.

    Example:
        >>> from gnnlib.datasets import Facebook100
        >>> Facebook100("Reed98")                   # doctest: +SKIP
        Facebook100('reed98', num_graphs=1, num_features=745, num_classes=2)
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        key = str(name).lower()
        if key not in SOURCES:
            raise unknown_choice("name", name, SOURCES)
        graph = SOURCES[key].graph(parse, root)
        super().__init__(
            key,
            [graph.replace(**per_class(graph.y, seed=seed))],
            num_classes=2,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes]) -> Graph:
    """The graph in the variables `A` and `local_info`; of these columns, number 1 is the gender.

    Raises:
        DatasetError: the file is damaged, or its variables contradict one another.
    """
    [(source, data)] = files.items()
    found = load(data, source, ["A", "local_info"])
    edge_index, num_nodes = adjacency_edges(found["A"], f"{source}, variable A")
    info = found["local_info"]
    if isinstance(info, Entries) or info.dtype.kind not in "iu":
        raise DatasetError(f"{source}, variable local_info must be a dense matrix of integers")
    if info.shape != (num_nodes, _NUM_COLUMNS):
        raise DatasetError(
            f"{source}, variable local_info must be of shape {(num_nodes, _NUM_COLUMNS)}, "
            f"got {info.shape}"
        )
    gender = info[:, _GENDER]
    if not np.isin(gender, (0, 1, 2)).all():
        raise DatasetError(f"{source}, variable local_info must hold 0, 1 or 2 in column 1")
    return Graph(
        torch.from_numpy(edge_index),
        x=_one_hot(np.delete(info, _GENDER, axis=1)),
        y=torch.from_numpy(gender.astype(np.int64) - 1),
        num_nodes=num_nodes,
    )


def _one_hot(info: np.ndarray) -> SparseFeatures:
    """A 1 for the value in each column of `info`; columns of x are by column and then by value."""
    positions, num_features = [], 0
    for column in info.T:
        values, position = np.unique(column, return_inverse=True)
        positions.append(position + num_features)
        num_features += len(values)
    row = np.tile(np.arange(len(info)), len(positions))
    return from_entries(row, np.concatenate(positions), None, len(info), num_features)


LICENCE = "not stated"
CITATION = (
    "A. L. Traud, P. J. Mucha, M. A. Porter. Social structure of Facebook networks. Physica A "
    "391(16), 2012. D. Lim, F. Hohne, X. Li, S. L. Huang, V. Gupta, O. Bhalerao, S. N. Lim. Large "
    "scale learning on non-homophilous graphs: new benchmarks and strong simple methods. NeurIPS "
    "2021."
)
_FILES = {  # checksum and bytes
    "Reed98": ("d12ec74dc8c6e237385975b976c3709555a83629a1260be693fb688e3446070e", 70_347),
    "Amherst41": ("3108e4b2edb01be05c5a61147583a40e61012820fff7eebe621dd26018caaf00", 333_541),
}
_URL = (
    "https://raw.githubusercontent.com/CUAI/Non-Homophily-Large-Scale/"
    "82f8f05c5c3ec16bd5b505cc7ad62ab5e09051e6/data/facebook100"
)
SOURCES = {
    name.lower(): Source(
        "social", "facebook100", [RemoteFile(f"{name}.mat", *file, f"{_URL}/{name}.mat")]
    )
    for name, file in _FILES.items()
}
