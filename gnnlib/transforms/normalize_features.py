"""Rows of x that sum to one."""

import torch

from ..features import SparseFeatures
from ..graph import Graph


class NormalizeFeatures:
    """Divides each row of `graph.x` by its sum: x'_i = x_i / Σ_f x_if.

    A row that sums to zero (a document without words) stays as it is. Made for bags of words, so
    x, a Tensor [N, F] or SparseFeatures, must not be negative.

    Raises:
        ValueError: the graph has no x, or x has a negative entry.

    From "Semi-Supervised Classification with Graph Convolutional Networks" (Kipf and Welling,
    ICLR 2017), whose experiments row-normalise their features.

    Example:
        >>> import torch
        >>> from gnnlib import Graph
        >>> graph = Graph(torch.tensor([[0], [1]]), x=torch.tensor([[1.0, 3.0], [0.0, 0.0]]))
        >>> NormalizeFeatures()(graph).x
        tensor([[0.2500, 0.7500],
                [0.0000, 0.0000]])
    """

    def __call__(self, graph: Graph) -> Graph:
        if "x" not in graph:
            raise ValueError("NormalizeFeatures needs graph.x, which this graph does not have")
        x = graph.x
        sparse = isinstance(x, SparseFeatures)
        entries = x.values if sparse else x
        if (entries < 0).any():
            count = int((entries < 0).sum())
            raise ValueError(f"x must not be negative to be normalised: {count} entries are")
        total = x.row_sum() if sparse else x.sum(dim=-1)
        scale = torch.where(total > 0, total, 1).reciprocal()
        return graph.replace(x=x.scale_rows(scale) if sparse else x * scale.unsqueeze(-1))

    def __repr__(self) -> str:
        return "NormalizeFeatures()"
