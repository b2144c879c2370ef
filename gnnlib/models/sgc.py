"""The simplified graph convolution."""

from ..conv import SGConv
from ._stack import Stack


class SGC(Stack):
    """One Linear on what K hops average: (D^-1/2 (A + I)ᵀ D^-1/2)^K · dropout(X) · Wᵀ + b.

    `model(x, graph, edge_weight=None)`: x [N, in_channels] → logits [N, out_channels].

    Args:
        in_channels: features of a node.
        out_channels: outputs of a node, its classes.
        K: number of hops.
        dropout: probability that a feature is dropped in training.

    Raises:
        ValueError: K < 0, or dropout outside [0, 1).

    From "Simplifying Graph Convolutional Networks" (Wu et al., ICML 2019).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> SGC(4, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(self, in_channels: int, out_channels: int, K: int = 2, dropout: float = 0.0):
        super().__init__([SGConv(in_channels, out_channels, K)], dropout)
