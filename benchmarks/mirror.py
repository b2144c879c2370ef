"""Edges of public graphs, read from $GNNLIB_MIRROR: a folder laid out <category>/<dataset>/<file>.

Nothing is downloaded: a graph that is not there is listed as skipped.
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

Graph = tuple[Tensor, int]  # edge_index [2, E], number of nodes


def file(relative: str) -> Path:
    """The path of a file.

    Raises:
        FileNotFoundError: it is not there.
    """
    folder = os.environ.get("GNNLIB_MIRROR", "")
    if not folder:
        raise FileNotFoundError(f"{relative}: GNNLIB_MIRROR is not set")
    path = Path(folder).expanduser() / relative
    if not path.is_file():
        raise FileNotFoundError(f"{relative} is not in the mirror")
    return path


def _both_directions(source: np.ndarray, target: np.ndarray, num_nodes: int) -> Graph:
    """Each pair of nodes once in each direction, sorted, as loaders give it."""
    ends = np.concatenate([source, target]), np.concatenate([target, source])
    key = np.unique(ends[0].astype(np.int64) * num_nodes + ends[1])
    return torch.from_numpy(np.stack([key // num_nodes, key % num_nodes])), num_nodes


def _npz(name: str) -> Graph:
    folder = "copurchase_coauthor/gnn_benchmark_npz_compressed"
    with np.load(file(f"{folder}/{name}"), allow_pickle=False) as arrays:
        ptr, target = arrays["adj_indptr"], arrays["adj_indices"]
    num_nodes = len(ptr) - 1
    return _both_directions(np.repeat(np.arange(num_nodes), np.diff(ptr)), target, num_nodes)


def amazon_computers() -> Graph:
    return _npz("amazon_cs.npz")


def coauthor_physics() -> Graph:
    return _npz("coauthor_phy.npz")


def facebook_pages() -> Graph:
    path = file("social/musae_facebook/facebook_edges.csv")
    source, target = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64).T
    return _both_directions(source, target, int(max(source.max(), target.max())) + 1)


def blogcatalog() -> Graph:
    from scipy.io import loadmat

    matrix = loadmat(file("social/blogcatalog_attributed/BlogCatalog.mat"))["Network"].tocoo()
    return _both_directions(matrix.row, matrix.col, matrix.shape[0])


def pubmed() -> Graph | None:
    """The citations of PubMed; its features are not needed. None without the file."""
    from gnnlib.datasets.planetoid import _edges

    name = "ind.pubmed.graph"
    try:
        data = file(f"citation/planetoid_pubmed/{name}").read_bytes()
    except FileNotFoundError:
        return None
    source = f"{name} of the mirror"
    edges, num_nodes = _edges(data, source, raw_edges=False)
    return torch.as_tensor(edges).reshape(2, -1), num_nodes
