"""GINConv: the graph isomorphism network of Xu et al."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from .._resolve import as_features, resolve
from ..features import SparseFeatures
from ..linear import Linear, add_bias, check_features


class GINConv(nn.Module):
    """The graph isomorphism operator: a network of the node plus the sum of its neighbours.

    x'[i] = h((1 + ε) x[i] + Σ over j in N(i) of x[j])

    where h is `nn` and ε is `eps`. When h starts with a Linear that narrows x (or x is sparse), the
    sum is taken behind that Linear, with which it commutes: less work, the same result.

    Args:
        nn: any module from in_channels to out_channels features, such as a `torch.nn.Sequential`.
        eps: ε, or its first value.
        train_eps: learn ε.

    Shapes:
        x: [N, in_channels], dense or sparse, or (x_src [num_src, ·], x_dst [num_dst, ·] or None);
        result: [num_dst, out_channels].

    Raises:
        ValueError: for a wrong number of rows, or of features where h starts with a Linear.

    Paper: "How Powerful are Graph Neural Networks?", ICLR 2019.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> GINConv(torch.nn.Linear(3, 16))(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(self, nn: nn.Module, eps: float = 0.0, train_eps: bool = False):
        super().__init__()
        self.nn = nn
        self.initial_eps = eps
        value = torch.full((1,), float(eps))
        if train_eps:
            self.eps: Any = torch.nn.Parameter(value)
        else:
            self.register_buffer("eps", value)

    def reset_parameters(self) -> None:
        reset_network(self.nn)
        nn.init.constant_(self.eps, self.initial_eps)

    def forward(self, x, graph) -> Tensor:
        x = as_features(x, pair=True)
        adj, _, _ = resolve(graph, x)
        source, target = x if isinstance(x, tuple) else (x, x)
        first = self._first_linear()
        if first is not None:
            check_features(source, first)
        sparse = isinstance(source, SparseFeatures) or isinstance(target, SparseFeatures)
        if first is None or not (sparse or first.in_features > first.out_features):
            source, target = (
                part.to_dense() if isinstance(part, SparseFeatures) else part
                for part in (source, target)
            )
            return self.nn(self._combine(adj, source, target))
        weight = first.weight.t()
        narrow = source.matmul(weight)
        own = None if target is None else narrow if target is source else target.matmul(weight)
        out = add_bias(self._combine(adj, narrow, own), first.bias)
        return out if first is self.nn else self.nn[1:](out)  # pyright: ignore[reportIndexIssue]

    def _combine(self, adj: Any, source: Tensor, target: Tensor | None) -> Tensor:
        out = ops.spmm(adj.ptr, adj.col, source, transpose=adj.transpose)
        return out if target is None else out + (1 + self.eps).to(target.dtype) * target

    def _first_linear(self) -> nn.Linear | None:
        """The Linear that h starts with, when calling h is the same as calling its parts."""
        first = self.nn
        if type(first) is nn.Sequential and len(first) > 0 and not _is_watched(first):
            first = first[0]
        if type(first) not in (nn.Linear, Linear) or _is_watched(first):
            return None
        return first  # pyright: ignore[reportReturnType]


def reset_network(network: nn.Module) -> None:
    """Draw the parameters anew, of the parts first: a module that resets itself has its way."""
    for module in network.modules():
        if module is not network and hasattr(module, "reset_parameters"):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]
    if hasattr(network, "reset_parameters"):
        network.reset_parameters()  # pyright: ignore[reportCallIssue]


def _is_watched(module: nn.Module) -> bool:
    return any(
        (
            module._forward_hooks,
            module._forward_pre_hooks,
            module._backward_hooks,
            module._backward_pre_hooks,
        )
    )
