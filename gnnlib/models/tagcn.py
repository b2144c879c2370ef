"""The topology adaptive graph convolutional network."""

from ..conv import TAGConv
from ._stack import Stack, layer_widths


class TAGCN(Stack):
    """Layers of H' = ReLU(Σ_{k≤K} (D^-1/2 Aᵀ D^-1/2)^k · dropout(H) · W_k), the last without ReLU.

    `model(x, graph, edge_weight=None)`: x [N, in_channels] → logits [N, out_channels].

    Args:
        in_channels: features of a node.
        hidden_channels: features between the layers.
        out_channels: outputs of a node, its classes.
        num_layers: number of TAGConv layers.
        K: number of hops of each layer.
        dropout: probability that an input of a layer is dropped in training.
        jk: how the layers are joined before a final Linear: 'last', 'cat', 'max' or 'lstm', as in
            `JumpingKnowledge`. None: the last layer gives the logits.

    Raises:
        ValueError: num_layers < 1, K < 0, dropout outside [0, 1), or an unknown jk.

    From "Topology Adaptive Graph Convolutional Networks" (Du et al., 2017).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> TAGCN(4, 16, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        K: int = 3,
        dropout: float = 0.5,
        jk: str | None = None,
    ):
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers, jk)
        convs = [TAGConv(a, b, K) for a, b in widths]
        super().__init__(convs, dropout, jk=jk, channels=hidden_channels, out_channels=out_channels)
