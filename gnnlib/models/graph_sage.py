"""GraphSAGE on the full graph."""

from ..conv import SAGEConv
from ._stack import Stack, layer_widths


class GraphSAGE(Stack):
    """Layers of h'_i = ReLU(W_r h_i + W_l · aggr_{j → i} h_j), the last one without ReLU.

    `model(x, graph)`: x [N, in_channels] → logits [N, out_channels].

    Args:
        in_channels: features of a node.
        hidden_channels: features between the layers.
        out_channels: outputs of a node, its classes.
        num_layers: number of SAGEConv layers.
        dropout: probability that an input of a layer is dropped in training.
        aggr: how neighbours are aggregated: "mean", "max" or "sum".
        jk: how the layers are joined before a final Linear: 'last', 'cat', 'max' or 'lstm', as in
            `JumpingKnowledge`. None: the last layer gives the logits.

    Raises:
        ValueError: num_layers < 1, dropout outside [0, 1), or an unknown aggr or jk.

    From "Inductive Representation Learning on Large Graphs" (Hamilton, Ying and Leskovec,
    NeurIPS 2017), without its sampling of neighbours.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> GraphSAGE(4, 16, 2, aggr="max")(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
        aggr: str = "mean",
        jk: str | None = None,
    ):
        widths = layer_widths(in_channels, hidden_channels, out_channels, num_layers, jk)
        convs = [SAGEConv(a, b, aggr=aggr) for a, b in widths]
        super().__init__(convs, dropout, jk=jk, channels=hidden_channels, out_channels=out_channels)
