"""What APPNP and PPNP share: a perceptron that predicts, and a propagation of its predictions."""

from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import check_dropout
from .._resolve import as_features, resolve
from ..features import SparseFeatures, dropout
from ..graph import Graph
from ..linear import Linear
from ._stack import layer_widths


class PropagatedPerceptron(nn.Module):
    """Linear maps with ReLU between them, then `propagation(h, graph, edge_weight)`."""

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int,
        dropout: float,
        propagation: nn.Module,
    ):
        super().__init__()
        check_dropout(dropout)
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers)
        self.lins = nn.ModuleList(Linear(a, b) for a, b in widths)
        self.propagation = propagation
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
        resolve(graph, x, edge_weight=edge_weight)  # an error is to speak of x as it came
        first, *others = self.lins
        h = first(dropout(x, self.dropout, self.training))
        for lin in others:
            h = lin(F.dropout(h.relu(), self.dropout, self.training))
        return self.propagation(h, graph, edge_weight)

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for lin in self.lins:
            lin.reset_parameters()  # pyright: ignore[reportCallIssue]
