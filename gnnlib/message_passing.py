"""MessagePassing: the base of layers whose message is written in plain PyTorch, and runs fused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from . import ops
from ._blocks import Run, WholeRows, in_blocks, join
from ._errors import chosen_reduce
from ._fused import fused
from ._lazy import EdgeTensor
from ._memo import is_tracing
from ._resolve import as_adjacency
from .adjacency import Adjacency
from .features import SparseFeatures
from .graph import Graph
from .ops.segment import REDUCES

Rows = Tensor | dict[str, Tensor] | None


class _Current(threading.local):
    ptr: Tensor | None = None  # the rows of the edges that `message` sees
    split: bool = False  # they may be parts of rows


_current = _Current()


class MessagePassing(nn.Module):
    """Base class of layers that send a message along each edge and reduce them per destination.

    out[i] = reduce over the edges j → i of message(src[j], dst[i], edge[ji])

    Derive from it, write `message` in plain PyTorch as if the rows were gathered, and call
    `propagate`. Messages that one operator can do are never gathered:

    - `src`, `dst`, `edge`, sums and differences of them, and their `relu`;
    - `src * edge` with one factor an edge or one an edge and head, and chains of such factors;
    - `(src * dst).sum(-1)`, its functions and its `self.softmax`, alone or as a factor of `src`;
    - numbers as factors, quotients and (for sums) terms of all these.

    What has few numbers an edge (a last dimension of 1, or at most a quarter of the widest node's
    row) may go through any function that treats edges alone: `src["x"] * self.softmax(
    leaky_relu(src["score"] + dst["score"]))` and `src * (1 - edge).exp()` run fused as well.

    Any other message runs on blocks of whole destinations, at most `block_bytes` in a gathered
    operand, and is computed again in the backward pass: no layer holds an E×F array. `message` must
    treat edges independently; a layer with BatchNorm in training mode runs as one block. So does
    an unrecognised message under torch.compile, torch.export and torch.func, and a second gradient
    (create_graph=True) keeps all blocks.

    `message` is called as often as that takes, on some edges at a time: it should only compute its
    result. What it stores on the layer is undefined.

    Args:
        reduce: 'sum', 'mean', 'max', 'min', 'mul', 'std', or a list of them, whose results are
            joined in the last dimension. A destination without edges gets 0 ('mul': 1).

    Raises:
        ValueError: for an unknown reduce.

    Paper: "Neural Message Passing for Quantum Chemistry", Gilmer et al., ICML 2017.

    Example:
        >>> class WeightedSum(MessagePassing):
        ...     def forward(self, x, graph, edge_weight):
        ...         return self.propagate(graph, src=x, edge=edge_weight)
        ...     def message(self, src, dst, edge):
        ...         return src * edge
        >>> graph = Graph([[0, 1, 2], [2, 2, 0]], num_nodes=3)
        >>> x, edge_weight = torch.eye(3), torch.tensor([1.0, 0.5, 2.0])
        >>> WeightedSum("sum")(x, graph, edge_weight)
        tensor([[0.0000, 0.0000, 2.0000],
                [0.0000, 0.0000, 0.0000],
                [1.0000, 0.5000, 0.0000]])
    """

    block_bytes: int = 16 * 2**20
    """Bytes of one gathered operand in a block, for messages that do not run fused."""

    def __init__(self, reduce: str | Sequence[str] = "sum"):
        super().__init__()
        names = (reduce,) if isinstance(reduce, str) else tuple(reduce)
        if not names:
            raise ValueError(f"reduce must name at least one of {', '.join(REDUCES)}; got {reduce}")
        names = [chosen_reduce("reduce", name, REDUCES) for name in names]
        self.reduce = names[0] if isinstance(reduce, str) else names

    def message(self, src: Any, dst: Any, edge: Any) -> Any:
        """The message of each edge; by default the source's row.

        Args:
            src: rows of the sources, as given to `propagate` (a tensor or a dict of tensors).
            dst: rows of the destinations; those of `src` when `propagate` got none.
            edge: rows of the edges; a tensor [E] is presented as [E, 1].
        """
        return src

    def propagate(
        self,
        graph: Graph | Adjacency | Tensor,
        src: Rows = None,
        dst: Rows = None,
        edge: Rows = None,
    ) -> Tensor:
        """Run `message` on every edge and reduce.

        Args:
            graph: a Graph, an Adjacency, or an edge_index tensor over the rows of src.
            src: node rows [num_src, …], or a dict of such tensors.
            dst: node rows [num_dst, …] likewise; left out, those of src, when sources and
                destinations are the same nodes.
            edge: edge rows [E, …] in the user's order, likewise.

        Returns:
            [num_dst, …].

        Raises:
            TypeError: sparse features, or what is no tensor.
            ValueError: tensors whose rows do not fit the graph.
        """
        nodes = next((t for t in (*_values(src), *_values(dst))), None)
        if nodes is None:
            raise TypeError("propagate needs src or dst: the rows that messages are made of")
        for side, given in (("src", src), ("dst", dst), ("edge", edge)):
            _refuse_sparse(side, given)
        adj = as_adjacency(graph, nodes, next(iter(_values(dst)), nodes))
        if dst is None and adj.num_src == adj.num_dst:
            dst = src
        parts = {"src": src, "dst": dst, "edge": edge}
        for side, rows in (("src", adj.num_src), ("dst", adj.num_dst), ("edge", adj.num_edges)):
            parts[side] = _checked(side, parts[side], rows)
        reduces = (self.reduce,) if isinstance(self.reduce, str) else tuple(self.reduce)

        tracing = is_tracing()
        try:
            few = _width(parts["src"], parts["dst"]) // 4
            lazy = [_map(parts[side], _lazily(adj, side, tracing, few)) for side in parts]
            message = self._call(lazy, adj.ptr, False)
            result = fused(message, adj, reduces)
            if result is not None:
                return result
            if tracing:
                message = message.gather() if isinstance(message, EdgeTensor) else message
                return join([ops.segment_reduce(adj.ptr, message, reduce=r) for r in reduces])
        except Exception:
            # Not fused, or the user's code has no use for a lazy tensor: gathered tensors decide,
            # and an error of the user's comes from them again.
            if torch.compiler.is_compiling():
                raise
        return self._in_blocks(adj, parts, reduces)

    def softmax(self, scores: Any) -> Any:
        """Softmax of scores [E] or [E, …] over the edges of each destination, inside `message`."""
        if isinstance(scores, EdgeTensor):
            small = scores.is_small
            return scores.softmax_of_rows() if small else scores.leave(self.softmax, scores)
        if _current.ptr is None:
            raise RuntimeError("softmax is for use inside message, while propagate runs")
        if _current.split:
            raise WholeRows
        return ops.segment_softmax(_current.ptr, scores)

    def _call(self, parts: list[Any], ptr: Tensor, split: bool) -> Any:
        before = _current.ptr, _current.split
        _current.ptr, _current.split = ptr, split
        try:
            return self.message(*parts)
        finally:
            _current.ptr, _current.split = before

    def _in_blocks(
        self, adj: Adjacency, parts: dict[str, Rows], reduces: tuple[str, ...]
    ) -> Tensor:
        flat = [(side, tensor) for side in parts for tensor in _values(parts[side])]
        sides, tensors = [side for side, _ in flat], [tensor for _, tensor in flat]

        forms = [_map(rows, lambda _: ()) for rows in parts.values()]  # no tensor is kept

        def message(module: Any, slices: list[Tensor], ptr: Tensor, split: bool) -> Any:
            rest = iter(slices)
            return module._call([_map(form, lambda _: next(rest)) for form in forms], ptr, split)

        return in_blocks(Run(adj, sides, self, message, reduces), tensors, self.block_bytes)


def _lazily(adj: Adjacency, side: str, may_gather: bool, few: int) -> Any:
    return lambda tensor: EdgeTensor(adj, side, tensor, None, may_gather, few)


def _width(*sides: Rows) -> int:
    """Numbers in the widest row of a node."""
    return max(tensor.shape[1:].numel() for rows in sides for tensor in _values(rows))


def _values(rows: Rows) -> list[Tensor]:
    if rows is None:
        return []
    return list(rows.values()) if isinstance(rows, dict) else [rows]


def _map(rows: Any, function: Any) -> Any:
    if rows is None:
        return None
    if isinstance(rows, dict):
        return {name: function(tensor) for name, tensor in rows.items()}
    return function(rows)


def _refuse_sparse(side: str, rows: Any) -> None:
    for tensor in _values(rows):
        sparse = isinstance(tensor, Tensor) and tensor.layout != torch.strided
        if isinstance(tensor, SparseFeatures) or sparse:
            raise TypeError(
                f"{side} must be dense, got sparse features: messages are made of dense rows. Pass"
                " x.to_dense(), or apply gnnlib.Linear first"
            )
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{side} must be a tensor or a dict of tensors, got {type(tensor).__name__}"
            )


def _checked(side: str, rows: Rows, num_rows: int) -> Rows:
    kind = {"src": "source node", "dst": "destination node", "edge": "edge"}[side]
    for tensor in _values(rows):
        if tensor.dim() == 0 or tensor.shape[0] != num_rows:
            raise ValueError(
                f"{side} must have one row per {kind}: graph has {num_rows}, got {side} of shape"
                f" {tuple(tensor.shape)}"
            )
        if side != "edge" and tensor.dim() < 2:
            raise ValueError(
                f"{side} must have shape [num_nodes, num_features], got {tuple(tensor.shape)}"
            )
    if side == "edge":
        return _map(rows, lambda t: t.unsqueeze(-1) if t.dim() == 1 else t)
    return rows
