"""The implicit graph neural network of Gu et al."""

from torch import nn
from torch.nn import functional as F

from ..conv import IGNNConv
from ..fixed_point import Stop
from ._stack import Stack, layer_widths


class IGNN(Stack):
    """Implicit layers, each the fixed point of its own graph layer, and a linear map at the end.

    H = φ(Â H Ŵᵀ + X Ωᵀ + b) with H on both sides, then the next layer or the logits.

    `model(x, graph, edge_weight=None)`: x [N, in_channels] → logits [N, out_channels]. The layers
    are `convs`, see `gnnlib.conv.IGNNConv`; `lin` reads the last state. One layer sees as far as
    κ lets it; the paper has one.

    Args:
        in_channels: features of a node.
        hidden_channels: size of a state.
        out_channels: outputs of a node, its classes.
        num_layers: number of implicit layers.
        dropout: probability that an input of a layer is dropped in training.
        kappa: κ, strictly between 0 and 1; a state reaches about 1 / (1 − κ) edges far.
        tol: relative residual at which a solve ends.

    Raises:
        ValueError: num_layers < 1, dropout outside [0, 1), kappa outside (0, 1), or a tol that is
            not positive.

    From "Implicit Graph Neural Networks" (Gu, Chang, Zhu, Sojoudi and El Ghaoui, NeurIPS 2020).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> IGNN(4, 16, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 1,
        dropout: float = 0.5,
        kappa: float = 0.95,
        tol: float = 1e-6,
    ):
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers, jk="last")
        convs = [IGNNConv(a, b, kappa, stop=Stop(tol=tol)) for a, b in widths]
        super().__init__(convs, dropout, F.relu, "last", hidden_channels, out_channels)

    def transition_parameters(self) -> list[nn.Parameter]:
        """The parameters inside the fixed points, which learn best at a tenth of the rate."""
        return [p for conv in self.convs for p in conv.transition_parameters()]  # pyright: ignore[reportCallIssue]
