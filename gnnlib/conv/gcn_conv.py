"""GCNConv: the graph convolution of Kipf and Welling."""

import torch
from torch import Tensor, nn

from .. import ops
from .._resolve import as_features, resolve
from ..linear import Linear, add_bias
from ._norm import gcn_norm


class GCNConv(nn.Module):
    """The graph convolution of Kipf and Welling: a normalised sum over neighbours and self.

    x'[i] = W Σ over j in N(i) ∪ {i} of e[ji] / sqrt(d[j] d[i]) · x[j] + b,  d[i] = Σ_j e[ji]

    where W is `lin.weight`, b is `bias`, e[ji] is `edge_weight` (1 by default) and d the weighted
    in-degree, self-loops included. A node that has self-loops keeps them; the others get one of
    weight 1. The normalisation multiplies rows before and after the sum: there is no array of E
    normalised weights.

    Args:
        in_channels: features of x.
        out_channels: features of the result.
        improved: weigh the added self-loops 2.
        add_self_loops: add the missing self-loops; by default as `normalize`.
        normalize: False sums e[ji] x[j] as it is.
        bias: False leaves b out.

    Shapes:
        x: [N, in_channels], dense or sparse; edge_weight: [E]; result: [N, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, and for add_self_loops=True with
            normalize=False.

    Paper: "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> GCNConv(3, 16)(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        improved: bool = False,
        add_self_loops: bool | None = None,
        normalize: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        add_self_loops = normalize if add_self_loops is None else add_self_loops
        if add_self_loops and not normalize:
            raise ValueError(
                "add_self_loops must be False where normalize is False: loops of weight 1 fit the"
                " normalised sum only; graph.add_self_loops() adds them to the graph"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.improved = improved
        self.add_self_loops = add_self_loops
        self.normalize = normalize
        self.lin = Linear(in_channels, out_channels, bias=False)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        self.lin.reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x, graph, edge_weight: Tensor | None = None) -> Tensor:
        x = as_features(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        scale = None
        if self.normalize:
            adj, edge_weight, scale = gcn_norm(
                adj, edge_weight, x.dtype, self.add_self_loops, 2.0 if self.improved else 1.0
            )
        out = ops.spmm(
            adj.ptr, adj.col, self.lin(x), edge_weight, eid=adj.eid,
            row_scale=scale, col_scale=scale, transpose=adj.transpose,
        )  # fmt: skip
        return add_bias(out, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"
