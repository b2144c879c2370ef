"""APPNP: propagation by personalised PageRank, of Gasteiger et al."""

import torch
from torch import Tensor, nn

from .. import ops
from .._errors import check_dropout
from .._resolve import as_features, resolve
from ..features import SparseFeatures
from ._norm import check_count, gcn_norm, hop, hops


class APPNP(nn.Module):
    """Personalised PageRank by K power iterations: each step mixes the neighbours with the start.

    h₀ = x,  hₖ₊₁ = (1 − α) S hₖ + α x,  x' = h_K,  S[i, j] = e[ji] / sqrt(d[j] d[i])

    where α is `alpha`, e[ji] is `edge_weight` (1 by default) and d[i] = Σ_j e[ji] the weighted
    in-degree, self-loops included. The layer has no parameters; `gnnlib.models.APPNP` puts a
    perceptron before it.

    Args:
        K: number of iterations.
        alpha: α, the probability of going back to the start.
        dropout: probability that an entry of S is dropped in training, anew in each iteration.
        add_self_loops: give each node without a self-loop one of weight 1.
        normalize: False takes S[i, j] = e[ji], and adds no loops.

    Shapes:
        x: [N, F], dense or sparse (densified); edge_weight: [E]; result: [N, F].

    Raises:
        ValueError: for a wrong number of rows, K < 0, or an alpha or dropout out of range.

    Paper: "Predict then Propagate: Graph Neural Networks meet Personalized PageRank", ICLR 2019.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> APPNP(K=10, alpha=0.5)(graph.x, graph)
        tensor([[0.6923, 0.0769, 0.2308],
                [0.2308, 0.6923, 0.0769],
                [0.0769, 0.2308, 0.6923]])
    """

    def __init__(
        self,
        K: int,
        alpha: float,
        dropout: float = 0.0,
        add_self_loops: bool = True,
        normalize: bool = True,
    ):
        super().__init__()
        check_count("K", K, least=0)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be in [0, 1], got {alpha}")
        check_dropout(dropout)
        self.K = K
        self.alpha = alpha
        self.dropout = dropout
        self.add_self_loops = add_self_loops
        self.normalize = normalize

    def reset_parameters(self) -> None:
        """There are none; every layer has this method."""

    def forward(self, x, graph, edge_weight: Tensor | None = None) -> Tensor:
        x = as_features(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        start = x.to_dense() if isinstance(x, SparseFeatures) else x
        scale = None
        if self.normalize:
            adj, edge_weight, scale = gcn_norm(adj, edge_weight, x.dtype, self.add_self_loops)
        if not (self.training and self.dropout > 0):
            return hops(adj, start, self.K, edge_weight, scale, self.alpha)
        if edge_weight is None:
            edge_weight = torch.ones(adj.num_edges, dtype=x.dtype, device=adj.device)
        h = start
        for _ in range(self.K):
            # An entry of S is 0 exactly where its edge weight is, so these may be dropped instead.
            h = hop(adj, h, ops.edge_dropout(edge_weight, self.dropout), scale)
            h = h.lerp(start.to(h.dtype), self.alpha)
        return h

    def extra_repr(self) -> str:
        return f"K={self.K}, alpha={self.alpha}"
