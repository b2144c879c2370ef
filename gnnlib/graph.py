"""Graph: edges and named tensors, validated once."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, KeysView, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from . import _pytree, _structure
from ._convertible import Convertible
from ._levels import as_tensor, check_name, check_tensor, level_of
from ._memo import memo
from ._validate import as_edge_index, as_size, largest_ids
from .adjacency import Adjacency
from .features import SparseFeatures


class Graph(Convertible):
    """A directed graph: edges i → j and tensors of its nodes, edges and of the whole. Immutable.

    The name of a tensor says what its rows stand for: `edge_*` has one row per edge, `graph_*` one
    row per graph (a Graph is one graph, a Batch several), every other name one row per node. So
    `y` is per node, `edge_y` per edge, `graph_y` per graph. Tensors are attributes: `graph.x`,
    `graph.train_mask`. Tensors given are not copied.

    Every [E, …] tensor is in the order of `edge_index`; `graph.adj` is the same structure as the
    kernels take it, sorted once, on first use. `graph.replace(x=…)` makes a graph with other
    tensors and the same structure.

    Args:
        edge_index: sources and destinations, [2, E], int64 or int32 (kept as int64); a list or
            numpy array is converted. An undirected edge is two directed ones.
        x: node features, [N, F]: a tensor, SparseFeatures, or a scipy or torch sparse matrix.
        edge_attr: edge features, [E] or [E, D].
        y: a target per node, [N, …].
        num_nodes: N; left out, it is the row count of the node tensors, or without any the largest
            id plus one.
        **tensors: further ones by name, for example `edge_weight` [E], `train_mask`, `graph_y`.

    Raises:
        TypeError: what is no tensor, or an `edge_index` that is not of integers.
        ValueError: an `edge_index` of wrong shape, an id out of bounds (the message names the
            first such edge), a tensor of wrong length or on another device.

    Example:
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3), edge_weight=torch.ones(3))
        >>> graph
        Graph(num_nodes=3, num_edges=3, x=[3, 3], edge_weight=[3])
        >>> graph.replace(y=torch.tensor([0, 1, 1])).y
        tensor([0, 1, 1])
    """

    edge_index: Tensor
    num_nodes: int
    _tensors: dict[str, Any]
    _graph_ptr: Tensor | None  # None: one graph
    _kept: dict[Any, Any]  # what depends on the structure alone; shared by replace()

    def __init__(
        self,
        edge_index: Any,
        x: Any = None,
        edge_attr: Any = None,
        y: Any = None,
        num_nodes: int | None = None,
        **tensors: Any,
    ):
        self._init(edge_index, num_nodes, {"x": x, "edge_attr": edge_attr, "y": y, **tensors})

    def _init(
        self,
        edge_index: Any,
        num_nodes: int | None,
        tensors: Mapping[str, Any],
        graph_ptr: Tensor | None = None,
    ) -> None:
        edge_index = as_edge_index(edge_index)
        given = {
            name: as_tensor(name, value) for name, value in tensors.items() if value is not None
        }
        if num_nodes is not None:
            num_nodes = as_size("num_nodes", num_nodes)
        else:
            num_nodes = _node_rows(given)
        if num_nodes is None or not torch.compiler.is_compiling():
            largest = largest_ids(edge_index, num_nodes, num_nodes)
            num_nodes = max(largest) + 1 if num_nodes is None else num_nodes
        self._set(edge_index.long(), num_nodes, given, graph_ptr, {})
        for name in given:
            self._check(name)

    def _check(self, name: str) -> None:
        check_name(name, type(self))
        rows = {"node": self.num_nodes, "edge": self.num_edges, "graph": self.num_graphs}
        check_tensor(name, self._tensors[name], rows, self.device)

    def _set(
        self,
        edge_index: Tensor,
        num_nodes: int,
        tensors: dict[str, Any],
        graph_ptr: Tensor | None,
        kept: dict[Any, Any],
    ) -> None:
        object.__setattr__(self, "edge_index", edge_index)
        object.__setattr__(self, "num_nodes", num_nodes)
        object.__setattr__(self, "_tensors", tensors)
        object.__setattr__(self, "_graph_ptr", graph_ptr)
        object.__setattr__(self, "_kept", kept)

    @classmethod
    def _make(
        cls,
        edge_index: Tensor,
        num_nodes: int,
        tensors: dict[str, Any],
        graph_ptr: Tensor | None = None,
        kept: dict[Any, Any] | None = None,
    ) -> Any:
        """A graph of parts that are known to fit."""
        graph = cls.__new__(cls)
        graph._set(edge_index, num_nodes, tensors, graph_ptr, {} if kept is None else kept)
        return graph

    # what there is ---------------------------------------------------------------------------

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    @property
    def num_features(self) -> int:
        """Columns of x; 0 without x."""
        return self._tensors["x"].shape[-1] if "x" in self._tensors else 0

    @property
    def num_graphs(self) -> int:
        return 1 if self._graph_ptr is None else self._graph_ptr.shape[0] - 1

    @property
    def graph_ptr(self) -> Tensor:
        """Where the nodes of each graph begin, [B + 1]: b has `graph_ptr[b]:graph_ptr[b + 1]`."""
        if self._graph_ptr is not None:
            return self._graph_ptr
        return self._memo("graph_ptr", self._build_graph_ptr)

    def _build_graph_ptr(self) -> Tensor:
        return torch.arange(2, device=self.device) * self.num_nodes

    @property
    def batch(self) -> Tensor:
        """The graph of each node, [N]."""
        return self._memo("batch", self._build_batch)

    def _build_batch(self) -> Tensor:
        ids = torch.arange(self.num_graphs, device=self.device)
        return torch.repeat_interleave(ids, self.graph_ptr.diff(), output_size=self.num_nodes)

    @property
    def device(self) -> torch.device:
        return self.edge_index.device

    @property
    def adj(self) -> Adjacency:
        """The edges as the kernels take them; sorted on first use, then kept."""
        return self._memo("adj", self._build_adj)

    def _build_adj(self) -> Adjacency:
        source, destination = self.edge_index[0], self.edge_index[1]
        return Adjacency._from_edges(source, destination, self.num_nodes, self.num_nodes)

    def _memo(self, key: str, build: Callable[[], Any]) -> Any:
        return memo(self._kept, key, build)

    def keys(self) -> KeysView[str]:
        """Names of the tensors, without `edge_index`."""
        return self._tensors.keys()

    def items(self) -> ItemsView[str, Any]:
        """Names and tensors, without `edge_index`."""
        return self._tensors.items()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise TypeError(f"graph[name] takes the name of a tensor, got {name!r}")
        if name not in self._tensors:
            raise KeyError(self._missing(name))
        return self._tensors[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._tensors:
            raise AttributeError(self._missing(name))
        return self._tensors[name]

    def _missing(self, name: str) -> str:
        there = ", ".join(["edge_index", *self._tensors])
        return f"this {type(self).__name__} has no {name!r}; it has {there}"

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"a {type(self).__name__} is immutable: graph.replace({name}=…) makes a new one"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable: use replace({name}=None)")

    def is_undirected(self) -> bool:
        """True when each edge i → j has its own j → i; edge tensors are not compared."""
        return self._memo("is_undirected", lambda: _structure.is_undirected(self))

    def has_self_loops(self) -> bool:
        """True when an edge starts and ends in the same node."""
        return self.adj.has_loops

    def has_repeated_edges(self) -> bool:
        """True when an edge i → j is there more than once."""
        return self._memo("has_repeated_edges", lambda: _structure.has_repeated_edges(self))

    def validate(self) -> Any:
        """Check everything again, for tensors that were changed in place; returns the graph.

        Raises:
            ValueError: as when the graph was made.
        """
        largest_ids(self.edge_index, self.num_nodes, self.num_nodes)
        for name in self._tensors:
            self._check(name)
        if "adj" in self._kept and not torch.equal(self.adj._build_edge_index(), self.edge_index):
            raise ValueError("edge_index was changed in place after the adjacency was made from it")
        return self

    # changed copies --------------------------------------------------------------------------

    def replace(self, **tensors: Any) -> Any:
        """The same structure with tensors added or replaced; None takes one away.

        What changed is validated; the adjacency, and all that is kept with it, is shared.
        """
        merged = dict(self._tensors)
        for name, value in tensors.items():
            if name in ("edge_index", "num_nodes"):
                raise TypeError(f"{name} is the structure and stays: make a new Graph for another")
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = as_tensor(name, value)
        graph = self._make(self.edge_index, self.num_nodes, merged, self._graph_ptr, self._kept)
        for name in tensors:
            if name in merged:
                graph._check(name)
        return graph

    def add_self_loops(self, fill: float | Mapping[str, float | Tensor] = 1.0) -> Any:
        """Add a self-loop to each node that has none; a node that has loops keeps them.

        The new edges come last, in node order, as in `adj.with_loops()`.

        Args:
            fill: value of the edge tensors on the new edges, or one by name: {"edge_attr": 0.0}.
                A tensor must broadcast to one row; names left out get 1.
        """
        return _structure.add_self_loops(self, fill)

    def remove_self_loops(self) -> Any:
        """The graph without the edges that start and end in the same node."""
        return _structure.remove_self_loops(self)

    def coalesce(self, reduce: str = "sum") -> Any:
        """Repeated edges as one, sorted by destination and then by source.

        Args:
            reduce: 'sum', 'mean', 'max', 'min' or 'mul' of the edge tensors of repeated edges.
                A bool tensor holds if any does (all, for 'min' and 'mul').
        """
        return _structure.coalesce(self, reduce)

    def to_undirected(self, reduce: str = "sum") -> Any:
        """Each edge i → j also as j → i, then coalesced: A + Aᵀ, but self-loops count once.

        Args:
            reduce: of the edge tensors, where i → j and j → i are both there (see `coalesce`).
        """
        return _structure.to_undirected(self, reduce)

    def reverse(self) -> Any:
        """Every edge i → j as j → i; the order of the edges stays."""
        return self._make(self.edge_index.flip(0), self.num_nodes, self._tensors, self._graph_ptr)

    def subgraph(self, nodes: Any) -> Any:
        """The nodes chosen, in the order given, and the edges between them, in their order.

        Node k of the result is `nodes[k]`. Node and edge tensors are cut to size; `graph_*` stay.

        Args:
            nodes: a bool mask [N], or node ids without repetition, [K].
        """
        return _structure.subgraph(self, nodes)

    def to(
        self, device: Any = None, dtype: torch.dtype | None = None, *, non_blocking: bool = False
    ) -> Any:
        """The graph on a device, its floating tensors in a dtype, or both; itself if it is.

        Integer and bool tensors keep their dtype. `graph.to(torch.float64)` is understood too.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if dtype is not None and not dtype.is_floating_point:
            raise ValueError(f"dtype must be floating: integer tensors keep theirs, got {dtype}")
        return self._map(
            lambda t: t.to(
                device=device,
                dtype=dtype if t.dtype.is_floating_point else t.dtype,
                non_blocking=non_blocking,
            )
        )

    def pin_memory(self) -> Any:
        """The graph in page-locked memory, from which copies to a GPU are asynchronous."""
        return self._map(lambda t: t.pin_memory())

    def _map(self, move: Callable[[Any], Any]) -> Any:
        """The graph with each tensor moved; its adjacency too, if the edges moved."""
        edge_index, kept = move(self.edge_index), self._kept
        tensors = {name: move(value) for name, value in self._tensors.items()}
        if edge_index is not self.edge_index:
            kept = {"adj": self.adj._map(move)} if "adj" in self._kept else {}
        elif all(tensors[name] is value for name, value in self._tensors.items()):
            return self
        graph_ptr = None if self._graph_ptr is None else move(self._graph_ptr)
        return self._make(edge_index, self.num_nodes, tensors, graph_ptr, kept)

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: self._kept[key] for key in ("adj",) if key in self._kept}
        return {**self.__dict__, "_kept": kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        sizes = {"num_nodes": self.num_nodes, "num_edges": self.num_edges}
        if self._graph_ptr is not None:
            sizes = {"num_graphs": self.num_graphs, **sizes}
        shown = {**sizes, **{name: _shown(value) for name, value in self._tensors.items()}}
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in shown.items())})"


def _node_rows(tensors: Mapping[str, Any]) -> int | None:
    """Rows of the first tensor that has one per node."""
    for name, value in tensors.items():
        if level_of(name) == "node" and (rows := _pytree.rows(value)) is not None:
            return rows
    return None


def _shown(value: Any) -> str:
    if isinstance(value, SparseFeatures):
        return f"sparse{list(value.shape)}"
    if type(value) is Tensor and value.dtype == torch.bool and value.dim() == 1:
        return str(int(value.sum()))  # a mask: how many it chooses
    return str(list(value.shape))


def flatten(graph: Graph) -> tuple[dict[str, Any], int | None]:
    """For pytrees. num_nodes is left out where a node tensor tells it.

    So is the adjacency: an exported program must not depend on whether it was built.
    """
    leaves = {"edge_index": graph.edge_index, **graph._tensors}
    if graph._graph_ptr is not None:
        leaves["graph_ptr"] = graph._graph_ptr
    return leaves, None if _node_rows(graph._tensors) is not None else graph.num_nodes


def unflatten(cls: type[Graph], leaves: dict[str, Any], num_nodes: int | None) -> Any:
    """A Graph or Batch of the leaves of `flatten`."""
    tensors = dict(leaves)
    edge_index, graph_ptr = tensors.pop("edge_index"), tensors.pop("graph_ptr", None)
    if num_nodes is None:
        num_nodes = _node_rows(tensors) or 0
    return cls._make(edge_index, num_nodes, tensors, graph_ptr)


_pytree.register(Graph, flatten, partial(unflatten, Graph))
