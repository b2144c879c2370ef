"""The libraries that gnnlib is compared with, found at run time, and a graph as each wants it.

What a library can keep of a graph is built before anything is timed: CSR and CSC of DGL, all caches
of torch-sparse's SparseTensor, torch's CSR with its values.
"""

import importlib
import importlib.metadata
import os
import warnings
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.graphs import Edges
from benchmarks.timing import on_gpu
from gnnlib import Adjacency

# Name in the tables, and the module.
LIBRARIES = {
    "PyG": "torch_geometric",
    "DGL": "dgl",
    "torch-scatter": "torch_scatter",
    "torch-sparse": "torch_sparse",
}


class MissingPeer(Exception):
    """A library is not installed: its side is left out of a case."""


@cache
def load(library: str) -> Any:
    """The module of one of LIBRARIES.

    Raises:
        MissingPeer: it cannot be imported.
    """
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(LIBRARIES[library])
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingPeer(f"{library}: {error}") from error


def part(library: str, path: str) -> Any:
    """What stands at a dotted path below a library's module, such as "nn.GCNConv"."""
    found = load(library)
    module, _, name = path.rpartition(".")
    if module:
        found = importlib.import_module(f"{found.__name__}.{module}")
    return getattr(found, name)


def versions() -> dict[str, str]:
    """The version of each library, or "missing"."""
    found = {}
    for library, module in LIBRARIES.items():
        try:
            load(library)
            found[library] = importlib.metadata.version(module)
        except (MissingPeer, importlib.metadata.PackageNotFoundError):
            found[library] = "missing"
    return found


def room_for(num_bytes: float) -> None:
    """Raises a MemoryError where a peer's arrays would take more than half of the free memory."""
    free = torch.cuda.mem_get_info()[0] if on_gpu() else _free_bytes()
    if free is not None and num_bytes > free / 2:
        raise MemoryError(f"needs {num_bytes / 1e9:.1f} GB; {free / 1e9:.1f} GB are free")


def _free_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


class Structures:
    """A graph in the form of each library, built when it is first asked for."""

    def __init__(self, edges: Edges):
        self.edges = edges
        self.edge_index = edges.edge_index
        self.num_nodes = edges.num_nodes
        self.gather_rates: dict[int, float] = {}  # of `ceilings.gather`, by width

    @cached_property
    def adj(self) -> Adjacency:
        adj = Adjacency.from_edge_index(self.edge_index, self.num_nodes)
        adj.transpose()
        return adj

    @cached_property
    def dgl(self) -> Any:
        return _dgl_graph(self.edge_index, self.num_nodes)

    @cached_property
    def dgl_with_loops(self) -> Any:
        loops = torch.arange(self.num_nodes).repeat(2, 1)
        return _dgl_graph(torch.cat([self.edge_index, loops], dim=1), self.num_nodes)

    @cached_property
    def sparse_tensor(self) -> Any:
        """Aᵀ, rows by destination, as PyG's documentation has `adj_t`."""
        matrix = part("torch-sparse", "SparseTensor")(
            rowptr=self.adj.ptr.long(),
            col=self.adj.col.long(),
            sparse_sizes=(self.num_nodes, self.num_nodes),
            is_sorted=True,  # or it sorts the columns of a row, and weights lose their edges
        )
        return matrix.fill_cache_()

    def torch_csr(self, values: Tensor) -> Tensor:
        """Aᵀ with values in CSR order."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "sparse CSR tensor support is in beta state"
            size = (self.num_nodes, self.num_nodes)
            return torch.sparse_csr_tensor(self.adj.ptr, self.adj.col, values, size)

    def in_csr_order(self, weight: Tensor) -> Tensor:
        return weight if self.adj.eid is None else weight[self.adj.eid.long()]


def _dgl_graph(edge_index: Tensor, num_nodes: int) -> Any:
    graph = load("DGL").graph((edge_index[0], edge_index[1]), num_nodes=num_nodes)
    graph = graph.formats(["coo", "csr", "csc"])
    graph.create_formats_()
    return graph
