"""GATv2Conv: graph attention whose ranking depends on the node that asks, of Brody et al."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import ops
from .._errors import chosen_reduce
from .._per_edge import per_edge
from ..adjacency import Adjacency
from ..linear import Linear, glorot_
from ._attention import (
    check_attention,
    checked_inputs,
    dropout_of,
    finish,
    in_users_order,
    weights_and_result,
)

FILLS = ("mean", "sum", "max", "min", "mul")


class GATv2Conv(nn.Module):
    """Graph attention where the score of an edge is a network of both of its ends.

    x'[i] = ‖ over heads of Σ over j in N(i) ∪ {i} of α[ji] (W_l x[j] + b_l) + b
    α[ji] = softmax over j of a·LeakyReLU(W_l x[j] + b_l + W_r x[i] + b_r + W_e e[ji])

    where W_l, b_l are `lin_l`, W_r, b_r are `lin_r`, W_e is `lin_edge.weight`, a is `att` and e[ji]
    is `edge_attr`. A node that has self-loops keeps them; the others get one. The rows inside
    LeakyReLU are computed edge by edge, or with edge_attr in blocks of edges: never all at once.

    Args:
        in_channels: features of x, or a pair for (x_src, x_dst).
        out_channels: features of each head.
        heads: attention heads H.
        concat: join the heads; False takes their mean.
        negative_slope: of the LeakyReLU.
        dropout: probability of zeroing an attention weight in training.
        add_self_loops: add the missing self-loops (never for a rectangular adjacency).
        edge_dim: features of edge_attr; None: the layer takes no edge_attr.
        fill_value: edge_attr of added loops: a number, a tensor [edge_dim], or the 'mean', 'sum',
            'max', 'min' or 'mul' of the edges that end in the node.
        bias: False leaves b, b_l and b_r out.
        share_weights: use W_l, b_l in place of W_r, b_r.
        residual: add a linear map of x[i], `res`.

    Shapes:
        x: [N, in_channels], dense or sparse, or (x_src, x_dst); edge_attr: [E, edge_dim];
        result: [num_dst, H · out_channels], or [num_dst, out_channels] for concat=False. With
        return_attention_weights=True: (result, (edge_index [2, E'], α [E', H])), where the added
        loops are the last edges.

    Raises:
        TypeError: for an edge_attr that the layer was not made for.
        ValueError: for a wrong number of rows or features, a missing edge_attr, or an unknown
            fill_value.

    Paper: "How Attentive are Graph Attention Networks?", ICLR 2022.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> out, (edge_index, alpha) = GATv2Conv(3, 8, heads=2)(
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
        fill_value: float | Tensor | str = "mean",
        bias: bool = True,
        share_weights: bool = False,
        residual: bool = False,
    ):
        super().__init__()
        check_attention(heads, dropout)
        if isinstance(fill_value, str):
            fill_value = chosen_reduce("fill_value", fill_value, FILLS)
        if isinstance(fill_value, Tensor) and fill_value.numel() not in (1, edge_dim):
            raise ValueError(
                f"fill_value must have shape [edge_dim] = ({edge_dim},), got"
                f" {tuple(fill_value.shape)}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.heads = heads
        self.concat = concat
        self.negative_slope = negative_slope
        self.dropout = dropout
        self.add_self_loops = add_self_loops
        self.edge_dim = edge_dim
        self.fill_value = fill_value
        self.share_weights = share_weights
        in_src, in_dst = in_channels if isinstance(in_channels, tuple) else (in_channels,) * 2
        hidden = heads * out_channels
        total = hidden if concat else out_channels
        self.lin_l = Linear(in_src, hidden, bias=bias)
        self.lin_r = self.lin_l if share_weights else Linear(in_dst, hidden, bias=bias)
        self.att = nn.Parameter(torch.empty(1, heads, out_channels))
        self.lin_edge = None if edge_dim is None else Linear(edge_dim, hidden, bias=False)
        self.res = Linear(in_dst, total, bias=False) if residual else None
        self.bias = nn.Parameter(torch.empty(total)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.children():
            module.reset_parameters()  # pyright: ignore[reportCallIssue]
        glorot_(self.att)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x, graph, edge_attr: Tensor | None = None, return_attention_weights: bool = False
    ) -> Any:
        x, adj, edge_attr = checked_inputs(self, x, graph, edge_attr, needs_dst=True)
        source, target = self._project(x)
        if self.add_self_loops and adj.num_src == adj.num_dst:
            looped = adj.with_loops()
            if edge_attr is not None and looped is not adj:
                edge_attr = torch.cat([edge_attr, self._loop_attr(adj, looped, edge_attr)])
            adj = looped
        if edge_attr is None and not return_attention_weights:
            out = ops.attention_gatv2(
                adj.ptr, adj.col, source, target, self.att[0], eid=adj.eid,
                negative_slope=self.negative_slope, dropout=dropout_of(self),
                transpose=adj.transpose,
            )  # fmt: skip
            return finish(self, out, x)
        scores = per_edge(self, _scores, adj, src=source, dst=target, edge=edge_attr)
        if return_attention_weights:
            return weights_and_result(self, adj, scores, source, x)
        return finish(self, self._attend(adj, scores, source), x)

    def _attend(self, adj: Adjacency, scores: Tensor, source: Tensor) -> Tensor:
        """The weighted sums by scores in CSR order, [E, H]."""
        dropout, eid = dropout_of(self), None
        if dropout > 0:  # its mask is of the edge ids, and so are then the scores
            scores, eid = in_users_order(adj, scores), adj.eid
        return ops.attention_gat(
            adj.ptr, adj.col, source, None, None, scores, eid=eid, negative_slope=1.0,
            dropout=dropout, transpose=adj.transpose,
        )  # fmt: skip

    def _project(self, x: Any) -> tuple[Tensor, Tensor]:
        """W_l x[j] + b_l and W_r x[i] + b_r, as [·, H, out_channels]."""
        shape = (-1, self.heads, self.out_channels)
        source, target = x if isinstance(x, tuple) else (x, x)
        rows = self.lin_l(source).reshape(shape)
        if self.share_weights and target is source:
            return rows, rows
        return rows, self.lin_r(target).reshape(shape)

    def _loop_attr(self, adj: Adjacency, looped: Adjacency, edge_attr: Tensor) -> Tensor:
        """The edge_attr of the loops that were added, [E' − E, edge_dim]."""
        fill = self.fill_value
        if isinstance(fill, str):
            filled = ops.segment_reduce(adj.ptr, edge_attr, eid=adj.eid, reduce=fill)
            return filled[looped.edge_index[0, adj.num_edges :]]
        row = torch.as_tensor(fill, dtype=edge_attr.dtype, device=edge_attr.device).flatten()
        return row.expand(looped.num_edges - adj.num_edges, edge_attr.shape[1])

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


def _scores(layer: GATv2Conv, src: Tensor, dst: Tensor, edge: Tensor | None = None) -> Tensor:
    """a·LeakyReLU(…) of some edges, [e, H]."""
    hidden = src + dst
    if edge is not None and layer.lin_edge is not None:
        hidden = hidden + layer.lin_edge(edge).reshape(hidden.shape)
    return (F.leaky_relu(hidden, layer.negative_slope) * layer.att).sum(-1)
