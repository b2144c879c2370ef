"""The graph attention network."""

from functools import partial

from torch.nn import functional as F

from ..conv import GATConv
from ._stack import Stack, layer_widths


class GAT(Stack):
    """Layers of h'_i = ELU(‖_k Σ_{j → i} α_ij^k W^k h_j), heads k side by side.

    `model(x, graph, edge_attr=None)`: x [N, in_channels] → logits [N, out_channels]. The last
    layer has no ELU and averages its heads.

    Args:
        in_channels: features of a node.
        hidden_channels: features of one head between the layers, which are
            heads · hidden_channels wide.
        out_channels: outputs of a node, its classes.
        num_layers: number of GATConv layers.
        heads: attention heads of every layer but the last.
        output_heads: attention heads of the last layer.
        dropout: probability that an input of a layer, or an attention weight, is dropped in
            training.
        negative_slope: slope of the LeakyReLU in the attention scores.
        edge_dim: features of `edge_attr`, which then takes part in every layer's scores.

    Raises:
        ValueError: num_layers < 1, dropout outside [0, 1), or heads < 1.

    From "Graph Attention Networks" (Veličković et al., ICLR 2018).

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0, 1], [1, 2]]), x=torch.randn(3, 4))
        >>> GAT(4, 8, 2, heads=4)(graph.x, graph).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        heads: int = 8,
        output_heads: int = 1,
        dropout: float = 0.6,
        negative_slope: float = 0.2,
        edge_dim: int | None = None,
    ):
        conv = partial(GATConv, dropout=dropout, negative_slope=negative_slope, edge_dim=edge_dim)
        widths = layer_widths(in_channels, heads * hidden_channels, out_channels, num_layers)
        *inner, last = widths
        convs = [conv(a, hidden_channels, heads) for a, _ in inner]
        convs.append(conv(*last, heads=output_heads, concat=False))
        super().__init__(convs, dropout, F.elu)
