"""Readout: a model of nodes becomes one of graphs."""

from typing import Literal

from torch import Tensor, nn

from .._errors import chosen_reduce
from ..conv.gin_conv import reset_network
from ..features import SparseFeatures
from ..graph import Graph
from ..pool import global_max_pool, global_mean_pool, global_sum_pool
from ._stack import Stack
from ._wrapper import Wrapper

POOLS = {"sum": global_sum_pool, "mean": global_mean_pool, "max": global_max_pool}


class Readout(Wrapper):
    """One row per graph: what a model finds in the nodes, pooled, and then read by a network.

    out[b] = head(pool over the nodes v of graph b of h[v]),  h = model(x, graph)

    A model of gnnlib with `jk` is pooled before its last Linear, which so reads graphs. With
    jk='cat' and pool='sum' that is the readout of Xu et al., without the features themselves as a
    layer: Σ over the layers k of W_k Σ over v of h⁽ᵏ⁾[v], and a bias.

    `model(x, graph)`: x [N, in_channels] → [B, …]; a Graph is one graph.

    Args:
        model: any module called `model(x, graph, …)` that gives rows of nodes.
        pool: 'sum', 'mean', 'max', or a module called `pool(x, graph)`, such as `GlobalAttention`.
        head: a module for the pooled rows, such as a perceptron. None: they are the result.

    Raises:
        ValueError: an unknown pool.

    From "How Powerful are Graph Neural Networks?" (Xu, Hu, Leskovec and Jegelka, ICLR 2019).

    Example:
        >>> import torch
        >>> from gnnlib import Batch
        >>> from gnnlib.models import GIN
        >>> molecule = Graph([[0, 1], [1, 2]], x=torch.randn(3, 9), edge_attr=torch.randn(2, 4))
        >>> batch = Batch.from_graphs([molecule, molecule])
        >>> model = Readout(GIN(9, 32, 1, num_layers=3, edge_dim=4, jk="cat"))
        >>> model(batch.x, batch).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        model: nn.Module,
        pool: Literal["sum", "mean", "max"] | nn.Module = "sum",
        head: nn.Module | None = None,
    ):
        super().__init__(model)
        self.pool = pool if isinstance(pool, nn.Module) else chosen_reduce("pool", pool, POOLS)
        self.head = head

    def forward(self, x: Tensor | SparseFeatures, graph: Graph, **edge: Tensor) -> Tensor:
        """Outputs [B, …] of node features x; edge tensors go to the model."""
        model, pool = self.model, self.pool
        pool = POOLS[pool] if isinstance(pool, str) else pool
        if isinstance(model, Stack):
            out = model.read(pool(model.embed(x, graph, **edge), graph))
        else:
            out = pool(model(x, graph, **edge), graph)
        return out if self.head is None else self.head(out)

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for part in self.children():
            reset_network(part)

    def extra_repr(self) -> str:
        return f"pool={self.pool!r}" if isinstance(self.pool, str) else ""
