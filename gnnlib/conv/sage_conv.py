"""SAGEConv: GraphSAGE of Hamilton, Ying and Leskovec."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .. import ops
from .._errors import chosen_reduce
from .._resolve import as_features, resolve
from ..features import SparseFeatures
from ..linear import Linear, add_bias
from ._norm import linear_first

AGGREGATIONS = ("mean", "sum", "max", "min")


class SAGEConv(nn.Module):
    """GraphSAGE: the aggregate of the neighbours and the node itself, each with its own weight.

    x'[i] = W₁ aggr over j in N(i) of x[j] + b + W₂ x[i]

    where W₁, b are `lin_l` and W₂ is `lin_r`. For a mean or sum W₁ is applied before the
    aggregation where that is less work, which changes nothing but rounding.

    Args:
        in_channels: features of x, or a pair for (x_src, x_dst).
        out_channels: features of the result.
        aggr: 'mean', 'sum', 'max' or 'min'.
        normalize: scale each result row to length 1.
        root_weight: False leaves W₂ x[i] out.
        project: first replace x[j] by relu(P x[j] + p), with P, p in `lin` (the paper's max-pool).
        bias: False leaves b out.

    Shapes:
        x: [N, in_channels], dense or sparse (densified for aggr other than mean and sum), or
        (x_src [num_src, ·], x_dst [num_dst, ·] or None); result: [num_dst, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, or an unknown aggr.

    Paper: "Inductive Representation Learning on Large Graphs", NeurIPS 2017.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> SAGEConv(3, 16, aggr="max")(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        aggr: str = "mean",
        normalize: bool = False,
        root_weight: bool = True,
        project: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.aggr = chosen_reduce("aggr", aggr, AGGREGATIONS)
        self.normalize = normalize
        in_src, in_dst = in_channels if isinstance(in_channels, tuple) else (in_channels,) * 2
        self.lin = Linear(in_src, in_src) if project else None
        self.lin_l = Linear(in_src, out_channels, bias=bias)
        self.lin_r = Linear(in_dst, out_channels, bias=False) if root_weight else None

    def reset_parameters(self) -> None:
        for module in self.children():
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, x, graph) -> Tensor:
        x = as_features(x, pair=True)
        adj, _, _ = resolve(graph, x)
        source, target = x if isinstance(x, tuple) else (x, x)
        if self.lin is not None:
            source = self.lin(source).relu()
        linear = self.aggr in ("mean", "sum")
        if linear and linear_first(source, self.lin_l):
            out = self._aggregate(adj, self.lin_l.without_bias(source))
            out = add_bias(out, self.lin_l.bias)
        else:
            rows = source.to_dense() if isinstance(source, SparseFeatures) else source
            out = self.lin_l(self._aggregate(adj, rows))
        if self.lin_r is not None and target is not None:
            out = out + self.lin_r(target)
        return F.normalize(out, dim=-1) if self.normalize else out

    def _aggregate(self, adj: Any, rows: Tensor) -> Tensor:
        return ops.spmm(adj.ptr, adj.col, rows, reduce=self.aggr, transpose=adj.transpose)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr!r}"
