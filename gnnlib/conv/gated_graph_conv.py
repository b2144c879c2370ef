"""GatedGraphConv: the gated graph neural network of Li et al."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import ops
from .._errors import chosen_reduce
from .._resolve import as_features, check_matrices, resolve
from ..features import SparseFeatures
from ._norm import check_count

AGGREGATIONS = ("sum", "mean", "max")


class GatedGraphConv(nn.Module):
    """A gated recurrent unit reads the messages: the unrolled descendant of the fixed-point GNN.

    h⁰ = [x, 0],  mᵗ[i] = aggr over j in N(i) of e[ji] · hᵗ⁻¹[j] Θᵗ,  hᵗ[i] = GRU(mᵗ[i], hᵗ⁻¹[i])

    for t = 1 … `num_layers`, where Θᵗ is `weight[t - 1]`, e[ji] is `edge_weight` (1 by default) and
    the GRU, `rnn`, is the same in every step. The result is h after the last step.

    Args:
        out_channels: features of the state and of the result; x is filled up to it with zeros.
        num_layers: number of steps.
        aggr: 'sum', 'mean' (divides by the edge count) or 'max'.
        bias: False leaves the biases of the GRU out.

    Shapes:
        x: [N, F] with F ≤ out_channels, dense or sparse (densified); edge_weight: [E];
        result: [N, out_channels].

    Raises:
        ValueError: for a wrong number of rows, more features than out_channels, or an unknown aggr.

    Paper: "Gated Graph Sequence Neural Networks", ICLR 2016.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> GatedGraphConv(8, num_layers=5)(graph.x, graph).shape
        torch.Size([3, 8])
    """

    def __init__(self, out_channels: int, num_layers: int, aggr: str = "add", bias: bool = True):
        super().__init__()
        check_count("out_channels", out_channels, least=1)
        check_count("num_layers", num_layers, least=1)
        self.out_channels = out_channels
        self.num_layers = num_layers
        self.aggr = chosen_reduce("aggr", aggr, AGGREGATIONS)
        self.weight = nn.Parameter(torch.empty(num_layers, out_channels, out_channels))
        self.rnn = nn.GRUCell(out_channels, out_channels, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.out_channels**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        self.rnn.reset_parameters()

    def forward(self, x, graph, edge_weight: Tensor | None = None) -> Tensor:
        x = as_features(x)
        check_matrices(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        h = self._start(x.to_dense() if isinstance(x, SparseFeatures) else x)
        for weight in self.weight:
            messages = ops.spmm(
                adj.ptr, adj.col, h @ weight, edge_weight,
                eid=adj.eid, reduce=self.aggr, transpose=adj.transpose,
            )  # fmt: skip
            h = self._gru(messages, h)
        return h

    def _gru(self, messages: Tensor, h: Tensor) -> Tensor:
        # As `self.rnn(messages, h)`, which knows nothing of autocast and torch.func.
        rnn = self.rnn
        read = F.linear(messages, rnn.weight_ih, rnn.bias_ih).chunk(3, dim=1)
        kept = F.linear(h, rnn.weight_hh, rnn.bias_hh).chunk(3, dim=1)
        reset = torch.sigmoid(read[0] + kept[0])
        update = torch.sigmoid(read[1] + kept[1])
        new = torch.tanh(read[2] + reset * kept[2])
        return (new + update * (h - new)).to(messages.dtype)

    def _start(self, x: Tensor) -> Tensor:
        if x.shape[1] > self.out_channels:
            raise ValueError(
                f"x must have at most out_channels={self.out_channels} features, got x of shape"
                f" {tuple(x.shape)}"
            )
        dtype = self.weight.dtype
        if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(
                f"x must have the dtype of the layer's weights, {dtype}, got {x.dtype}: use"
                f" x.to({dtype}) or layer.to({x.dtype})"
            )
        return F.pad(x, (0, self.out_channels - x.shape[1]))

    def extra_repr(self) -> str:
        return f"{self.out_channels}, num_layers={self.num_layers}, aggr={self.aggr!r}"
