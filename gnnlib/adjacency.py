"""Adjacency: the edges as CSR by destination, the only structure the kernels see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import _convert, _pytree, ops
from ._memo import is_tracing, memo
from ._validate import (
    as_edge_index,
    as_size,
    check_csr_kinds,
    check_csr_values,
    index_dtype,
    largest_ids,
)
from .ops._door import known


class Adjacency:
    """The edges i → j of a graph, sorted by destination j. Immutable, and without weights.

    Row j lists the sources of the edges that end in j: `col[ptr[j]:ptr[j + 1]]`, in the order in
    which the user gave them (the sort is stable). CSR position k is the user's edge `eid[k]`;
    `eid` is None when the edges came sorted, so that position and edge are the same. Arrays are
    int32 unless the graph has 2³¹ nodes or edges. Sources and destinations may be different sets
    of nodes (a rectangular adjacency).

    What is derived from the structure is computed once and kept: the transpose for gradients,
    degrees, the adjacency with self-loops.

    Args:
        ptr: row pointers, [num_dst + 1].
        col: source of each position, [E].
        num_src: number of source nodes; None means as many as destinations.
        eid: the user's edge at each position, [E]; None means position k is edge k.
        validate: False skips the checks of values, for arrays known to be right.

    Raises:
        TypeError: an array that is no integer tensor.
        ValueError: arrays that are no stable CSR; the message names the first bad entry.

    Example:
        >>> adj = Adjacency.from_edge_index([[0, 1, 2], [1, 0, 1]], num_nodes=3)
        >>> adj
        Adjacency(num_nodes=3, num_edges=3)
        >>> adj.ptr.tolist(), adj.col.tolist(), adj.eid.tolist()
        ([0, 1, 3, 3], [1, 0, 2], [1, 0, 2])
        >>> adj.degree()
        tensor([1., 2., 0.])
    """

    ptr: Tensor
    col: Tensor
    eid: Tensor | None
    num_src: int
    _memo: dict[Any, Any]

    def __init__(
        self,
        ptr: Tensor,
        col: Tensor,
        num_src: int | None = None,
        eid: Tensor | None = None,
        *,
        validate: bool = True,
    ):
        check_csr_kinds(ptr, col, eid)
        num_dst = ptr.shape[0] - 1
        num_src = num_dst if num_src is None else as_size("num_src", num_src)
        if validate and not torch.compiler.is_compiling():
            check_csr_values(ptr, col, num_src, eid)
        dtype = index_dtype(num_src, num_dst, col.shape[0])
        ptr, col = ptr.to(dtype).contiguous(), col.to(dtype).contiguous()
        self._set(ptr, col, num_src, None if eid is None else eid.to(dtype).contiguous())

    def _set(self, ptr: Tensor, col: Tensor, num_src: int, eid: Tensor | None) -> None:
        object.__setattr__(self, "ptr", ptr)
        object.__setattr__(self, "col", col)
        object.__setattr__(self, "num_src", num_src)
        object.__setattr__(self, "eid", eid)
        object.__setattr__(self, "_memo", {})
        known(ptr, col.shape[0], immutable=True)
        known(col, num_src, immutable=True)
        if eid is not None:
            known(eid, col.shape[0], once=True, immutable=True)

    @classmethod
    def _make(cls, ptr: Tensor, col: Tensor, num_src: int, eid: Tensor | None) -> Adjacency:
        """An Adjacency of arrays that are known to be right."""
        adj = cls.__new__(cls)
        adj._set(ptr, col, num_src, eid)
        return adj

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Any,
        num_nodes: int | None = None,
        *,
        num_src: int | None = None,
        num_dst: int | None = None,
    ) -> Adjacency:
        """Sort an edge list by destination, stably, in O(N + E).

        Args:
            edge_index: sources and destinations, [2, E].
            num_nodes: number of nodes; left out, it is the largest id plus one.
            num_src, num_dst: in place of `num_nodes`, for a rectangular adjacency.

        Raises:
            TypeError: an `edge_index` that is not of integers.
            ValueError: an `edge_index` of wrong shape, or with an id that is out of bounds: the
                message names the first such edge.

        Example:
            >>> users_to_items = [[0, 0, 2], [1, 3, 1]]
            >>> Adjacency.from_edge_index(users_to_items, num_src=3, num_dst=4)
            Adjacency(num_src=3, num_dst=4, num_edges=3)
        """
        edge_index = as_edge_index(edge_index)
        if num_nodes is not None:
            if num_src is not None or num_dst is not None:
                raise TypeError("give either num_nodes, or num_src and num_dst, not both")
            num_src = num_dst = as_size("num_nodes", num_nodes)
        elif num_src is not None or num_dst is not None:
            if num_src is None or num_dst is None:
                raise TypeError("a rectangular adjacency needs both num_src and num_dst")
            num_src, num_dst = as_size("num_src", num_src), as_size("num_dst", num_dst)
        if num_src is None or not torch.compiler.is_compiling():
            largest = largest_ids(edge_index, num_src, num_dst)
            if num_src is None:
                num_src = num_dst = max(largest) + 1
        assert num_dst is not None
        return cls._from_edges(edge_index[0], edge_index[1], num_src, num_dst)

    @classmethod
    def _from_edges(cls, src: Tensor, dst: Tensor, num_src: int, num_dst: int) -> Adjacency:
        dtype = index_dtype(num_src, num_dst, src.shape[0])
        src, dst = src.to(dtype), dst.to(dtype)
        if torch.compiler.is_compiling():  # no check at the door, then; dst is checked by the sort
            fits = ((src >= 0) & (src < num_src)).all()
            torch._assert_async(  # pyright: ignore[reportPrivateImportUsage]
                fits, "edge_index must hold node ids below num_nodes"
            )
        # Sortedness is a fact of the data: a traced program must hold for all data.
        is_sorted = not is_tracing() and bool((dst[1:] >= dst[:-1]).all())
        ptr, col, eid = ops.coo_to_csr(dst, src, num_dst)
        return cls._make(ptr, col, num_src, None if is_sorted else eid)

    @property
    def num_dst(self) -> int:
        return self.ptr.shape[0] - 1

    @property
    def num_edges(self) -> int:
        return self.col.shape[0]

    @property
    def device(self) -> torch.device:
        return self.ptr.device

    def memo(self, key: Any, build: Callable[[], Any]) -> Any:
        """The value of `build()`, computed once per adjacency; `key` names the computation.

        For what depends on the structure alone. Under torch.compile, torch.export and torch.func
        kept values are used, and none is added.

        Example:
            >>> adj = Adjacency.from_edge_index([[0, 1], [1, 2]])
            >>> adj.memo("out_degree", lambda: adj.transpose()[0].diff())
            tensor([1, 1, 0], dtype=torch.int32)
        """
        return memo(self._memo, key, build)

    def transpose(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same edges by source: t_ptr [num_src + 1], t_row [E] and t_pos [E].

        Source i has the destinations `t_row[t_ptr[i]:t_ptr[i + 1]]`, at the CSR positions `t_pos`.
        """
        return self.memo("transpose", lambda: ops.csr_transpose(self.ptr, self.col, self.num_src))

    @property
    def row(self) -> Tensor:
        """The destination of each CSR position, [E]."""
        return self.memo("row", self._build_row)

    def _build_row(self) -> Tensor:
        ids = torch.arange(self.num_dst, dtype=self.ptr.dtype, device=self.device)
        return torch.repeat_interleave(ids, self.ptr.diff(), output_size=self.num_edges)

    @property
    def edge_index(self) -> Tensor:
        """Sources and destinations in the user's edge order, [2, E], int64."""
        return self.memo("edge_index", self._build_edge_index)

    def _build_edge_index(self) -> Tensor:
        edges = torch.stack([self.col, self.row]).long()
        if self.eid is None:
            return edges
        return torch.empty_like(edges).index_copy_(1, self.eid.long(), edges)

    def degree(self, weight: Tensor | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """In-degree: dⱼ = Σ over edges i → j of wᵢⱼ, self-loops included; 1 per edge by default.

        Args:
            weight: edge weights [E] (or [E, H]) in the user's order; gradients flow through it.
            dtype: of the unweighted degree; by default torch's default dtype.

        Returns:
            [num_dst] (or [num_dst, H]).
        """
        if weight is not None:
            return ops.segment_reduce(self.ptr, weight, eid=self.eid, reduce="sum")
        dtype = torch.get_default_dtype() if dtype is None else dtype
        return self.memo(("degree", dtype), lambda: self.ptr.diff().to(dtype))

    @property
    def has_loops(self) -> bool:
        """True when an edge starts and ends in the same node. Waits for the device, once."""
        return self.memo("has_loops", lambda: bool((self.row == self.col).any()))

    def with_loops(self) -> Adjacency:
        """The adjacency with a self-loop for each node that has none; itself when none is missing.

        The new loops have the edge ids E, E + 1, … in node order.

        Example:
            >>> Adjacency.from_edge_index([[0, 1, 2], [1, 1, 0]]).with_loops().edge_index
            tensor([[0, 1, 2, 0, 2],
                    [1, 1, 0, 0, 2]])
        """
        if self.num_src != self.num_dst:
            raise ValueError(
                "self-loops need one set of nodes: this adjacency has"
                f" num_src={self.num_src}, num_dst={self.num_dst}"
            )
        looped = self.memo("with_loops", self._build_with_loops)
        return self if looped is None else looped

    def _build_with_loops(self) -> Adjacency | None:
        # Loops may push the edge count over the limit of int32.
        dtype = index_dtype(self.num_src, self.num_edges + self.num_dst)
        eid = None if self.eid is None else self.eid.to(dtype)
        ptr, col, eid = ops.csr_add_loops(self.ptr.to(dtype), self.col.to(dtype), eid)
        if not is_tracing() and col.shape[0] == self.num_edges:
            return None  # not `self`: an object that holds itself is only freed by the collector
        return self._make(ptr, col, self.num_src, eid)

    def reverse(self) -> Adjacency:
        """Every edge i → j as j → i; edge ids are kept."""
        src, dst = self.edge_index
        return self._from_edges(src=dst, dst=src, num_src=self.num_dst, num_dst=self.num_src)

    def to(self, device: Any, non_blocking: bool = False) -> Adjacency:
        """The adjacency on a device, with its transpose when that is built; itself if there."""
        if torch.empty(0, device=device).device == self.device:
            return self
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Adjacency:
        """The adjacency in page-locked memory, from which copies to a GPU are asynchronous."""
        return self._map(Tensor.pin_memory)

    def _map(self, move: Callable[[Tensor], Tensor]) -> Adjacency:
        eid = None if self.eid is None else move(self.eid)
        adj = self._make(move(self.ptr), move(self.col), self.num_src, eid)
        if "transpose" in self._memo:
            adj._memo["transpose"] = tuple(move(t) for t in self._memo["transpose"])
        return adj

    def to_scipy(self, weight: Tensor | None = None, transpose: bool = False) -> Any:
        """A `scipy.sparse.csr_array` A with A[i, j] = weight of edge i → j (1 by default).

        Args:
            weight: [E] in the user's order.
            transpose: True gives Aᵀ, the operator of aggregation: Aᵀ @ x sums over in-edges.

        Repeated edges are repeated entries, which scipy's arithmetic sums.

        Example:
            >>> adj = Adjacency.from_edge_index([[0, 1], [1, 2]])
            >>> adj.to_scipy().toarray()[0]
            array([0., 1., 0.], dtype=float32)
        """
        return _convert.adjacency_to_scipy(self, weight, transpose)

    def to_dense(self, weight: Tensor | None = None) -> Tensor:
        """The matrix A [num_src, num_dst], A[i, j] = Σ of the weights of the edges i → j."""
        return _convert.adjacency_to_dense(self, weight)

    def to_torch_sparse(
        self, weight: Tensor | None = None, layout: torch.layout = torch.sparse_coo
    ) -> Tensor:
        """A [num_src, num_dst] as a torch sparse tensor, A[i, j] = weight of edge i → j.

        COO keeps the user's edge order and repeated edges; CSR and CSC sum repeated edges.
        """
        return _convert.adjacency_to_torch_sparse(self, weight, layout)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an Adjacency is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an Adjacency is immutable: {name!r} cannot be deleted")

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: self._memo[key] for key in ("transpose",) if key in self._memo}
        return {**self.__dict__, "_memo": kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        nodes = (
            f"num_nodes={self.num_dst}"
            if self.num_src == self.num_dst
            else f"num_src={self.num_src}, num_dst={self.num_dst}"
        )
        return f"Adjacency({nodes}, num_edges={self.num_edges})"


def _flatten(adj: Adjacency) -> tuple[dict[str, Tensor], int | None]:
    leaves = {"ptr": adj.ptr, "col": adj.col}
    if adj.eid is not None:
        leaves["eid"] = adj.eid
    return leaves, None if adj.num_src == adj.num_dst else adj.num_src


def _unflatten(leaves: dict[str, Any], num_src: int | None) -> Adjacency:
    if num_src is None:
        num_src = (_pytree.rows(leaves["ptr"]) or 1) - 1
    return Adjacency._make(leaves["ptr"], leaves["col"], num_src, leaves.get("eid"))


_pytree.register(Adjacency, _flatten, _unflatten)
