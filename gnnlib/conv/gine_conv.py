"""GINEConv: GINConv with edge features, of Hu et al."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from .._blocks import Run, in_blocks
from .._resolve import as_features, check_matrices, resolve
from ..adjacency import Adjacency
from ..features import SparseFeatures
from ..linear import Linear
from ..message_passing import MessagePassing
from .gin_conv import reset_network


class GINEConv(nn.Module):
    """The graph isomorphism operator with edge features: they are added to the neighbours.

    x'[i] = h((1 + ε) x[i] + Σ over j in N(i) of ReLU(x[j] + W e[ji] + b))

    where h is `nn`, ε is `eps`, W, b are `lin` and e[ji] is `edge_attr`; without `edge_dim` it is
    e[ji] itself that is added, in one pass over the edges. With it W e[ji] + b is computed in
    blocks of edges, and again for the gradient: never all at once.

    Args:
        nn: any module from in_channels to out_channels features, such as a `torch.nn.Sequential`.
        eps: ε, or its first value.
        train_eps: learn ε.
        edge_dim: features of edge_attr, when they are not those of x. `nn`, or its first module,
            must then have `in_features` or `in_channels`.

    Shapes:
        x: [N, in_channels], dense or sparse (densified), or (x_src [num_src, ·], x_dst
        [num_dst, ·] or None); edge_attr: [E, edge_dim], or [E, in_channels] without edge_dim;
        result: [num_dst, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, a missing edge_attr, or an `nn` whose
            in_channels cannot be told.

    Paper: "Strategies for Pre-training Graph Neural Networks", ICLR 2020.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3), edge_attr=torch.ones(3, 2))
        >>> GINEConv(torch.nn.Linear(3, 16), edge_dim=2)(graph.x, graph).shape
        torch.Size([3, 16])
    """

    def __init__(
        self, nn: nn.Module, eps: float = 0.0, train_eps: bool = False, edge_dim: int | None = None
    ):
        super().__init__()
        self.nn = nn
        self.initial_eps = eps
        value = torch.full((1,), float(eps))
        if train_eps:
            self.eps: Any = torch.nn.Parameter(value)
        else:
            self.register_buffer("eps", value)
        self.lin = None if edge_dim is None else Linear(edge_dim, _in_channels(nn))

    def reset_parameters(self) -> None:
        reset_network(self.nn)
        if self.lin is not None:
            self.lin.reset_parameters()
        nn.init.constant_(self.eps, self.initial_eps)

    def forward(self, x, graph, edge_attr: Tensor | None = None) -> Tensor:
        x = as_features(x, pair=True)
        check_matrices(x)
        adj, _, edge_attr = resolve(graph, x, edge_attr=edge_attr)
        source, target = (
            part.to_dense() if isinstance(part, SparseFeatures) else part
            for part in (x if isinstance(x, tuple) else (x, x))
        )
        edge_attr = self._checked(adj, source, edge_attr)
        if target is not None and target.shape[1] != source.shape[1]:
            raise ValueError(
                f"x_src and x_dst must have the same features, got x_src of shape"
                f" {tuple(source.shape)} and x_dst of shape {tuple(target.shape)}"
            )
        out = self._sum(adj, source, edge_attr)
        if target is not None:
            out = out + (1 + self.eps).to(target.dtype) * target
        return self.nn(out)

    def _sum(self, adj: Adjacency, source: Tensor, edge_attr: Tensor) -> Tensor:
        if self.lin is None:
            where = {"eid": adj.eid, "transpose": adj.transpose}
            return ops.spmm_add(adj.ptr, adj.col, source, edge=edge_attr, act="relu", **where)
        # W e is E×F, so it is made in blocks. The message belongs to `lin`, not to the layer: a
        # BatchNorm in h is of no concern to it.
        run = Run(adj, ["src", "edge"], self.lin, _message, ("sum",))
        return in_blocks(run, [source, edge_attr], MessagePassing.block_bytes)

    def _checked(self, adj: Adjacency, source: Tensor, edge_attr: Tensor | None) -> Tensor:
        if edge_attr is None:
            raise ValueError("edge_attr must be given: without edge features, use GINConv")
        name, width = ("in_channels", source.shape[1])
        if self.lin is not None:
            name, width = ("edge_dim", self.lin.in_features)
            if source.shape[1] != self.lin.out_features:
                raise ValueError(
                    f"x must have in_channels={self.lin.out_features} features, got x of shape"
                    f" {tuple(source.shape)}"
                )
        if edge_attr.dim() != 2 or edge_attr.shape[1] != width:
            hint = ": GINEConv(…, edge_dim=…) takes other widths" if self.lin is None else ""
            raise ValueError(
                f"edge_attr must have shape [num_edges, {name}] = ({adj.num_edges}, {width}), got"
                f" {tuple(edge_attr.shape)}{hint}"
            )
        return edge_attr


def _message(edge_map: nn.Module, edges: list[Tensor], ptr: Tensor, split: bool) -> Tensor:
    source, edge_attr = edges
    return (source + edge_map(edge_attr)).relu()


def _in_channels(network: nn.Module) -> int:
    first = network[0] if isinstance(network, nn.Sequential) and len(network) > 0 else network
    for name in ("in_features", "in_channels"):
        if isinstance(getattr(first, name, None), int):
            return getattr(first, name)
    raise ValueError(
        "nn must begin with a module that has in_features or in_channels where edge_dim is given,"
        f" got {type(first).__name__}"
    )
