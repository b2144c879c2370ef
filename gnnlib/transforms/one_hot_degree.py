"""The degree of each node as features."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .._validate import as_size
from ..adjacency import Adjacency
from ..features import SparseFeatures
from ..graph import Graph


@dataclass(frozen=True)
class OneHotDegree:
    """Appends to x the degree of each node as a one-hot row: x'_i = [x_i, e_d(i)].

    d(i) counts the edges into i, repeated edges and self-loops too. x of shape [N, F] becomes
    [N, F + max_degree + 1]; SparseFeatures stay sparse.

    Args:
        max_degree: the largest degree that has a column.
        in_degree: False counts the edges out of i instead (PyG's default).
        cat: False replaces x. Without x there is nothing to append to either.

    Raises:
        ValueError: a node has a larger degree than `max_degree`.

    Example:
        >>> from gnnlib import Graph
        >>> OneHotDegree(2)(Graph([[0, 1], [2, 2]])).x
        tensor([[1., 0., 0.],
                [1., 0., 0.],
                [0., 0., 1.]])
    """

    max_degree: int
    in_degree: bool = True
    cat: bool = True

    def __post_init__(self) -> None:
        as_size("max_degree", self.max_degree)

    def __call__(self, graph: Graph) -> Graph:
        ends = graph.edge_index[1 if self.in_degree else 0]
        degree = torch.bincount(ends, minlength=graph.num_nodes)
        if (degree > self.max_degree).any():
            node = int(degree.argmax())
            raise ValueError(
                f"max_degree must be at least {int(degree[node])}, the degree of node {node}; got"
                f" {self.max_degree}"
            )
        x = graph.x if self.cat and "x" in graph else None
        if isinstance(x, SparseFeatures):
            return graph.replace(x=_appended(x, degree, self.max_degree + 1))
        dtype = torch.get_default_dtype() if x is None else x.dtype
        columns = F.one_hot(degree, self.max_degree + 1).to(dtype)
        return graph.replace(x=columns if x is None else torch.cat([x, columns], dim=1))


def _appended(x: SparseFeatures, column: torch.Tensor, num_columns: int) -> SparseFeatures:
    """x with a single 1 in each row of `num_columns` columns that come after its own."""
    num_rows, width = x.shape
    rows = torch.arange(num_rows, device=x.device)
    col = torch.cat([x.structure.col.long(), column + width])
    row = torch.cat([x.structure.row.long(), rows])
    structure = Adjacency.from_edge_index(
        torch.stack([col, row]), num_src=width + num_columns, num_dst=num_rows
    )
    return SparseFeatures(structure, torch.cat([x.values, x.values.new_ones(num_rows)]))
