"""Columns of whole numbers as one-hot features."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .._validate import as_size
from ..features import SparseFeatures
from ..graph import Graph


@dataclass(frozen=True)
class OneHotFeatures:
    """Makes the columns of x, and of edge_attr, one-hot: x'_i = [e_{x_i1}, …, e_{x_iK}].

    Column k holds categories, the integers from 0 to n_k − 1, and becomes n_k columns. Molecules
    have such features.

    Args:
        x: n_k for each of the K columns of x; None: x stays.
        edge_attr: the same for edge_attr.

    Shapes:
        x: [N, K] integers becomes [N, Σ n_k] of the default dtype; edge_attr [E, K] likewise.

    Raises:
        ValueError: a column too many or too few, or a number that is no category of its column.
        TypeError: a tensor that is not of integers.

    Example:
        >>> import torch
        >>> graph = Graph([[0], [1]], x=torch.tensor([[0, 2], [1, 0]]))
        >>> OneHotFeatures(x=(2, 3))(graph).x
        tensor([[1., 0., 0., 0., 1.],
                [0., 1., 1., 0., 0.]])
    """

    x: tuple[int, ...] | None = None
    edge_attr: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("x", "edge_attr"):
            sizes = getattr(self, name)
            if sizes is not None:
                sizes = tuple(as_size(f"{name}[{k}]", size) for k, size in enumerate(sizes))
                object.__setattr__(self, name, sizes)

    def __call__(self, graph: Graph) -> Graph:
        sizes = {"x": self.x, "edge_attr": self.edge_attr}
        wanted = {name: size for name, size in sizes.items() if size is not None}
        for name in wanted:
            if name not in graph:
                raise ValueError(f"{name} must be there to be made one-hot; the graph has none")
        return graph.replace(
            **{name: _one_hot(name, graph[name], sizes) for name, sizes in wanted.items()}
        )


def _one_hot(name: str, columns: Tensor | SparseFeatures, sizes: Sequence[int]) -> Tensor:
    if not isinstance(columns, Tensor) or columns.is_floating_point() or columns.is_complex():
        kind = columns.dtype if isinstance(columns, Tensor) else type(columns).__name__
        raise TypeError(f"{name} must hold integers to be made one-hot, got {kind}")
    if columns.ndim != 2 or columns.shape[1] != len(sizes):
        raise ValueError(
            f"{name} must have {len(sizes)} columns of categories, got shape {tuple(columns.shape)}"
        )
    ends = torch.tensor(sizes, device=columns.device)
    bad = (columns < 0) | (columns >= ends)
    if bad.any():
        row, k = bad.nonzero()[0].tolist()
        raise ValueError(
            f"column {k} of {name} must hold categories in [0, {sizes[k]}), got "
            f"{columns[row, k].item()} in row {row}"
        )
    dtype = torch.get_default_dtype()
    each = [F.one_hot(column.long(), n).to(dtype) for column, n in zip(columns.T, sizes)]
    return torch.cat(each, dim=1) if each else columns.new_empty(len(columns), 0, dtype=dtype)
