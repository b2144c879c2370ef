"""GraphNorm, of Cai et al."""

import torch
from torch import Tensor, nn

from .. import ops
from .._graphwise import check_features, segments
from ..graph import Graph
from ._precision import at_least_float32


class GraphNorm(nn.Module):
    """Each feature is normalised over the nodes of each graph, with a learned share of its mean.

    x'[v] = (x[v] − α ⊙ E[x]) / √(E[(x − α ⊙ E[x])²] + ε) ⊙ γ + β

    with E over the nodes of the graph of v. α, γ, β are the parameters `mean_scale`, `weight` and
    `bias`, ε is `eps`. The parameters are PyG's. Training and evaluation are the same.

    `norm(x, graph)`: x [N, in_channels] → [N, in_channels].

    Args:
        in_channels: features of a node.
        eps: ε.

    Raises:
        TypeError: an x that is no floating tensor, or a graph of another kind.
        ValueError: an x of another shape than [num_nodes, in_channels].

    Paper: "GraphNorm: A Principled Approach to Accelerating Graph Neural Network Training" (Cai,
    Luo, Xu, He, Liu and Wang, ICML 2021).

    Example:
        >>> graph = Graph([[0], [1]], x=torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> GraphNorm(2)(graph.x, graph).detach().round(decimals=3)
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """

    def __init__(self, in_channels: int, eps: float = 1e-5):
        super().__init__()
        self.in_channels = in_channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(in_channels))
        self.bias = nn.Parameter(torch.zeros(in_channels))
        self.mean_scale = nn.Parameter(torch.ones(in_channels))

    def reset_parameters(self) -> None:
        """α = γ = 1, β = 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.mean_scale)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        ptr = segments(x, graph)
        check_features(x, self.in_channels)
        num_nodes, rows = x.shape[0], at_least_float32(x)
        mean = ops.segment_reduce(ptr, rows, reduce="mean") * self.mean_scale
        centred = rows - ops.segment_expand(ptr, mean, num_nodes)
        variance = ops.segment_reduce(ptr, centred.square(), reduce="mean")
        scale = self.weight * (variance + self.eps).rsqrt()
        out = centred * ops.segment_expand(ptr, scale, num_nodes) + self.bias
        return out.to(x.dtype)

    def extra_repr(self) -> str:
        return f"in_channels={self.in_channels}"
