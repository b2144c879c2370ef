"""BatchNorm: each feature over all nodes."""

import torch
from torch import Tensor, nn

from .._graphwise import check_features, segments
from ..graph import Graph


class BatchNorm(nn.Module):
    """Each feature is normalised over all nodes, whatever their graph.

    x'[v] = (x[v] − E[x]) / √(Var[x] + ε) ⊙ γ + β

    with E and Var over the N nodes in training, and their running averages in evaluation. γ, β are
    the parameters `module.weight` and `module.bias`, ε is `eps`. The parameters and their names are
    PyG's.

    Fewer than two nodes have no variance. In training they too are normalised by the running
    averages, which stay as they are; so a last mini-batch of one node does no harm. Without running
    averages they give β.

    `norm(x, graph)`: x [N, in_channels] → [N, in_channels].

    Args:
        in_channels: features of a node.
        eps: ε.
        momentum: the share of a mini-batch in the running averages; None: the mean of all.
        affine: learn γ and β; otherwise they are 1 and 0.
        track_running_stats: keep running averages; otherwise evaluation takes E and Var as training
            does.

    Raises:
        TypeError: an x that is no floating tensor, or a graph of another kind.
        ValueError: an x of another shape than [num_nodes, in_channels].

    Paper: "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift" (Ioffe and Szegedy, ICML 2015).

    Example:
        >>> graph = Graph([[0], [1]], x=torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
        >>> BatchNorm(2)(graph.x, graph).detach().round(decimals=3)
        tensor([[-1., -1.],
                [ 1.,  1.]])
    """

    def __init__(
        self,
        in_channels: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.module = nn.BatchNorm1d(in_channels, eps, momentum, affine, track_running_stats)

    def reset_parameters(self) -> None:
        """γ = 1, β = 0, and running averages of nothing."""
        self.module.reset_parameters()

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        segments(x, graph)
        check_features(x, self.in_channels)
        if x.shape[0] >= 2 or not (self.training or self.module.running_mean is None):
            return self.module(x)
        return self._of_few(x)

    def _of_few(self, x: Tensor) -> Tensor:
        of = self.module
        mean = x if of.running_mean is None else of.running_mean
        variance = torch.zeros_like(mean) if of.running_var is None else of.running_var
        out = (x - mean) * (variance + of.eps).rsqrt()
        out = out if of.weight is None else out * of.weight + of.bias
        return out.to(x.dtype)

    def extra_repr(self) -> str:
        return f"in_channels={self.in_channels}"
