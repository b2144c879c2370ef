"""ChebConv: the spectral graph convolution of Defferrard, Bresson and Vandergheynst."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from .._errors import unknown_choice
from .._memo import is_tracing
from .._resolve import as_features, resolve
from ..adjacency import Adjacency
from ..graph import Graph
from ..linear import Linear, add_bias
from ..ops._common import per_row
from ..ops._dtypes import accumulate_dtype
from ._norm import check_count, inverse_root, linear_first


class ChebConv(nn.Module):
    """A Chebyshev polynomial of the graph's Laplacian, a Linear for each of its K terms.

    X' = Σ over k = 0 … K − 1 of T_k X W_kᵀ + b
    T_0 = 1,  T_1 = 2 L / λ − 1,  T_k = 2 T_1 T_{k−1} − T_{k−2}

    where W_k is `lins[k]`, b is `bias`, λ is `lambda_max`, A[i, j] = e[ji] is `edge_weight` (1 by
    default), self-loops left out, and L is by `normalization`, with d[j] = Σ_i e[ji] the weights
    of the edges that leave j:

    - 'sym': 1 − D^-½ A D^-½;  'rw': 1 − A D^-1;  None: D − A.

    Where the Linears narrow x, or x is sparse, they go first (Clenshaw's scheme), with which only
    the rounding differs.

    Args:
        in_channels: features of x.
        out_channels: features of the result.
        K: number of terms; they reach K − 1 hops.
        normalization: 'sym', 'rw' or None.
        bias: False leaves b out.

    `layer(x, graph, edge_weight=None, lambda_max=None)`: lambda_max is the largest eigenvalue of
    L, a number, or a tensor with one for each graph of a Batch. Left out, it is a bound that holds
    for weights that are not negative: 2, or without normalization 2 max d of each graph.

    Shapes:
        x: [N, in_channels], dense or sparse; edge_weight: [E]; lambda_max: [] or [B];
        result: [N, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, an unknown normalization, K < 1, or a
            lambda_max that is not positive or does not fit the graphs.

    Paper: "Convolutional Neural Networks on Graphs with Fast Localized Spectral Filtering",
    NeurIPS 2016.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> ChebConv(3, 16, K=3)(graph.x, graph, lambda_max=1.5).shape
        torch.Size([3, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        K: int,
        normalization: str | None = "sym",
        bias: bool = True,
    ):
        super().__init__()
        check_count("K", K, least=1)
        if normalization not in ("sym", "rw", None):
            raise unknown_choice("normalization", normalization, ("sym", "rw", "None"))
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.K = K
        self.normalization = normalization
        self.lins = nn.ModuleList(Linear(in_channels, out_channels, bias=False) for _ in range(K))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def reset_parameters(self) -> None:
        for lin in self.lins:
            lin.reset_parameters()  # pyright: ignore[reportCallIssue]
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self,
        x,
        graph,
        edge_weight: Tensor | None = None,
        lambda_max: float | Tensor | None = None,
    ) -> Tensor:
        x = as_features(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        graph_ptr = _graph_ptr(graph, adj)
        _check_lambda_max(lambda_max, graph_ptr)
        multiply = self._scaled_laplacian(adj, edge_weight, x.dtype, graph_ptr, lambda_max)
        if linear_first(x, self.lins[0]):  # pyright: ignore[reportArgumentType]
            out = self._clenshaw(multiply, x)
        else:
            out = self._recurrence(multiply, x)
        return add_bias(out, self.bias)

    def _recurrence(self, multiply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        out, before, term = self.lins[0](x), None, x
        for lin in self.lins[1:]:
            following = multiply(term)
            before, term = term, following if before is None else 2 * following - before
            out = out + lin(term)
        return out

    def _clenshaw(self, multiply: Callable[[Tensor], Tensor], x: Any) -> Tensor:
        """b_k = X W_k + 2 T_1 b_{k+1} − b_{k+2}, down to X W_0 + T_1 b_1 − b_2."""
        *others, last = self.lins
        b, after = last(x), None
        for k, lin in reversed(list(enumerate(others))):
            step = multiply(b) if k == 0 else 2 * multiply(b)
            b, after = lin(x) + (step if after is None else step - after), b
        return b

    def _scaled_laplacian(
        self,
        adj: Adjacency,
        edge_weight: Tensor | None,
        dtype: torch.dtype,
        graph_ptr: Tensor,
        lambda_max: float | Tensor | None,
    ) -> Callable[[Tensor], Tensor]:
        """h ↦ T_1 h."""
        if edge_weight is None:
            weight, degree = adj.memo(("laplacian", dtype), lambda: _entries(adj, None, dtype))
        else:
            weight, degree = _entries(adj, edge_weight, dtype)
        row_scale = col_scale = None
        if self.normalization == "sym":
            row_scale = col_scale = inverse_root(degree)
        elif self.normalization == "rw":
            col_scale = torch.where(
                degree != 0, torch.where(degree != 0, degree, 1).reciprocal(), 0
            )

        def aggregate(h: Tensor) -> Tensor:
            return ops.spmm(
                adj.ptr, adj.col, h, weight,
                row_scale=row_scale, col_scale=col_scale, transpose=adj.transpose,
            )  # fmt: skip

        if self.normalization is not None and lambda_max is None:
            return lambda h: -aggregate(h)  # 2 / λ is 1 then
        factor = _two_by_lambda(lambda_max, degree, graph_ptr)
        diagonal = factor * degree - 1 if self.normalization is None else factor - 1

        def multiply(h: Tensor) -> Tensor:
            out = aggregate(h)
            own = _as(diagonal, out) * h
            return own.to(out.dtype) - _as(factor, out) * out

        return multiply

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, K={self.K},"
            f" normalization={self.normalization!r}"
        )


def _entries(
    adj: Adjacency, edge_weight: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor | None, Tensor]:
    """The edge weights in CSR order, 0 for self-loops (None: all 1), and their sums by source."""
    if edge_weight is None and not is_tracing() and not adj.has_loops:
        return None, adj.transpose()[0].diff().to(accumulate_dtype(dtype))
    between = adj.row != adj.col
    if edge_weight is None:
        weight = between.to(dtype)
    else:
        in_order = edge_weight if adj.eid is None else ops.gather_rows(edge_weight, adj.eid)
        weight = torch.where(between, in_order, 0)
    t_ptr, _, t_pos = adj.transpose()
    return weight, ops.segment_reduce(t_ptr, weight.to(accumulate_dtype(dtype)), eid=t_pos)


def _graph_ptr(graph: Any, adj: Adjacency) -> Tensor:
    if isinstance(graph, Graph):
        return graph.graph_ptr
    return torch.arange(2, device=adj.device) * adj.num_dst


def _two_by_lambda(
    lambda_max: float | Tensor | None, degree: Tensor, graph_ptr: Tensor
) -> float | Tensor:
    """2 / λ: a number, or a tensor [] or [N]."""
    if lambda_max is None:
        largest = ops.segment_reduce(graph_ptr, degree, reduce="max")
        # A graph without edges has L = 0, for which any factor is right.
        none = largest <= 0
        factor = torch.where(none, 0, torch.where(none, 1, largest).reciprocal())
    elif isinstance(lambda_max, Tensor):
        factor = 2 / lambda_max.to(degree.dtype)
        if factor.dim() == 0 or graph_ptr.shape[0] == 2:
            return factor.reshape(())
    else:
        return 2 / lambda_max
    return ops.segment_expand(graph_ptr, factor, degree.shape[0])


def _check_lambda_max(lambda_max: Any, graph_ptr: Tensor) -> None:
    if isinstance(lambda_max, Tensor):
        num_graphs = graph_ptr.shape[0] - 1
        if tuple(lambda_max.shape) not in ((), (num_graphs,)):
            raise ValueError(
                f"lambda_max must be one number or one for each of num_graphs={num_graphs}, got"
                f" shape {tuple(lambda_max.shape)}"
            )
    elif lambda_max is None:
        return
    elif not isinstance(lambda_max, (int, float)):
        raise TypeError(f"lambda_max must be a number or a tensor, got {type(lambda_max).__name__}")
    elif not lambda_max > 0:
        raise ValueError(f"lambda_max must be positive, got {lambda_max}")


def _as(value: float | Tensor, like: Tensor) -> float | Tensor:
    if not isinstance(value, Tensor):
        return value
    return (per_row(value, like) if value.dim() else value).to(like.dtype)
