"""TransformerConv: the attention of transformers over the neighbours, of Shi et al."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from ..adjacency import Adjacency
from ..linear import Linear
from ._attention import (
    attend,
    check_attention,
    checked_inputs,
    dropout_of,
    in_users_order,
)


class TransformerConv(nn.Module):
    """Attention whose scores are products of queries and keys, with a gated residual.

    x'[i] = W_1 x[i] + h[i]
    h[i] = ‖ over heads of Σ over j in N(i) of α[ji] (W_2 x[j] + W_6 e[ji])
    α[ji] = softmax over j of (W_3 x[i])·(W_4 x[j] + W_6 e[ji]) / sqrt(out_channels)

    where W_1 is `lin_skip`, W_2 `lin_value`, W_3 `lin_query`, W_4 `lin_key` (all but W_6 with a
    bias), W_6 is `lin_edge.weight` and e[ji] is `edge_attr`. With beta=True

    x'[i] = β W_1 x[i] + (1 − β) h[i],   β = sigmoid(w_5·[h[i], W_1 x[i], h[i] − W_1 x[i]])

    with w_5 = `lin_beta.weight`. W_6 e[ji] is never computed: its products with a query are those
    of e[ji] with W_6ᵀ W_3 x[i], and its weighted sum is W_6 times that of e[ji].

    Args:
        in_channels: features of x, or a pair for (x_src, x_dst).
        out_channels: features of each head.
        heads: attention heads H.
        concat: join the heads; False takes their mean.
        beta: combine h[i] and W_1 x[i] by a gate, where there is W_1.
        dropout: probability of zeroing an attention weight in training.
        edge_dim: features of edge_attr; None: the layer takes no edge_attr.
        bias: False leaves the biases out.
        root_weight: False leaves W_1 x[i] out.

    Shapes:
        x: [N, in_channels], dense or sparse, or (x_src, x_dst); edge_attr: [E, edge_dim];
        result: [num_dst, H · out_channels], or [num_dst, out_channels] for concat=False. With
        return_attention_weights=True: (result, (edge_index [2, E], α [E, H])).

    Raises:
        TypeError: for an edge_attr that the layer was not made for.
        ValueError: for a wrong number of rows or features, or a missing edge_attr.

    Paper: "Masked Label Prediction: Unified Message Passing Model for Semi-Supervised
    Classification", IJCAI 2021.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> TransformerConv(3, 8, heads=2)(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        heads: int = 1,
        concat: bool = True,
        beta: bool = False,
        dropout: float = 0.0,
        edge_dim: int | None = None,
        bias: bool = True,
        root_weight: bool = True,
    ):
        super().__init__()
        check_attention(heads, dropout)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.heads = heads
        self.concat = concat
        self.beta = beta and root_weight
        self.dropout = dropout
        self.edge_dim = edge_dim
        self.root_weight = root_weight
        in_src, in_dst = in_channels if isinstance(in_channels, tuple) else (in_channels,) * 2
        hidden = heads * out_channels
        total = hidden if concat else out_channels
        self.lin_key = Linear(in_src, hidden, bias=bias)
        self.lin_query = Linear(in_dst, hidden, bias=bias)
        self.lin_value = Linear(in_src, hidden, bias=bias)
        self.lin_edge = None if edge_dim is None else Linear(edge_dim, hidden, bias=False)
        self.lin_skip = Linear(in_dst, total, bias=bias)  # as PyG has it: also without root_weight
        self.lin_beta = Linear(3 * total, 1, bias=False) if self.beta else None

    def reset_parameters(self) -> None:
        for module in self.children():
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(
        self, x, graph, edge_attr: Tensor | None = None, return_attention_weights: bool = False
    ) -> Any:
        x, adj, edge_attr = checked_inputs(self, x, graph, edge_attr, needs_dst=True)
        source, target = x if isinstance(x, tuple) else (x, x)
        shape = (-1, self.heads, self.out_channels)
        key, value = self.lin_key(source).reshape(shape), self.lin_value(source).reshape(shape)
        query = self.lin_query(target).reshape(shape)
        if self.lin_edge is None and not return_attention_weights:
            out = ops.attention_dot(
                adj.ptr, adj.col, query, key, value, eid=adj.eid, dropout=dropout_of(self),
                transpose=adj.transpose,
            )  # fmt: skip
            return self._finish(out, target)
        edge = None if edge_attr is None else edge_attr.to(query.dtype)
        if edge is not None and adj.eid is not None:
            edge = ops.gather_rows(edge, adj.eid)
        scores = self._scores(adj, query, key, edge)
        out, alpha, weight = attend(self, adj, scores, value)
        if edge is not None:
            out = out + self._edge_values(adj, edge, weight)
        out = self._finish(out, target)
        if return_attention_weights:
            return out, (adj.edge_index, in_users_order(adj, alpha))
        return out

    def _scores(self, adj: Adjacency, query: Tensor, key: Tensor, edge: Tensor | None) -> Tensor:
        """In CSR order, [E, H]."""
        scores = ops.sddmm(adj.ptr, adj.col, query, key, transpose=adj.transpose)
        if edge is not None:
            asked = torch.einsum("nhc,hce->nhe", query, self._edge_weight(query.dtype))
            own = [
                ops.sddmm(adj.ptr, edge_rows(adj)[0], rows, edge, transpose=edge_rows(adj)[1])
                for rows in asked.unbind(1)
            ]
            scores = scores + torch.stack(own, 1)
        return scores / math.sqrt(self.out_channels)

    def _edge_values(self, adj: Adjacency, edge: Tensor, weight: Tensor) -> Tensor:
        """Σ of α[ji] W_6 e[ji], [num_dst, H, out_channels]."""
        column, back = edge_rows(adj)
        sums = [ops.spmm(adj.ptr, column, edge, w, transpose=back) for w in weight.unbind(1)]
        rows = torch.stack(sums, 1)  # [num_dst, H, edge_dim]
        return torch.einsum("nhe,hce->nhc", rows, self._edge_weight(rows.dtype))

    def _edge_weight(self, dtype: torch.dtype) -> Tensor:
        assert self.lin_edge is not None
        return self.lin_edge.weight.reshape(self.heads, self.out_channels, -1).to(dtype)

    def _finish(self, out: Tensor, target: Any) -> Tensor:
        out = out.flatten(1) if self.concat else out.mean(1)
        if not self.root_weight:
            return out
        skip = self.lin_skip(target)
        if self.lin_beta is None:
            return out + skip
        gate = self.lin_beta(torch.cat([out, skip, out - skip], -1)).sigmoid()
        return gate * skip + (1 - gate) * out

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


def edge_rows(adj: Adjacency) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """(col, transpose) of the CSR whose sources are the edges in CSR order, one each."""

    def build() -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        ids = torch.arange(adj.num_edges + 1, dtype=adj.ptr.dtype, device=adj.device)
        return ids[:-1], (ids, adj.row, ids[:-1])

    return adj.memo("edges_as_sources", build)
