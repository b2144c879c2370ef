"""The graph attention network."""

from functools import partial

from torch.nn import functional as F

from ..conv import GATConv, GATv2Conv
from ._stack import Stack, layer_widths


class GAT(Stack):
    """Layers of h'_i = ELU(‖_k Σ_{j → i} α_ij^k W^k h_j), heads k side by side.

    `model(x, graph, edge_attr=None)`: x [N, in_channels] → logits [N, out_channels]. The last
    layer has no ELU and averages its heads; with `jk` it is like the others.

    Args:
        in_channels: features of a node.
        hidden_channels: features of one head between the layers, which are
            heads · hidden_channels wide.
        out_channels: outputs of a node, its classes.
        num_layers: number of GATConv (or GATv2Conv) layers.
        heads: attention heads of every layer but the last.
        output_heads: attention heads of the last layer, where it gives the logits.
        dropout: probability that an input of a layer, or an attention weight, is dropped in
            training.
        negative_slope: slope of the LeakyReLU in the attention scores.
        edge_dim: features of `edge_attr`, which then takes part in every layer's scores.
        v2: GATv2Conv in place of GATConv: scores a·LeakyReLU(W h), by which each node ranks its
            neighbours in its own way.
        jk: how the layers are joined before a final Linear: 'last', 'cat', 'max' or 'lstm', as in
            `JumpingKnowledge`. None: the last layer gives the logits.

    Raises:
        ValueError: num_layers < 1, dropout outside [0, 1), heads < 1, or an unknown jk.

    From "Graph Attention Networks" (Veličković et al., ICLR 2018); v2 from "How Attentive are Graph
    Attention Networks?" (Brody, Alon and Yahav, ICLR 2022).

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
        v2: bool = False,
        jk: str | None = None,
    ):
        options = {"dropout": dropout, "negative_slope": negative_slope, "edge_dim": edge_dim}
        conv = partial(GATv2Conv if v2 else GATConv, **options)
        hidden = heads * hidden_channels
        widths = layer_widths(in_channels, hidden, out_channels, num_layers, jk)
        inner = widths[:-1] if jk is None else widths
        convs = [conv(a, hidden_channels, heads) for a, _ in inner]
        if jk is None:
            convs.append(conv(*widths[-1], heads=output_heads, concat=False))
        super().__init__(convs, dropout, F.elu, jk, channels=hidden, out_channels=out_channels)
