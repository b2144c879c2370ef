"""SGConv: the simplified graph convolution of Wu et al."""

from torch import Tensor, nn

from .._resolve import as_features, resolve
from ..linear import Linear
from ._norm import check_count, gcn_norm, hops, linear_first


class SGConv(nn.Module):
    """The simplified graph convolution: K normalised sums over neighbours and self, one Linear.

    X' = S^K X Wᵀ + b,  S[i, j] = e[ji] / sqrt(d[j] d[i]),  d[i] = Σ_j e[ji]

    where W, b are `lin`, e[ji] is `edge_weight` (1 by default) and d the weighted in-degree,
    self-loops included. W is applied before the sums where that is less work, which changes
    nothing but rounding.

    Args:
        in_channels: features of x.
        out_channels: features of the result.
        K: number of hops.
        add_self_loops: give each node without a self-loop one of weight 1.
        bias: False leaves b out.

    Shapes:
        x: [N, in_channels], dense or sparse; edge_weight: [E]; result: [N, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, or K < 0.

    Paper: "Simplifying Graph Convolutional Networks", ICML 2019.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> SGConv(3, 16, K=2)(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        K: int = 1,
        add_self_loops: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        check_count("K", K, least=0)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.K = K
        self.add_self_loops = add_self_loops
        self.lin = Linear(in_channels, out_channels, bias=bias)

    def reset_parameters(self) -> None:
        self.lin.reset_parameters()

    def forward(self, x, graph, edge_weight: Tensor | None = None) -> Tensor:
        x = as_features(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        adj, edge_weight, scale = gcn_norm(adj, edge_weight, x.dtype, self.add_self_loops)
        first = linear_first(x, self.lin)
        h = self.lin.without_bias(x) if first else x
        h = hops(adj, h, self.K, edge_weight, scale)
        if not first:
            return self.lin(h)
        return h if self.lin.bias is None else h + self.lin.bias.to(h.dtype)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, K={self.K}"
