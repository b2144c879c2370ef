"""The shape that all four models share: dropout, conv, activation, layer upon layer."""

from collections.abc import Callable, Iterable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from .._resolve import as_features
from ..features import SparseFeatures, dropout
from ..graph import Graph


class Stack(nn.Module):
    """h ← activation(conv(dropout(h), graph)) for each conv; the last one has no activation."""

    def __init__(
        self,
        convs: Iterable[nn.Module],
        dropout: float,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        self.convs = nn.ModuleList(convs)
        self.dropout = dropout
        self.activation = activation

    def forward(
        self,
        x: Tensor | SparseFeatures,
        graph: Graph,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
    ) -> Tensor:
        """Logits [N, out_channels] of node features x [N, in_channels].

        Edge tensors go to every conv; one that has no such parameter raises a TypeError.
        """
        given = {"edge_weight": edge_weight, "edge_attr": edge_attr}
        edge = {name: value for name, value in given.items() if value is not None}
        first, *others = self.convs
        h = first(dropout(as_features(x), self.dropout, self.training), graph, **edge)
        for conv in others:
            h = F.dropout(self.activation(h), self.dropout, self.training)
            h = conv(h, graph, **edge)
        return h

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for conv in self.convs:
            conv.reset_parameters()  # pyright: ignore[reportCallIssue]


def layer_widths(inputs: int, hidden: int, outputs: int, num_layers: int) -> list[tuple[int, int]]:
    """(in, out) of each layer; every layer but the last has `hidden` outputs.

    Example:
        >>> layer_widths(1433, 16, 7, num_layers=3)
        [(1433, 16), (16, 16), (16, 7)]
    """
    if num_layers < 1:
        raise ValueError(f"num_layers must be at least 1, got {num_layers}")
    widths = [inputs, *[hidden] * (num_layers - 1), outputs]
    return list(pairwise(widths))
