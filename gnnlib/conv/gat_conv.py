"""GATConv: the graph attention network of Veličković et al."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import ops
from ..adjacency import Adjacency
from ..linear import Linear, glorot_
from ._attention import (
    check_attention,
    checked_inputs,
    dropout_of,
    finish,
    head_scores,
    weights_and_result,
)


class GATConv(nn.Module):
    """Graph attention: a weighted sum over neighbours and self, with weights that are learned.

    x'[i] = ‖ over heads of Σ over j in N(i) ∪ {i} of α[ji] W x[j] + b
    α[ji] = softmax over j of LeakyReLU(a_s·W x[j] + a_t·W x[i] + a_e·W_e e[ji])

    where W is `lin.weight` (`lin_src`, `lin_dst` for a pair of in_channels), a_s, a_t, a_e are
    `att_src`, `att_dst`, `att_edge`, W_e is `lin_edge.weight` and e[ji] is `edge_attr`. A node that
    has self-loops keeps them; the others get one, with the mean of their incoming edge_attr.

    Args:
        in_channels: features of x, or a pair for (x_src, x_dst).
        out_channels: features of each head.
        heads: attention heads H.
        concat: join the heads; False takes their mean.
        negative_slope: of the LeakyReLU.
        dropout: probability of zeroing an attention weight in training.
        add_self_loops: add the missing self-loops (never for a rectangular adjacency).
        edge_dim: features of edge_attr; None: the layer takes no edge_attr.
        bias: False leaves b out.
        residual: add a linear map of x[i], `res`.

    Shapes:
        x: [N, in_channels], dense or sparse, or (x_src, x_dst); edge_attr: [E, edge_dim];
        result: [num_dst, H · out_channels], or [num_dst, out_channels] for concat=False. With
        return_attention_weights=True: (result, (edge_index [2, E'], α [E', H])), where the added
        loops are the last edges.

    Raises:
        TypeError: for an edge_attr that the layer was not made for.
        ValueError: for a wrong number of rows or features, or a missing edge_attr.

    Paper: "Graph Attention Networks", ICLR 2018.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> out, (edge_index, alpha) = GATConv(3, 8, heads=2)(
        ...     graph.x, graph, return_attention_weights=True
        ... )
        >>> out.shape, alpha.shape
        (torch.Size([3, 16]), torch.Size([6, 2]))
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        edge_dim: int | None = None,
        bias: bool = True,
        residual: bool = False,
    ):
        super().__init__()
        check_attention(heads, dropout)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.heads = heads
        self.concat = concat
        self.negative_slope = negative_slope
        self.dropout = dropout
        self.add_self_loops = add_self_loops
        self.edge_dim = edge_dim
        hidden = heads * out_channels
        total = hidden if concat else out_channels
        if isinstance(in_channels, tuple):
            self.lin = None
            self.lin_src = Linear(in_channels[0], hidden, bias=False)
            self.lin_dst = Linear(in_channels[1], hidden, bias=False)
            in_dst = in_channels[1]
        else:
            self.lin = Linear(in_channels, hidden, bias=False)
            in_dst = in_channels
        self.att_src = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_dst = nn.Parameter(torch.empty(1, heads, out_channels))
        if edge_dim is not None:
            self.lin_edge = Linear(edge_dim, hidden, bias=False)
            self.att_edge = nn.Parameter(torch.empty(1, heads, out_channels))
        self.res = Linear(in_dst, total, bias=False) if residual else None
        self.bias = nn.Parameter(torch.empty(total)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.children():
            module.reset_parameters()  # pyright: ignore[reportCallIssue]
        for attention in (self.att_src, self.att_dst, getattr(self, "att_edge", None)):
            if attention is not None:
                glorot_(attention)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x, graph, edge_attr: Tensor | None = None, return_attention_weights: bool = False
    ) -> Any:
        x, adj, edge_attr = checked_inputs(self, x, graph, edge_attr, needs_dst=False)
        source, scores_src, scores_dst = self._project(x)
        scores_edge = None if edge_attr is None else self._edge_scores(edge_attr)
        if self.add_self_loops and adj.num_src == adj.num_dst:
            looped = adj.with_loops()
            if scores_edge is not None and looped is not adj:
                # The mean of edge_attr has the mean of its scores: they are linear in it.
                mean = ops.segment_reduce(adj.ptr, scores_edge, eid=adj.eid, reduce="mean")
                loops = looped.edge_index[0, adj.num_edges :]
                scores_edge = torch.cat([scores_edge, mean[loops]])
            adj = looped
        if return_attention_weights:
            scores = self._scores(adj, scores_src, scores_dst, scores_edge)
            return weights_and_result(self, adj, scores, source, x)
        out = ops.attention_gat(
            adj.ptr, adj.col, source, scores_src, scores_dst, scores_edge, eid=adj.eid,
            negative_slope=self.negative_slope, dropout=dropout_of(self), transpose=adj.transpose,
        )  # fmt: skip
        return finish(self, out, x)

    def _project(self, x: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        """W x of the sources as [num_src, H, out_channels]; a_s·W x and a_t·W x."""
        shape = (-1, self.heads, self.out_channels)
        if not isinstance(x, tuple):
            if self.lin is None:
                raise ValueError(
                    f"x must be a pair (x_src, x_dst): in_channels is {self.in_channels}"
                )
            source = self.lin(x).reshape(shape)
            scores_src, scores_dst = head_scores(source, self.att_src, self.att_dst)
            return source, scores_src, scores_dst
        lin_src, lin_dst = (self.lin_src, self.lin_dst) if self.lin is None else (self.lin,) * 2
        source = lin_src(x[0]).reshape(shape)
        scores_dst = None
        if x[1] is not None:
            scores_dst = head_scores(lin_dst(x[1]).reshape(shape), self.att_dst)[0]
        return source, head_scores(source, self.att_src)[0], scores_dst

    def _scores(
        self, adj: Adjacency, src: Tensor, dst: Tensor | None, edge: Tensor | None
    ) -> Tensor:
        """Of each edge, in CSR order, [E, H]."""
        scores = ops.sddmm(
            adj.ptr, adj.col, dst, src, op="copy" if dst is None else "add",
            transpose=adj.transpose,
        )  # fmt: skip
        if edge is not None:
            scores = scores + (edge if adj.eid is None else ops.gather_rows(edge, adj.eid))
        return F.leaky_relu(scores, self.negative_slope)

    def _edge_scores(self, edge_attr: Tensor) -> Tensor:
        """a_e·W_e e[ji], [E, H], without the E × (H · out_channels) array of W_e e[ji]."""
        weight = self.lin_edge.weight.reshape(self.heads, self.out_channels, -1)
        return F.linear(edge_attr, (weight * self.att_edge.reshape(self.heads, -1, 1)).sum(1))

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"
