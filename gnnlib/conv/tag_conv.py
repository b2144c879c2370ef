"""TAGConv: the topology adaptive graph convolution of Du et al."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from .._resolve import as_features, resolve
from ..adjacency import Adjacency
from ..linear import Linear, add_bias, check_features, product
from ._norm import are_constant, check_count, gcn_norm, hop, linear_first


class TAGConv(nn.Module):
    """A polynomial of the normalised adjacency: the neighbourhoods of 0 … K hops, a Linear each.

    X' = Σ over k = 0 … K of S^k X W_kᵀ + b,  S[i, j] = e[ji] / sqrt(d[j] d[i]),  d[i] = Σ_j e[ji]

    where W_k is `lins[k]`, b is `bias`, e[ji] is `edge_weight` (1 by default) and d the weighted
    in-degree. No self-loops are added. Where the Linears narrow x, or x is sparse, they go first
    (Horner's scheme), with which only the rounding differs.

    Args:
        in_channels: features of x.
        out_channels: features of the result.
        K: number of hops.
        bias: False leaves b out.
        normalize: False takes S[i, j] = e[ji].

    Shapes:
        x: [N, in_channels], dense or sparse; edge_weight: [E]; result: [N, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, or K < 0.

    Paper: "Topology Adaptive Graph Convolutional Networks", arXiv 1710.10370, 2017.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> TAGConv(3, 16, K=2)(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        K: int = 3,
        bias: bool = True,
        normalize: bool = True,
    ):
        super().__init__()
        check_count("K", K, least=0)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.K = K
        self.normalize = normalize
        self.lins = nn.ModuleList(
            Linear(in_channels, out_channels, bias=False) for _ in range(K + 1)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def reset_parameters(self) -> None:
        for lin in self.lins:
            lin.reset_parameters()  # pyright: ignore[reportCallIssue]
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x, graph, edge_weight: Tensor | None = None) -> Tensor:
        x = as_features(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        scale = None
        if self.normalize:
            adj, edge_weight, scale = gcn_norm(adj, edge_weight, x.dtype, add_self_loops=False)
        first, *others = self.lins
        if are_constant(edge_weight, scale):
            out = self._in_one(x, adj, edge_weight, scale)
        elif linear_first(x, first):  # pyright: ignore[reportArgumentType]
            *others, last = self.lins
            out = last(x)
            for lin in reversed(others):
                out = lin(x) + hop(adj, out, edge_weight, scale)
        else:
            out, h = first(x), x
            for lin in others:
                h = hop(adj, h, edge_weight, scale)
                out = out + lin(h)
        return add_bias(out, self.bias)

    def _in_one(
        self, x, adj: Adjacency, edge_weight: Tensor | None, scale: Tensor | None
    ) -> Tensor:
        """All hops in one operator, and all Linears in one product."""
        check_features(x, self.lins[0])  # pyright: ignore[reportArgumentType]
        weights: Any = [lin.weight for lin in self.lins]
        steps: dict = {"eid": adj.eid, "row_scale": scale, "col_scale": scale}
        steps["transpose"] = adj.transpose
        if linear_first(x, self.lins[0]):  # pyright: ignore[reportArgumentType]
            rows = product(x, torch.cat(weights)).unflatten(-1, (self.K + 1, self.out_channels))
            return ops.propagate_horner(adj.ptr, adj.col, rows, edge_weight, **steps)
        powers = ops.propagate_powers(adj.ptr, adj.col, x, self.K, edge_weight, **steps)
        return product(powers.flatten(1), torch.cat(weights, 1))

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, K={self.K}"
