"""GNNConv: the original graph neural network, of Scarselli et al., as a certified fixed point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import ops
from .._errors import check_dropout, unknown_choice
from .._longest_path import longest_path, longest_paths
from .._memo import is_tracing
from .._resolve import ABSENT, as_features, check_matrices, resolve
from ..adjacency import Adjacency
from ..fixed_point import (
    Anderson,
    Auto,
    Contraction,
    Implicit,
    Lipschitz,
    Phantom,
    Picard,
    Stop,
    Unrolled,
)
from ..fixed_point.failure import OnFail
from ..graph import Graph
from ..linear import Linear, glorot_
from ..ops._dtypes import accumulate_dtype
from ._aggregation import AGGREGATIONS, Aggregation, bounded
from ._attention import check_takes_edge_attr, checked_edge_attr
from ._fixed_point import FixedPointLayer, check_kind
from ._norm import check_count, with_loops
from ._segments import segments_of
from ._transition import Custom, Rows, make_transition


class GNNConv(FixedPointLayer):
    """The graph neural network of Scarselli et al.: states that agree with their neighbours'.

    The states H are the fixed point of a transition, and the result is read from them:

    H = act(C H Ŵᵀ + (1 − κ) (U x + C_e e)),  o = g(H, x)

    where W is `transition.weight`, Ŵ is W with the norm bounded by κ (`contraction`), U is `lin`,
    C_e e is the aggregated `lin_edge(edge_attr)` and g is `readout`. There is one fixed point, it
    is found from any start, and the gradient is that of the fixed point itself: nothing of the
    iteration is kept. How the solve went is in `last_report`.

    C aggregates over the edges j → i, with weights w[ji] (`edge_weight`, of any sign; 1 by
    default), so that its norm is at most 1 on every graph:

    - "sym": c[ji] = w[ji] / sqrt(d_in[i] d_out[j]), with the in- and out-degrees of abs(w).
    - "mean": c[ji] = w[ji] / Σ_j abs(w[ji]).
    - "sum": c[ji] = w[ji] / sqrt(D_in D_out), with the largest degrees of abs(w) in the graph.
    - "attention": α[ji] w[ji] / Σ_j α[ji] abs(w[ji]), where α is the softmax over j of
      LeakyReLU(a_dst·V x[i] + a_src·V x[j] + a_e·e[ji]). α reads x, never H: attention on the
      state has no bound.

    Information that must travel far needs a κ near 1 and `Stop(kind="node")`. A directed acyclic
    graph needs no bound: with `contraction=None` W starts at I, nothing fades, and the fixed point
    is exact after as many steps as the longest path has nodes (leave `add_self_loops` off).

    Args:
        in_channels: features of x.
        state_channels: S, the size of a state.
        out_channels: features of the result; None returns the states.
        edge_dim: features of edge_attr; None: the layer takes no edge_attr.
        aggr: "sym", "mean", "sum" or "attention".
        transition: "linear" as above; "mlp": H = Ŵ₂ act(Ŵ₁ C H + V x) + (1 − κ) (…); or a module,
            called module(aggregated [N, S], forcing [N, S]) -> [N, S], of which nothing is
            certified. It must treat nodes independently.
        readout: "linear", or a module called module(H, x); None with out_channels=None.
        contraction: how ‖W‖ is bounded; None leaves W as it is. Does not apply to a module.
        act: "relu" or "tanh"; None is the identity for "linear" and tanh for "mlp".
        add_self_loops: give each node without a self-loop one of weight 1 and edge_attr 0; by
            default for "sym" alone, as GCN does.
        neighbor_features: add the aggregated features of the neighbours, `lin_neighbor(x[j])`, to
            the forcing.
        dropout: probability that an entry of the aggregated states is dropped in training. The
            mask is drawn once a call, and kept over the iterations; what is left is not scaled up,
            which would break the bound, but scaled down in evaluation.
        solver: Auto(), Picard(damping=…) or Anderson(m=…); None: Auto().
        stop: when the iteration has arrived; None: Stop().
        backward: Implicit(…) or Phantom(…); None: Implicit(). Unrolled(steps) iterates so many
            times and differentiates through the steps: the mode that torch.compile takes.
        on_fail: "raise" an error on divergence and warn at max_iter, "warn" on both, or "ignore":
            the report alone says so.

    Shapes:
        x: [N, in_channels], dense or sparse; edge_weight: [E]; edge_attr: [E, edge_dim]; batch:
        [N], the graph of each node, ascending (a Batch has it); state: [N, S], a start, through
        which no gradient flows; result: [N, out_channels] or [N, S]. With return_report=True:
        (result, Report).

    Raises:
        TypeError: for an edge_attr that the layer was not made for, an option of a wrong kind.
        ValueError: for a wrong number of rows or features, an unknown option, a batch that is not
            ascending or that an edge crosses, a module that draws dropout or normalises batches.
        FixedPointDivergence: the iteration ran away, or met NaN.

    Papers: "The Graph Neural Network Model", IEEE TNN 20(1), 2009; "Implicit Graph Neural
    Networks", NeurIPS 2020 (inf_projection, the implicit gradient).

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> conv = GNNConv(3, 16, 4)
        >>> conv(graph.x, graph).shape
        torch.Size([3, 4])
        >>> conv.last_report.certified, conv.last_report.lipschitz_bound
        (True, 0.9)
    """

    def __init__(
        self,
        in_channels: int,
        state_channels: int,
        out_channels: int | None = None,
        edge_dim: int | None = None,
        aggr: str = "sym",
        transition: str | nn.Module = "linear",
        readout: str | nn.Module | None = "linear",
        contraction: Contraction | None = Contraction(),  # noqa: B008 (it is immutable)
        act: str | None = None,
        add_self_loops: bool | None = None,
        neighbor_features: bool = False,
        dropout: float = 0.0,
        solver: Auto | Picard | Anderson | None = None,
        stop: Stop | None = None,
        backward: Implicit | Phantom | Unrolled | None = None,
        on_fail: OnFail = "raise",
    ):
        super().__init__(solver, stop, backward, on_fail)
        check_count("state_channels", state_channels, least=1)
        check_dropout(dropout)
        if aggr not in AGGREGATIONS:
            raise unknown_choice("aggr", aggr, AGGREGATIONS)
        check_kind("contraction", contraction, (Contraction, type(None)))
        has_penalty = contraction is not None and not contraction.is_hard
        if has_penalty and (aggr == "attention" or isinstance(transition, nn.Module)):
            raise ValueError(
                "method='penalty' needs a transition 'linear' or 'mlp' and an aggr 'sym', 'mean' or"
                f" 'sum', got transition={transition!r} and aggr={aggr!r}"
            )
        self.in_channels = in_channels
        self.state_channels = state_channels
        self.out_channels = out_channels
        self.edge_dim = edge_dim
        self.aggr = aggr
        self.contraction = contraction
        self.add_self_loops = aggr == "sym" if add_self_loops is None else add_self_loops
        self.dropout = dropout

        self.transition = make_transition(transition, state_channels, contraction, act)
        self.lin = Linear(in_channels, state_channels)
        self.lin_hidden = Linear(in_channels, state_channels) if transition == "mlp" else None
        self.lin_edge = None if edge_dim is None else Linear(edge_dim, state_channels, bias=False)
        self.lin_neighbor = (
            Linear(in_channels, state_channels, bias=False) if neighbor_features else None
        )
        if aggr == "attention":
            self.lin_att = Linear(in_channels, state_channels, bias=False)
            self.att_src = nn.Parameter(torch.empty(1, state_channels))
            self.att_dst = nn.Parameter(torch.empty(1, state_channels))
            if edge_dim is not None:
                self.att_edge = nn.Parameter(torch.empty(1, edge_dim))
        self.readout = self.readout_x = None
        if isinstance(readout, nn.Module):
            self.readout = readout
        elif readout not in ("linear", None):
            raise unknown_choice("readout", readout, ("linear",))
        elif out_channels is not None:
            if readout is None:
                raise ValueError(f"readout=None returns the states: out_channels={out_channels}")
            self.readout = Linear(state_channels, out_channels)
            self.readout_x = Linear(in_channels, out_channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.children():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]
        for name in ("att_src", "att_dst", "att_edge"):
            if hasattr(self, name):
                glorot_(getattr(self, name))

    def transition_parameters(self) -> list[nn.Parameter]:
        """The parameters that a step depends on through H. They act through 1 / (1 − κ) steps:
        give them a tenth of the learning rate."""
        return list(self.transition.parameters())

    def forward(
        self,
        x,
        graph,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        batch: Tensor | None = None,
        state: Tensor | None = None,
        return_report: bool = False,
    ) -> Any:
        x = as_features(x)
        hidden = self._states(x, graph, edge_weight, edge_attr, batch, state)
        out = hidden
        if self.readout_x is not None:
            out = self.readout(hidden) + self.readout_x(x)  # pyright: ignore[reportOptionalCall]
        elif self.readout is not None:
            out = self.readout(hidden, x)
        return (out, self.last_report) if return_report else out

    def state(
        self,
        x,
        graph,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        batch: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """H, the fixed point, [N, S]."""
        return self._states(as_features(x), graph, edge_weight, edge_attr, batch, state)

    def penalty(self, graph, edge_weight: Tensor | None = None) -> Tensor | None:
        """The term of the loss that keeps the transition near a contraction; None without
        `Contraction(method="penalty")`.

        Σ over nodes v and channels k of L(‖∂F/∂h_vk‖₁),  L(s) = (s − κ)² for s > κ, else 0

        where F is the whole transition. For "mlp" the norms are bounds: those of abs(W₂) abs(W₁).

        Args:
            graph: a Graph or an Adjacency.
            edge_weight: [E].
        """
        if self.contraction is None or self.contraction.is_hard:
            return None
        assert not isinstance(self.transition, Custom)
        if not isinstance(graph, (Graph, Adjacency)):
            raise TypeError(f"graph must be a Graph or an Adjacency, got {type(graph).__name__}")
        channels = self.transition.magnitude().sum(0)  # of |W|, [S]
        num_nodes = graph.num_nodes if isinstance(graph, Graph) else graph.num_dst
        adj, edge_weight, _ = resolve(graph, channels.new_empty(num_nodes, 0), edge_weight)
        segments = segments_of(graph, adj, None)
        aggregate = self._aggregation(adj, edge_weight, None, segments, channels.dtype)
        t_ptr, _, t_pos = aggregate.adj.transpose()
        coefficients = aggregate.coefficients(channels.dtype).abs()
        nodes = ops.segment_reduce(t_ptr, coefficients, eid=t_pos)  # Σ_i |c[ji]|, [N]
        return self.contraction.penalty(nodes.unsqueeze(1) * channels)

    def _states(
        self,
        x: Any,
        graph: Any,
        edge_weight: Tensor | None,
        edge_attr: Tensor | None,
        batch: Tensor | None,
        state: Tensor | None,
    ) -> Tensor:
        """H in the dtype of the encoder's result; the solve itself runs in float32 at least."""
        check_matrices(x)
        check_takes_edge_attr(self, edge_attr)
        wanted = ABSENT if self.edge_dim is None else edge_attr
        adj, edge_weight, edge_attr = resolve(graph, x, edge_weight, wanted)
        if self.edge_dim is not None:
            edge_attr = checked_edge_attr(adj, edge_attr, self.edge_dim)
        segments = segments_of(graph, adj, batch)
        encoded = self.lin(x)
        dtype = accumulate_dtype(encoded.dtype)
        neighbor = None if self.lin_neighbor is None else self.lin_neighbor(x).to(dtype)
        hidden = None if self.lin_hidden is None else self.lin_hidden(x).to(dtype)
        projected = self.lin_att(x).to(dtype) if self.aggr == "attention" else None
        if edge_attr is not None:
            edge_attr = edge_attr.to(dtype)
        with torch.autocast(adj.device.type, enabled=False):
            scores = None
            if projected is not None:
                adj, edge_weight = self._looped(adj, edge_weight)
                scores = self._scores(adj, projected, edge_attr)
            aggregate = self._aggregation(adj, edge_weight, scores, segments, dtype)
            forcing = encoded.to(dtype)
            if neighbor is not None:
                forcing = forcing + aggregate(neighbor)
            if edge_attr is not None and self.lin_edge is not None:
                edges = aggregate.of_edges(edge_attr)
                forcing = forcing + F.linear(edges, self.lin_edge.weight.to(dtype))
            if self.contraction is not None:
                forcing = (1 - self.contraction.kappa) * forcing
            rows = Rows(forcing, hidden, self._mask(forcing))
            return self._solve(aggregate, rows, segments, state).to(encoded.dtype)

    def _solve(
        self, aggregate: Aggregation, rows: Rows, segments: Tensor | None, state: Tensor | None
    ) -> Tensor:
        forcing = rows.forcing
        start = torch.zeros_like(forcing) if state is None else _checked_state(state, forcing)
        if isinstance(self.transition, Custom):
            self.transition.check(forcing)
        step = self.transition.step(forcing.dtype)

        def narrow(graphs: Tensor) -> Callable[[Tensor], Tensor]:
            assert segments is not None
            few, kept = aggregate.keep(segments, graphs)
            few_rows = rows.keep(kept)
            return lambda z: step(z, few, few_rows)

        length = steps = None
        if not is_tracing():
            length = longest_path(aggregate.adj)
            steps = None if length is None else length + 1
            if length is None and segments is not None:
                steps = longest_paths(aggregate.adj, segments) + 1
        return self._fixed_point(
            lambda z: step(z, aggregate, rows),
            start,
            segments,
            narrow,
            self._lipschitz(length is not None),
            steps,
        )

    def _lipschitz(self, is_acyclic: bool) -> Lipschitz:
        """What is proven of the transition. A step on a graph without cycles is nilpotent."""
        norm = "node" if self.aggr in ("mean", "attention") else "frobenius"
        contraction = self.contraction
        if isinstance(self.transition, Custom):
            return Lipschitz(None, norm, certified=is_acyclic)
        if contraction is not None and contraction.method in ("auto", "spectral"):
            return Lipschitz(contraction.kappa, norm, certified=True)
        if contraction is not None and not contraction.is_hard:
            return Lipschitz(None, norm, certified=is_acyclic)
        bound = math.nan if is_tracing() else self.transition.norm()
        if contraction is not None:
            # Row sums of |Ŵ| ≤ κ and ‖ |C| ‖ ≤ 1 leave |C| ⊗ |Ŵ| a spectral radius of at most κ:
            # a proof for every 1-Lipschitz act, in a norm of its own that bounds no error here.
            return Lipschitz(bound if bound < 1 else None, norm, certified=True)
        if math.isnan(bound):
            return Lipschitz(None, norm, certified=False)
        return Lipschitz(bound, norm, certified=is_acyclic or bound < 1)

    def _aggregation(
        self,
        adj: Adjacency,
        edge_weight: Tensor | None,
        scores: Tensor | None,
        segments: Tensor | None,
        dtype: torch.dtype,
    ) -> Aggregation:
        adj, edge_weight = self._looped(adj, edge_weight)
        return bounded(self.aggr, adj, edge_weight, scores, segments, dtype)

    def _looped(self, adj: Adjacency, edge_weight: Tensor | None) -> tuple[Adjacency, Any]:
        return with_loops(adj, edge_weight) if self.add_self_loops else (adj, edge_weight)

    def _scores(self, adj: Adjacency, projected: Tensor, edge_attr: Tensor | None) -> Tensor:
        """The logits of the attention, [E], in CSR order."""
        dtype = projected.dtype
        at_dst, at_src = (
            F.linear(projected, weight.to(dtype)) for weight in (self.att_dst, self.att_src)
        )  # [N, 1]
        scores = ops.sddmm(
            adj.ptr, adj.col, at_dst, at_src, op="add", transpose=adj.transpose
        ).squeeze(1)
        if edge_attr is not None:
            edges = F.linear(edge_attr, self.att_edge.to(dtype)).squeeze(1)
            edges = F.pad(edges, (0, adj.num_edges - edges.shape[0]))
            scores = scores + (edges if adj.eid is None else ops.gather_rows(edges, adj.eid))
        return F.leaky_relu(scores, 0.2)

    def _mask(self, forcing: Tensor) -> Tensor | float | None:
        if self.dropout == 0:
            return None
        if not self.training:
            return 1 - self.dropout
        return torch.empty_like(forcing).bernoulli_(1 - self.dropout)

    def extra_repr(self) -> str:
        out = "" if self.out_channels is None else f", {self.out_channels}"
        return f"{self.in_channels}, {self.state_channels}{out}, aggr={self.aggr!r}"


def _checked_state(state: Tensor, forcing: Tensor) -> Tensor:
    if not isinstance(state, Tensor) or not state.is_floating_point():
        kind = state.dtype if isinstance(state, Tensor) else type(state).__name__
        raise TypeError(f"state must be a floating tensor, got {kind}")
    if state.shape != forcing.shape:
        raise ValueError(
            "state must have shape [num_nodes, state_channels] ="
            f" {tuple(forcing.shape)}, got {tuple(state.shape)}"
        )
    return state.detach().to(forcing)
