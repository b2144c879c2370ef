"""The network of Chebyshev filters."""

from ..conv import ChebConv
from ._stack import Stack, layer_widths


class ChebNet(Stack):
    """Layers of H' = ReLU(Σ_{k<K} T_k(2 L / λ − 1) · dropout(H) · W_k), the last one without ReLU.

    `model(x, graph, edge_weight=None)`: x [N, in_channels] → logits [N, out_channels].

    Args:
        in_channels: features of a node.
        hidden_channels: features between the layers.
        out_channels: outputs of a node, its classes.
        num_layers: number of ChebConv layers.
        K: terms of each filter, which reach K − 1 hops.
        normalization: of the Laplacian L: 'sym', 'rw' or None.
        dropout: probability that an input of a layer is dropped in training.
        jk: how the layers are joined before a final Linear: 'last', 'cat', 'max' or 'lstm', as in
            `JumpingKnowledge`. None: the last layer gives the logits.

    Raises:
        ValueError: num_layers or K < 1, dropout outside [0, 1), an unknown normalization or jk.

    From "Convolutional Neural Networks on Graphs with Fast Localized Spectral Filtering"
    (Defferrard, Bresson and Vandergheynst, NeurIPS 2016).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> ChebNet(4, 16, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        K: int = 3,
        normalization: str | None = "sym",
        dropout: float = 0.5,
        jk: str | None = None,
    ):
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers, jk)
        convs = [ChebConv(a, b, K, normalization) for a, b in widths]
        super().__init__(convs, dropout, jk=jk, channels=hidden_channels, out_channels=out_channels)
