"""The protein interactions of the GraphSAGE paper as 24 graphs, one for each tissue."""

import os
from collections.abc import Callable

import numpy as np
import torch

from .._errors import unknown_choice
from ..batch import Batch
from ..graph import Graph
from ._archive import members
from ._dataset import Dataset
from ._edges import distinct
from ._errors import DatasetError
from ._node_link import Json
from ._npz import array, features
from ._source import RemoteFile, Source

# The file was not at hand when this was written: its checksum and size, and the numbers below, are
# those that others state. GraphMLDatasets.jl is one with the checksum.
_SOURCE = Source(
    "biomedical",
    "ppi",
    [
        RemoteFile(
            "ppi.zip",
            "1f5b2b09ac0f897fa6aa1338c64ab75a5473674cbba89380120bede8cddb2a6a",
            7_088_822,
            "https://data.dgl.ai/dataset/ppi.zip",
        )
    ],
)
_PREFIXES = {"train": "train", "val": "valid", "test": "test"}


class PPI(Dataset):
    """Proteins that interact, a graph for each of 24 human tissues: the PPI of PyG and DGL.

    =====  ======  =====  =======
    split  graphs  nodes  edges
    =====  ======  =====  =======
    train  20      44906  1226368
    val    2       6514   198920
    test   2       5524   161976
    =====  ======  =====  =======

    A graph has `x` [N, 50] (float32): gene sets that the protein is in, standardised by the
    training graphs; and `y` [N, 121] (float32), 1 for each of its functions: none, one or more. An
    interaction is an edge in both directions. The file gives each node a self-loop, which is left
    out unless `self_loops` keeps them.

    These are graphs as the file numbers them: some have several components. `read_graphsage` reads
    the files of the paper, in which all is one graph.

    Args:
        split: "train", "val" or "test".
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        self_loops: keep the self-loops.
        transform: applied once to each graph, after the cache.

    Raises:
        ValueError: another split.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    Reference:
        Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs", NIPS
        2017. Zitnik and Leskovec, "Predicting multicellular function through multi-layer tissue
        networks", Bioinformatics 33, 2017.

    Example:
        >>> from gnnlib.datasets import PPI
        >>> PPI("val")                              # doctest: +SKIP
        PPI('ppi', num_graphs=2, num_features=50, num_classes=121)
    """

    def __init__(
        self,
        split: str = "train",
        root: str | os.PathLike | None = None,
        *,
        self_loops: bool = False,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        if split not in _PREFIXES:
            raise unknown_choice("split", split, _PREFIXES)
        batch = _SOURCE.graph(parse, root, split=split, self_loops=self_loops)
        super().__init__(
            "ppi",
            batch,
            num_classes=batch.y.shape[1],
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def parse(files: dict[str, bytes], split: str, self_loops: bool = False) -> Batch:
    """The graphs of a split in the bytes of `ppi.zip`, as one batch.

    `<split>_graph.json` has the edges of all of them, as networkx writes a graph whose nodes are
    0, 1, …; the npy files `_graph_id`, `_feats` and `_labels` have a row for each node.

    Raises:
        DatasetError: a file is not in this format, or the files contradict one another.
    """
    split = _PREFIXES[split]
    parts = [
        f"{split}_{part}" for part in ("graph.json", "graph_id.npy", "feats.npy", "labels.npy")
    ]
    found = members(files["ppi.zip"], "ppi.zip", parts)
    named = [(found[part], f"ppi.zip: {part}") for part in parts]
    written = Json(named[0][1], named[0][0])
    num_nodes = _count_nodes(written)
    ids = _graph_ids(*named[1], num_nodes)
    edges = written.links(num_nodes)
    for link in np.flatnonzero(np.diff(ids[edges]))[:1]:
        written.refuse(
            f"link {link} must join nodes of one graph, got {tuple(edges[link].tolist())}, which"
            f" {parts[1]} has in two"
        )
    # Of a graph that is not directed, networkx writes each edge once.
    both_ways = written.content.get("directed") is not True
    source, destination = edges.T
    edge_index = distinct(source, destination, num_nodes, both_ways=both_ways, loops=self_loops)
    return Batch(
        torch.from_numpy(edge_index),
        graph_ptr=torch.from_numpy(np.searchsorted(ids, np.arange(ids[-1] + 2))),
        x=features(*named[2], num_nodes),
        y=_labels(*named[3], num_nodes),
        num_nodes=num_nodes,
    )


def _count_nodes(written: Json) -> int:
    nodes = written.objects("nodes")
    numbers = {node["id"] for node in nodes if type(node.get("id")) is int}
    if not nodes or numbers != set(range(len(nodes))):
        written.refuse("must number its nodes from 0, each once")
    return len(nodes)


def _graph_ids(data: bytes, source: str, num_nodes: int) -> np.ndarray:
    """The graph of each node, [N], counted from 0."""
    values = array(data, source)
    with np.errstate(invalid="ignore"):
        ids = values.astype(np.int64)
    in_order = np.isin(np.diff(ids), (0, 1)).all()
    if ids.shape != (num_nodes,) or (ids != values).any() or not in_order:
        raise DatasetError(f"{source} must have the graphs of {num_nodes} nodes, numbered in order")
    return ids - ids[0]


def _labels(data: bytes, source: str, num_nodes: int) -> torch.Tensor:
    values = array(data, source)
    if values.ndim != 2 or len(values) != num_nodes or not np.isin(values, (0, 1)).all():
        raise DatasetError(
            f"{source} must have zeros and ones of shape [{num_nodes}, C], got shape {values.shape}"
        )
    return torch.from_numpy(values.astype(np.float32))


LICENCE = "not stated by its sources"
CITATION = (
    "W. L. Hamilton, R. Ying, J. Leskovec. Inductive representation learning on large graphs. "
    "NIPS 2017. M. Zitnik, J. Leskovec. Predicting multicellular function through multi-layer "
    "tissue networks. Bioinformatics 33(14), 2017."
)
