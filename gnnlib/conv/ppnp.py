"""PPNP: personalised PageRank to its limit, of Gasteiger et al."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .. import ops
from .._errors import check_dropout
from .._memo import is_tracing
from .._resolve import as_features, check_matrices, resolve
from ..adjacency import Adjacency
from ..features import SparseFeatures
from ..fixed_point import (
    Anderson,
    Auto,
    Implicit,
    Lipschitz,
    Phantom,
    Picard,
    Stop,
    Unrolled,
)
from ..fixed_point.failure import OnFail
from ..ops._common import autocast
from ..ops._dtypes import accumulate_dtype
from ._aggregation import Aggregation
from ._fixed_point import FixedPointLayer
from ._norm import gcn_norm
from ._segments import segments_of


class PPNP(FixedPointLayer):
    """Personalised PageRank, solved: what APPNP approaches with more and more iterations.

    x' = α (I − (1 − α) S)⁻¹ x,  S[i, j] = e[ji] / sqrt(d[j] d[i])

    where α is `alpha`, e[ji] is `edge_weight` (1 by default) and d[i] = Σ_j e[ji] the weighted
    in-degree, self-loops included. It is the fixed point of h = (1 − α) S h + α x, found without
    an N × N matrix. With weights ≥ 0 there is exactly one, since S is similar to an average over
    neighbours; on an undirected graph the map contracts by 1 − α in the 2-norm. `last_report` has
    what is proven for the weights at hand. The layer has no parameters; `gnnlib.models.PPNP` puts
    a perceptron before it.

    Args:
        alpha: α, the probability of going back to the start.
        dropout: probability that an edge is dropped in training, before S is normalised. The edges
            are drawn once in a forward pass: a map that changes has no fixed point.
        add_self_loops: give each node without a self-loop one of weight 1.
        normalize: False takes S[i, j] = e[ji], and adds no loops.
        solver: Auto(), Picard(damping=…) or Anderson(m=…); None: Auto().
        stop: when the iteration has arrived; None: Stop().
        backward: Implicit(…) or Phantom(…); None: Implicit(). Unrolled(steps) iterates so many
            times and differentiates through the steps, as APPNP does: the mode that torch.compile
            takes.
        on_fail: "raise" an error on divergence and warn at max_iter, "warn" on both, or "ignore":
            the report alone says so.

    Shapes:
        x: [N, F], dense or sparse (densified); edge_weight: [E]; batch: [N], the graph of each
        node, ascending (a Batch has it); result: [N, F].

    Raises:
        ValueError: for a wrong number of rows, or an alpha or dropout out of range.
        FixedPointDivergence: weights with which the iteration diverges.

    Paper: "Predict then Propagate: Graph Neural Networks meet Personalized PageRank", ICLR 2019.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> PPNP(alpha=0.5)(graph.x, graph)
        tensor([[0.6923, 0.0769, 0.2308],
                [0.2308, 0.6923, 0.0769],
                [0.0769, 0.2308, 0.6923]])
    """

    def __init__(
        self,
        alpha: float,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        normalize: bool = True,
        solver: Auto | Picard | Anderson | None = None,
        stop: Stop | None = None,
        backward: Implicit | Phantom | Unrolled | None = None,
        on_fail: OnFail = "raise",
    ):
        super().__init__(solver, stop, backward, on_fail)
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1], got {alpha}: at 0 there is no fixed point")
        check_dropout(dropout)
        self.alpha = alpha
        self.dropout = dropout
        self.add_self_loops = add_self_loops
        self.normalize = normalize

    def reset_parameters(self) -> None:
        """There are none; every layer has this method."""

    def forward(
        self, x, graph, edge_weight: Tensor | None = None, batch: Tensor | None = None
    ) -> Tensor:
        x = as_features(x)
        check_matrices(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        segments = segments_of(graph, adj, batch)
        (x,) = autocast(x.to_dense() if isinstance(x, SparseFeatures) else x)
        wide = accumulate_dtype(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            h = self._solve(x.to(wide), adj, edge_weight, segments)
        return h.to(x.dtype)

    def _solve(
        self, x: Tensor, adj: Adjacency, edge_weight: Tensor | None, segments: Tensor | None
    ) -> Tensor:
        aggregate = self._operator(adj, edge_weight, x.dtype)
        start = self.alpha * x

        def step_of(aggregate: Aggregation, start: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda h: torch.add(start, aggregate(h), alpha=1 - self.alpha)

        def narrow(graphs: Tensor) -> Callable[[Tensor], Tensor]:
            kept, rows = aggregate.keep(segments, graphs)  # pyright: ignore[reportArgumentType]
            return step_of(kept, start[rows])

        lipschitz = None if is_tracing() else self._lipschitz(aggregate)
        return self._fixed_point(step_of(aggregate, start), x, segments, narrow, lipschitz)

    def _operator(
        self, adj: Adjacency, edge_weight: Tensor | None, dtype: torch.dtype
    ) -> Aggregation:
        """S."""
        if self.training and self.dropout > 0:
            if edge_weight is None:
                edge_weight = torch.ones(adj.num_edges, dtype=dtype, device=adj.device)
            edge_weight = ops.edge_dropout(edge_weight, self.dropout)
        scale = None
        if self.normalize:
            adj, edge_weight, scale = gcn_norm(adj, edge_weight, dtype, self.add_self_loops)
        if edge_weight is not None:
            edge_weight = edge_weight.to(dtype)
            if adj.eid is not None:
                edge_weight = ops.gather_rows(edge_weight, adj.eid)
        return Aggregation(adj, edge_weight, scale, scale)

    @torch.no_grad()
    def _lipschitz(self, aggregate: Aggregation) -> Lipschitz:
        """1 − α times bounds of S: of its spectral radius for the proof, of ‖S‖₂ for its number."""
        if aggregate.weight is None:
            key = ("ppnp", self.normalize)
            row, column = aggregate.adj.memo(key, lambda: _largest_sums(aggregate))
        else:
            row, column = _largest_sums(aggregate)
        radius, norm = min(row, column), math.sqrt(row * column)
        bound = (1 - self.alpha) * norm if norm < math.inf else None
        return Lipschitz(bound, certified=(1 - self.alpha) * min(radius, norm) < 1)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


def _largest_sums(aggregate: Aggregation) -> tuple[float, float]:
    """The largest row and column sum of D^-½ |S| D^½.

    Each bounds the spectral radius of |S|, and the root of their product ‖S‖₂ (Schur's test). The
    rows are averages where no weight is negative; so are the columns of an undirected graph.
    """
    adj, scale = aggregate.adj, aggregate.row_scale
    if adj.num_dst == 0:
        return 0.0, 0.0
    size = aggregate.coefficients(torch.float64).double().abs()
    root = torch.ones(adj.num_dst, 1, dtype=torch.float64, device=adj.device)
    if scale is not None:
        root = torch.where(scale > 0, scale.double(), 1).reciprocal().unsqueeze(1)
    t_ptr, t_row, t_pos = adj.transpose()
    rows = ops.spmm(adj.ptr, adj.col, root, size) / root
    columns = ops.spmm(t_ptr, t_row, root, size, eid=t_pos) / root
    return float(rows.max()), float(columns.max())
