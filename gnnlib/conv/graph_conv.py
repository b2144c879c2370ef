"""GraphConv: the higher-order graph convolution of Morris et al., of one dimension."""

from typing import Any

from torch import Tensor, nn

from .. import ops
from .._errors import chosen_reduce
from .._resolve import as_features, resolve
from ..features import SparseFeatures
from ..linear import Linear, add_bias
from ._norm import linear_first

AGGREGATIONS = ("sum", "mean", "max", "min", "mul")


class GraphConv(nn.Module):
    """The weighted aggregate of the neighbours and the node itself, each with its own weight.

    x'[i] = W₁ aggr over j in N(i) of e[ji] x[j] + b + W₂ x[i]

    where W₁, b are `lin_rel`, W₂ is `lin_root` and e[ji] is `edge_weight` (1 by default). For a sum
    or mean W₁ is applied before the aggregation where that is less work, which changes nothing but
    rounding. A mean divides by the number of edges.

    Args:
        in_channels: features of x, or a pair for (x_src, x_dst).
        out_channels: features of the result.
        aggr: 'sum', 'mean', 'max', 'min' or 'mul'.
        bias: False leaves b out.

    Shapes:
        x: [N, in_channels], dense or sparse (densified for aggr other than sum and mean), or
        (x_src [num_src, ·], x_dst [num_dst, ·] or None); edge_weight: [E];
        result: [num_dst, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, or an unknown aggr.

    Paper: "Weisfeiler and Leman Go Neural: Higher-order Graph Neural Networks", AAAI 2019.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> GraphConv(3, 16, aggr="max")(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        aggr: str = "sum",
        bias: bool = True,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.aggr = chosen_reduce("aggr", aggr, AGGREGATIONS)
        in_src, in_dst = in_channels if isinstance(in_channels, tuple) else (in_channels,) * 2
        self.lin_rel = Linear(in_src, out_channels, bias=bias)
        self.lin_root = Linear(in_dst, out_channels, bias=False)

    def reset_parameters(self) -> None:
        self.lin_rel.reset_parameters()
        self.lin_root.reset_parameters()

    def forward(self, x, graph, edge_weight: Tensor | None = None) -> Tensor:
        x = as_features(x, pair=True)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        source, target = x if isinstance(x, tuple) else (x, x)
        if self.aggr in ("sum", "mean") and linear_first(source, self.lin_rel):
            out = self._aggregate(adj, self.lin_rel.without_bias(source), edge_weight)
            out = add_bias(out, self.lin_rel.bias)
        else:
            rows = source.to_dense() if isinstance(source, SparseFeatures) else source
            out = self.lin_rel(self._aggregate(adj, rows, edge_weight))
        return out if target is None else out + self.lin_root(target)

    def _aggregate(self, adj: Any, rows: Tensor, edge_weight: Tensor | None) -> Tensor:
        return ops.spmm(
            adj.ptr, adj.col, rows, edge_weight,
            eid=adj.eid, reduce=self.aggr, transpose=adj.transpose,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr!r}"
