"""Predict, then propagate to the limit."""

from torch import Tensor, nn
from torch.nn import functional as F

from .. import conv
from .._errors import check_dropout
from .._resolve import as_features, resolve
from ..features import SparseFeatures, dropout
from ..fixed_point import Stop
from ..graph import Graph
from ..linear import Linear
from ._stack import layer_widths


class PPNP(nn.Module):
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
        super().__init__()
        check_dropout(dropout)
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers)
        self.lins = nn.ModuleList(Linear(a, b) for a, b in widths)
        self.propagation = conv.PPNP(alpha, stop=Stop(tol=tol))
        self.dropout = dropout

    @property
    def convs(self) -> nn.ModuleList:
        """The layers that have parameters: what `TrainConfig.decay_layers` counts."""
        return self.lins

    def forward(
        self, x: Tensor | SparseFeatures, graph: Graph, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Logits [N, out_channels] of node features x [N, in_channels]."""
        x = as_features(x)
        resolve(graph, x, edge_weight=edge_weight)  # the rows, as they came
        first, *others = self.lins
        h = first(dropout(x, self.dropout, self.training))
        for lin in others:
            h = lin(F.dropout(h.relu(), self.dropout, self.training))
        return self.propagation(h, graph, edge_weight)

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for lin in self.lins:
            lin.reset_parameters()  # pyright: ignore[reportCallIssue]
