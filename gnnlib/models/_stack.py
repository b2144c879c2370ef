"""The shape that most models share: dropout, conv, activation, layer upon layer."""

from collections.abc import Callable, Iterable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import check_dropout, unknown_choice
from .._resolve import as_features
from ..features import SparseFeatures, dropout
from ..graph import Graph
from ..linear import Linear
from .jumping_knowledge import MODES, JumpingKnowledge


class Stack(nn.Module):
    """h ← activation(conv(dropout(h), graph)) for each conv; the last one has no activation.

    With `jk` the last one has it too, and a final Linear `lin` reads the last layer ('last') or
    what `JumpingKnowledge` makes of all of them ('cat', 'max', 'lstm').

    Args:
        convs: the layers.
        dropout: probability that an input of a layer is dropped in training.
        activation: the activation.
        jk: None, 'last', 'cat', 'max' or 'lstm'.
        channels: features of each layer's result, where jk is given.
        out_channels: outputs of `lin`.
    """

    def __init__(
        self,
        convs: Iterable[nn.Module],
        dropout: float,
        activation: Callable[[Tensor], Tensor] = F.relu,
        jk: str | None = None,
        channels: int = 0,
        out_channels: int = 0,
    ):
        super().__init__()
        check_dropout(dropout)
        if jk not in (None, "last", *MODES):
            raise unknown_choice("jk", jk, ("None", "last", *MODES))
        self.convs = nn.ModuleList(convs)
        self.dropout = dropout
        self.activation = activation
        self.jk = self.lin = None
        if jk is not None:
            num_layers = len(self.convs)
            self.jk = None if jk == "last" else JumpingKnowledge(jk, channels, num_layers)
            self.lin = Linear(channels * (num_layers if jk == "cat" else 1), out_channels)

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
        return self.read(self.embed(x, graph, edge_weight, edge_attr))

    def embed(
        self,
        x: Tensor | SparseFeatures,
        graph: Graph,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
    ) -> Tensor:
        """What the convs make of x: with `jk` that is what `lin` reads, else the logits."""
        given = {"edge_weight": edge_weight, "edge_attr": edge_attr}
        edge = {name: value for name, value in given.items() if value is not None}
        first, *others = self.convs
        h = first(dropout(as_features(x), self.dropout, self.training), graph, **edge)
        found = []
        for conv in others:
            h = self.activation(h)
            if self.jk is not None:
                found.append(h)
            h = conv(F.dropout(h, self.dropout, self.training), graph, **edge)
        if self.lin is None:
            return h
        h = self.activation(h)
        return h if self.jk is None else self.jk([*found, h])

    def read(self, h: Tensor) -> Tensor:
        """The logits of what `embed` gives."""
        return h if self.lin is None else self.lin(F.dropout(h, self.dropout, self.training))

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for module in (*self.convs, self.jk, self.lin):
            if module is not None:
                module.reset_parameters()  # pyright: ignore[reportCallIssue]


def layer_widths(
    inputs: int, hidden: int, outputs: int, num_layers: int, jk: str | None = None
) -> list[tuple[int, int]]:
    """(in, out) of each layer; every layer has `hidden` outputs, but the last where jk is None.

    Example:
        >>> layer_widths(1433, 16, 7, num_layers=3)
        [(1433, 16), (16, 16), (16, 7)]
        >>> layer_widths(1433, 16, 7, num_layers=2, jk="cat")
        [(1433, 16), (16, 16)]
    """
    if num_layers < 1:
        raise ValueError(f"num_layers must be at least 1, got {num_layers}")
    widths = [inputs, *[hidden] * (num_layers - 1), outputs if jk is None else hidden]
    return list(pairwise(widths))
