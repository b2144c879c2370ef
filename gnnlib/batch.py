"""Batch: several graphs as one, without edges between them, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import _concat, _pytree, _select
from ._levels import check_name, level_of
from .adjacency import Adjacency
from .features import SparseFeatures
from .graph import Graph, flatten, unflatten


class Batch(Graph):
    """The disjoint union of graphs. What works on a Graph works on a Batch.

    The nodes of graph b are `graph_ptr[b]:graph_ptr[b + 1]`; `batch` [N] holds the graph of each
    node. Node and edge tensors stand below each other, `graph_*` tensors have one row per graph.

    Usually made by `Batch.from_graphs`. The constructor takes what Graph takes, and

    Args:
        graph_ptr: where the nodes of each graph begin, and their number at the end, [B + 1].

    Raises:
        ValueError: also for an edge between two graphs.

    Example:
        >>> pair = Graph([[0], [1]], x=torch.zeros(2, 3))
        >>> loop = Graph([[0], [0]], x=torch.ones(1, 3))
        >>> batch = Batch.from_graphs([pair, loop])
        >>> batch
        Batch(num_graphs=2, num_nodes=3, num_edges=2, x=[3, 3])
        >>> batch.batch, batch.edge_index.tolist()
        (tensor([0, 0, 1]), [[0, 2], [1, 2]])
        >>> batch[1]
        Graph(num_nodes=1, num_edges=1, x=[1, 3])
    """

    def __init__(
        self, edge_index: Any, *, graph_ptr: Any, num_nodes: int | None = None, **tensors: Any
    ):
        graph_ptr = torch.as_tensor(graph_ptr)
        if graph_ptr.dtype != torch.int64 or graph_ptr.dim() != 1 or graph_ptr.shape[0] == 0:
            raise ValueError(
                "graph_ptr must be int64 of shape [num_graphs + 1], got"
                f" {graph_ptr.dtype} of shape {tuple(graph_ptr.shape)}"
            )
        num_nodes = int(graph_ptr[-1]) if num_nodes is None else num_nodes
        self._init(edge_index, num_nodes, tensors, graph_ptr)
        self._check_groups()

    def _check_groups(self) -> None:
        ptr = self.graph_ptr
        if ptr.device != self.device:
            raise ValueError(
                f"graph_ptr must be on the device of edge_index: {self.device}, got {ptr.device}"
            )
        if int(ptr[0]) != 0 or int(ptr[-1]) != self.num_nodes or bool((ptr.diff() < 0).any()):
            raise ValueError(
                f"graph_ptr must run from 0 to num_nodes={self.num_nodes} and never decrease, got"
                f" {ptr.tolist() if ptr.shape[0] < 10 else '…'}"
            )
        source, destination = self.batch[self.edge_index]
        crossing = source != destination
        if bool(crossing.any()):
            edge = int(crossing.nonzero()[0])
            raise ValueError(
                f"edge_index must not join two graphs: edge {edge} is"
                f" {tuple(self.edge_index[:, edge].tolist())}, of graphs {int(source[edge])} and"
                f" {int(destination[edge])}"
            )

    @classmethod
    def from_graphs(cls, graphs: Iterable[Graph]) -> Batch:
        """Join graphs that have the same tensors, of the same widths and dtypes.

        Adjacencies that the graphs have built are joined, not sorted again. A Batch among the
        graphs counts as the graphs in it.

        Raises:
            TypeError: an item that is no Graph.
            ValueError: no graphs, or a graph whose tensors differ; the message names it.
        """
        graphs = list(graphs)
        _check_alike(graphs)
        nodes, edges = [g.num_nodes for g in graphs], [g.num_edges for g in graphs]
        edge_index = torch.cat([g.edge_index for g in graphs], dim=1)
        edge_index = edge_index + _concat.spread(_concat.offsets(nodes), edges, edge_index)
        tensors = {name: _join([g[name] for g in graphs]) for name, _ in graphs[0].items()}
        kept = {}
        if all("adj" in g._kept for g in graphs):
            kept["adj"] = _concat.block_diagonal([g.adj for g in graphs])
        return cls._make(edge_index, sum(nodes), tensors, _join_ptr(graphs, nodes), kept)

    def select(self, graphs: Any) -> Batch:
        """The batch of some of the graphs, in the order given; a graph may be there repeatedly.

        A mini-batch costs a few gathers, whatever the number of graphs. An adjacency that the batch
        has built is cut and joined, not sorted again.

        Args:
            graphs: numbers of graphs, a tensor or list [B'], negative ones from the end; or a bool
                mask [B], or a slice.

        Raises:
            IndexError: a number that no graph has, or a mask of another length.
            TypeError: what is no number, mask or slice.

        Example:
            >>> pair = Graph([[0], [1]], x=torch.zeros(2, 3))
            >>> loop = Graph([[0], [0]], x=torch.ones(1, 3))
            >>> Batch.from_graphs([pair, loop]).select([1, 0, 1])
            Batch(num_graphs=3, num_nodes=4, num_edges=3, x=[4, 3])
        """
        return _select.select(self, graphs)

    def __getitems__(self, graphs: list[int]) -> Batch:
        """How torch.utils.data.DataLoader asks for several items."""
        return self.select(graphs)

    def unbatch(self) -> list[Graph]:
        """The graphs, each with its nodes and edges in their order and its own numbering."""
        return list(self)

    def __len__(self) -> int:
        return self.num_graphs

    def __iter__(self) -> Iterator[Graph]:
        return (self._piece(b) for b in range(self.num_graphs))

    def __getitem__(self, key: int | str) -> Any:
        """Graph number `key`, or the tensor of that name."""
        if not isinstance(key, int):
            return super().__getitem__(key)
        if not -self.num_graphs <= key < self.num_graphs:
            raise IndexError(f"the batch has {self.num_graphs} graphs, got {key}")
        return self._piece(key % self.num_graphs)

    def _piece(self, b: int) -> Graph:
        node_ptr, edge_ptr, order = self._memo("pieces", self._build_pieces)
        first, last = node_ptr[b], node_ptr[b + 1]
        edges = slice(edge_ptr[b], edge_ptr[b + 1])
        kept = {"adj": self._piece_adj(b, edges)} if order is None and "adj" in self._kept else {}
        rows = {
            "node": slice(first, last),
            "edge": edges if order is None else order[edges],
            "graph": slice(b, b + 1),
        }
        tensors = {name: value[rows[level_of(name)]] for name, value in self.items()}
        edge_index = self.edge_index[:, rows["edge"]] - first
        return Graph._make(edge_index, last - first, tensors, kept=kept)

    def _build_pieces(self) -> tuple[list[int], list[int], Tensor | None]:
        """Where the nodes and edges of each graph begin, and the order that groups the edges."""
        found = _select.groups(self)
        return *np.pad(found.sizes.cumsum(1), [(0, 0), (1, 0)]).tolist(), found.order

    def _piece_adj(self, b: int, edges: slice) -> Adjacency:
        """The rows of one graph: as edges are grouped, its CSR positions are its edges."""
        first, last = self._memo("pieces", self._build_pieces)[0][b : b + 2]
        ptr = self.adj.ptr[first : last + 1] - edges.start
        eid = None if self.adj.eid is None else self.adj.eid[edges] - edges.start
        return Adjacency._make(ptr, self.adj.col[edges] - first, last - first, eid)

    def validate(self) -> Batch:
        super().validate()
        self._check_groups()
        return self


def _check_alike(graphs: Sequence[Graph]) -> None:
    if not graphs:
        raise ValueError("graphs must hold at least one graph, got none")
    for k, graph in enumerate(graphs):
        if not isinstance(graph, Graph):
            raise TypeError(f"graphs must hold Graphs, got {type(graph).__name__} at {k}")
    wanted = {name: _kind(value) for name, value in graphs[0].items()}
    for name in wanted:
        check_name(name, Batch)
    for k, graph in enumerate(graphs):
        if graph.device != graphs[0].device:
            raise ValueError(
                f"graphs must be on one device: graph 0 is on {graphs[0].device}, graph {k} on"
                f" {graph.device}"
            )
        for name in wanted.keys() ^ graph.keys():
            has, lacks = (0, k) if name in wanted else (k, 0)
            raise ValueError(
                f"graphs must have the same tensors: graph {has} has {name!r}, graph {lacks} has"
                " none"
            )
        for name, value in graph.items():
            if _kind(value) != wanted[name]:
                raise ValueError(
                    f"{name} must be alike in all graphs: graph 0 has {_describe(wanted[name])},"
                    f" graph {k} has {_describe(_kind(value))}"
                )


def _kind(value: Tensor | SparseFeatures) -> tuple[bool, tuple[int, ...], torch.dtype]:
    return isinstance(value, SparseFeatures), tuple(value.shape[1:]), value.dtype


def _describe(kind: tuple[bool, tuple[int, ...], torch.dtype]) -> str:
    sparse, width, dtype = kind
    return f"{'sparse ' if sparse else ''}rows of shape {width} and {dtype}"


def _join(values: Sequence[Any]) -> Tensor | SparseFeatures:
    if isinstance(values[0], SparseFeatures):
        return SparseFeatures.cat(values)
    return torch.cat(list(values))


def _join_ptr(graphs: Sequence[Graph], nodes: Sequence[int]) -> Tensor:
    if all(graph._graph_ptr is None for graph in graphs):
        return graphs[0].edge_index.new_tensor([0, *accumulate(nodes)])
    return _concat.cat_ptr([g.graph_ptr for g in graphs], _concat.offsets(nodes), torch.int64)


_pytree.register(Batch, flatten, partial(unflatten, Batch))
