"""The protein interactions of the node2vec paper: several labels a node."""

import os
from collections.abc import Callable

import numpy as np
import torch

from ..graph import Graph
from ._dataset import Dataset
from ._edges import distinct
from ._errors import DatasetError
from ._matrix import matrix
from ._source import RemoteFile, Source
from ._sparse import identity
from ._splits import fractions
from ._text import shown

_URL = (
    "https://raw.githubusercontent.com/THUDM/ProNE/873630a5943f3eba8f4bbc9751fdf16af98d2171/data/"
)
SOURCE = Source(
    "biomedical",
    "node2vec_ppi",
    [
        RemoteFile(
            "PPI.ungraph",
            "853faf8f8f9705d0ccf2f12db80277cc779ccef04ba6a8703671138dca76796a",
            365_887,
            _URL + "PPI.ungraph",
        ),
        RemoteFile(
            "PPI.cmty",
            "d57a61e7cc5c46acafdd370c5126a2a5c57cb23f1a84ed1d0877f20149c90637",
            31_336,
            _URL + "PPI.cmty",
        ),
    ],
)


class Node2VecPPI(Dataset):
    """Human proteins, which of them interact, and the biological states each has a part in.

    One graph of 3890 nodes and 37845 pairs that interact, each an edge in both directions. `y`
    [N, 50] (float32) is 1 for each of the 50 labels that a protein has: one or more. The proteins
    have no features, so `x` is the identity [N, N] (`SparseFeatures`). 30 proteins interact with
    none but themselves; the 894 self-loops are left out unless `self_loops` keeps them.

    This is the network of the node2vec paper, on which embeddings are compared. The 24 tissues of
    the GraphSAGE paper are another dataset: `PPI`.

    The paper trains on a half of the nodes, drawn at random. So does `train_mask`; `val_mask` has
    a tenth, `test_mask` the rest.

    Args:
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        train, val: fractions of the nodes, rounded down; the rest are test nodes.
        seed: draws the split.
        self_loops: keep the self-loops.
        transform: applied once to the graph, after the cache.

    Raises:
        ValueError: fractions that are negative or more than 1 in sum.
        DownloadError: a file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: a file would have to be stored and the cache folder cannot be written.
        DatasetError: a file is damaged.

    Reference:
        Grover and Leskovec, "node2vec: scalable feature learning for networks", KDD 2016.

    Example:
        >>> from gnnlib.datasets import Node2VecPPI
        >>> Node2VecPPI()[0]                        # doctest: +SKIP
        Graph(num_nodes=3890, num_edges=75690, x=sparse[3890, 3890], y=[3890, 50], ...)
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        *,
        train: float = 0.5,
        val: float = 0.1,
        seed: int = 0,
        self_loops: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        graph = SOURCE.graph(parse, root, self_loops=self_loops)
        super().__init__(
            "ppi-node2vec",
            [graph.replace(**fractions(graph.num_nodes, train, val, seed))],
            num_classes=graph.y.shape[1],
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes], self_loops: bool = False) -> Graph:
    """The graph in the bytes of `PPI.ungraph` and `PPI.cmty`.

    The first lists each pair of nodes once; line i of the second lists the nodes of label i.

    Raises:
        DatasetError: a file is not in this format, or the files contradict one another.
    """
    pairs = matrix(files["PPI.ungraph"], "PPI.ungraph", np.int64, columns=2, separator=b"\t")
    nodes = np.unique(pairs)
    if len(nodes) == 0 or nodes[0] != 0 or nodes[-1] != len(nodes) - 1:
        raise DatasetError("PPI.ungraph must list the nodes 0, 1, … without a gap")
    source, destination = pairs.T
    edge_index = distinct(source, destination, len(nodes), both_ways=True, loops=self_loops)
    lines = files["PPI.cmty"].rstrip().split(b"\n")
    y = torch.zeros(len(nodes), len(lines))
    for label, line in enumerate(lines):
        cells = line.split()
        if not cells or not all(cell.isdigit() and len(cell) < 10 for cell in cells):
            raise DatasetError(f"PPI.cmty line {label + 1} must list nodes, got {shown(line)}")
        chosen = [int(cell) for cell in cells]
        if max(chosen) >= len(nodes):
            raise DatasetError(
                f"PPI.cmty line {label + 1} must list nodes in [0, {len(nodes)}), got {max(chosen)}"
            )
        y[chosen, label] = 1.0
    return Graph(torch.from_numpy(edge_index), x=identity(len(nodes)), y=y, num_nodes=len(nodes))


LICENCE = "MIT, by the LICENSE of github.com/THUDM/ProNE, which does not name the data"
CITATION = (
    "A. Grover, J. Leskovec. node2vec: scalable feature learning for networks. KDD 2016. "
    "C. Stark, B.-J. Breitkreutz, T. Reguly, L. Boucher, A. Breitkreutz, M. Tyers. BioGRID: a "
    "general repository for interaction datasets. Nucleic Acids Research 34, 2006. A. Liberzon, "
    "A. Subramanian, R. Pinchback, H. Thorvaldsdóttir, P. Tamayo, J. P. Mesirov. Molecular "
    "signatures database (MSigDB) 3.0. Bioinformatics 27(12), 2011."
)
