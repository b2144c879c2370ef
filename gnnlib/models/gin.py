"""The graph isomorphism network."""

from torch import nn

from ..conv import GINConv, GINEConv
from ..linear import Linear
from ._stack import Stack, layer_widths


class GIN(Stack):
    """Layers of h'_i = MLP((1 + ε) h_i + Σ_{j → i} h_j), each MLP Linear, BatchNorm, ReLU, Linear.

    With `edge_dim` an edge takes part in each layer, as in `GINEConv`: Σ ReLU(h_j + W e_ji + b).

    `model(x, graph, edge_attr=None)`: x [N, in_channels] → logits [N, out_channels]. The last MLP
    gives the logits; a ReLU stands between the layers.

    Args:
        in_channels: features of a node.
        hidden_channels: features between the layers and inside each MLP.
        out_channels: outputs of a node, its classes.
        num_layers: number of GINConv layers.
        dropout: probability that an input of a layer is dropped in training.
        train_eps: learn ε; otherwise it is 0.
        jk: how the layers are joined before a final Linear: 'last', 'cat', 'max' or 'lstm', as in
            `JumpingKnowledge`. None: the last layer gives the logits.
        edge_dim: features of an edge, which `edge_attr` has then; None: there are none.

    Raises:
        ValueError: num_layers < 1, dropout outside [0, 1), or an unknown jk.

    From "How Powerful are Graph Neural Networks?" (Xu, Hu, Leskovec and Jegelka, ICLR 2019).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> GIN(4, 16, 2)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
        train_eps: bool = False,
        jk: str | None = None,
        edge_dim: int | None = None,
    ):
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers, jk)
        mlps = [_mlp(a, hidden_channels, b) for a, b in widths]
        if edge_dim is None:
            convs = [GINConv(mlp, train_eps=train_eps) for mlp in mlps]
        else:
            convs = [GINEConv(mlp, train_eps=train_eps, edge_dim=edge_dim) for mlp in mlps]
        super().__init__(convs, dropout, jk=jk, channels=hidden_channels, out_channels=out_channels)


def _mlp(in_channels: int, hidden_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        Linear(in_channels, hidden_channels),
        nn.BatchNorm1d(hidden_channels),
        nn.ReLU(),
        Linear(hidden_channels, out_channels),
    )
