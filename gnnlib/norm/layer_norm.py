"""LayerNorm: the features of each node, or of each graph."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import ops
from .._errors import unknown_choice
from .._graphwise import check_features, segments
from ..graph import Graph
from ._precision import at_least_float32

MODES = ("graph", "node")


class LayerNorm(nn.Module):
    """Numbers are normalised by the mean and variance of all numbers of their graph, or node.

    x'[v] = (x[v] − E[x]) / √(Var[x] + ε) ⊙ γ + β

    with E and Var over all nodes and features of the graph of v (mode 'graph'), or over the
    features of v (mode 'node'). γ, β are the parameters `weight` and `bias`, ε is `eps`. The
    parameters are PyG's.

    `norm(x, graph)`: x [N, in_channels] → [N, in_channels].

    Args:
        in_channels: features of a node.
        eps: ε.
        affine: learn γ and β; otherwise they are 1 and 0.
        mode: 'graph' or 'node'.

    Raises:
        TypeError: an x that is no floating tensor, or a graph of another kind.
        ValueError: an unknown mode, or an x of another shape than [num_nodes, in_channels].

    Paper: "Layer Normalization" (Ba, Kiros and Hinton, 2016).

    Example:
        >>> graph = Graph([[0], [1]], x=torch.tensor([[1.0, 3.0], [5.0, 7.0]]))
        >>> LayerNorm(2, mode="node")(graph.x, graph).detach().round(decimals=3)
        tensor([[-1.,  1.],
                [-1.,  1.]])
        >>> LayerNorm(2, mode="graph")(graph.x, graph).detach().round(decimals=3)
        tensor([[-1.3420, -0.4470],
                [ 0.4470,  1.3420]])
    """

    def __init__(
        self,
        in_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        mode: Literal["graph", "node"] = "graph",
    ):
        super().__init__()
        if mode not in MODES:
            raise unknown_choice("mode", mode, MODES)
        self.in_channels = in_channels
        self.eps = eps
        self.mode = mode
        self.weight = nn.Parameter(torch.ones(in_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(in_channels)) if affine else None

    def reset_parameters(self) -> None:
        """γ = 1, β = 0."""
        if self.weight is not None and self.bias is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        ptr = segments(x, graph)
        check_features(x, self.in_channels)
        if self.mode == "node":
            out = F.layer_norm(x, (self.in_channels,), self.weight, self.bias, self.eps)
            return out.to(x.dtype)
        num_nodes, rows = x.shape[0], at_least_float32(x)
        mean = ops.segment_reduce(ptr, rows.mean(1), reduce="mean")
        centred = rows - ops.segment_expand(ptr, mean, num_nodes).unsqueeze(1)
        variance = ops.segment_reduce(ptr, centred.square().mean(1), reduce="mean")
        scale = ops.segment_expand(ptr, (variance + self.eps).rsqrt(), num_nodes)
        out = centred * scale.unsqueeze(1)
        if self.weight is not None and self.bias is not None:
            out = out * self.weight + self.bias
        return out.to(x.dtype)

    def extra_repr(self) -> str:
        return f"in_channels={self.in_channels}, mode={self.mode!r}"
