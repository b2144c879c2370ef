"""Predict, then propagate to the limit."""

from .. import conv
from ..fixed_point import Stop
from ._propagated import PropagatedPerceptron


class PPNP(PropagatedPerceptron):
    """A perceptron predicts from each node's features, personalised PageRank spreads the result.

    H = MLP(X), then Z = α (I − (1 − α) D^-1/2 (A + I)ᵀ D^-1/2)⁻¹ H, the limit of APPNP.

    `model(x, graph, edge_weight=None)`: x [N, in_channels] → logits [N, out_channels]. The layers
    of the perceptron are `lins`, with a ReLU between them; the propagation, `gnnlib.conv.PPNP`,
    has no parameters.

    Args:
        in_channels: features of a node.
        hidden_channels: features between the layers.
        out_channels: outputs of a node, its classes.
        num_layers: number of Linear layers.
        alpha: α, the probability of going back to the node's own prediction.
        dropout: probability that an input of a layer is dropped in training.
        tol: relative residual at which a solve ends.

    Raises:
        ValueError: num_layers < 1, alpha outside (0, 1], dropout outside [0, 1), or a tol that is
            not positive.

    From "Predict then Propagate: Graph Neural Networks meet Personalized PageRank" (Gasteiger,
    Bojchevski and Günnemann, ICLR 2019).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> PPNP(4, 16, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        alpha: float = 0.1,
        dropout: float = 0.5,
        tol: float = 1e-6,
    ):
        propagation = conv.PPNP(alpha, stop=Stop(tol=tol))
        super().__init__(
            in_channels, hidden_channels, out_channels, num_layers, dropout, propagation
        )
