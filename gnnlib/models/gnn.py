"""The graph neural network of Scarselli et al., with a perceptron before it."""

from typing import Literal

from torch import Tensor, nn

from .._errors import check_dropout
from .._resolve import as_features, resolve
from ..conv import GNNConv
from ..features import SparseFeatures, dropout
from ..fixed_point import Contraction, Stop
from ..graph import Graph
from ..linear import Linear
from ._stack import layer_widths


class GNN(nn.Module):
    """A perceptron reads each node's features; the states that agree with it along the edges are
    the fixed point of a contraction, found exactly and differentiated exactly.

    H = C H Ŵᵀ + (1 − κ) MLP(X)

    `model(x, graph, edge_weight=None)`: x [N, in_channels] → logits [N, out_channels]. `convs` are
    the layers of the perceptron, with a ReLU between them; the last is a `gnnlib.conv.GNNConv`,
    whose own linear map of its input is the perceptron's last. Its weight W, which mixes the
    classes of the neighbours, starts as κ I. There, with aggr="sym" on an undirected graph, the
    model is PPNP with α = 1 − κ.

    Args:
        in_channels: features of a node.
        hidden_channels: features between the layers of the perceptron.
        out_channels: outputs of a node, its classes.
        num_layers: number of linear maps of the perceptron.
        dropout: probability that an input of a layer is dropped in training.
        kappa: κ, strictly between 0 and 1: the bound of the contraction. What a node sends reaches
            about 1 / (1 − κ) edges far.
        aggr: C, "sym", "mean", "sum" or "attention".
        state_channels: size of a state, from which a linear map reads the logits; None: the states
            are the logits.
        transition: "linear", as above, or "mlp".
        contraction: how W is bounded: "spectral", "inf_projection" or "penalty". The last, of the
            2009 paper, adds `penalty(graph)` to the loss and guarantees nothing.
        tol: relative residual at which a solve ends.

    Raises:
        ValueError: num_layers < 1, dropout outside [0, 1), kappa outside (0, 1), an unknown
            option, or a tol that is not positive.
        FixedPointDivergence: in training with "penalty", when W has left the ball too far.

    From "The Graph Neural Network Model" (Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, IEEE
    TNN 20(1), 2009).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> GNN(4, 16, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
        kappa: float = 0.9,
        aggr: Literal["sym", "mean", "sum", "attention"] = "sym",
        state_channels: int | None = None,
        transition: Literal["linear", "mlp"] = "linear",
        contraction: Literal["spectral", "inf_projection", "penalty"] = "spectral",
        tol: float = 1e-6,
    ):
        super().__init__()
        check_dropout(dropout)
        *widths, (last, _) = layer_widths(in_channels, hidden_channels, out_channels, num_layers)
        conv = GNNConv(
            last,
            out_channels if state_channels is None else state_channels,
            None if state_channels is None else out_channels,
            aggr=aggr,
            transition=transition,
            contraction=Contraction(kappa, contraction),
            stop=Stop(tol=tol),
        )
        self.convs = nn.ModuleList([*(Linear(a, b) for a, b in widths), conv])
        self.dropout = dropout

    def forward(
        self, x: Tensor | SparseFeatures, graph: Graph, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Logits [N, out_channels] of node features x [N, in_channels]."""
        x = as_features(x)
        resolve(graph, x, edge_weight=edge_weight)  # the rows, as they came
        *lins, conv = self.convs
        h = x
        for lin in lins:
            h = lin(dropout(h, self.dropout, self.training)).relu()
        return conv(dropout(h, self.dropout, self.training), graph, edge_weight)

    def transition_parameters(self) -> list[nn.Parameter]:
        """The parameters inside the fixed point, which learn best at a tenth of the rate."""
        return self.convs[-1].transition_parameters()  # pyright: ignore[reportCallIssue]

    def penalty(self, graph: Graph) -> Tensor | None:
        """What contraction="penalty" adds to the loss; None for the others."""
        return self.convs[-1].penalty(graph)  # pyright: ignore[reportCallIssue]

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for conv in self.convs:
            conv.reset_parameters()  # pyright: ignore[reportCallIssue]
