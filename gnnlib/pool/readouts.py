"""Sum, mean and maximum over the nodes of each graph."""

from torch import Tensor

from .. import ops
from .._graphwise import segments
from ..graph import Graph


def global_sum_pool(x: Tensor, graph: Graph) -> Tensor:
    """Sum over the nodes of each graph: out[b] = Σ over nodes v of graph b of x[v].

    Of sum, mean and maximum this is the one that tells most multisets of nodes apart. PyG calls it
    `global_add_pool`.

    Args:
        x: node features, [N, …].
        graph: a Batch, or a Graph, which is one graph.

    Returns:
        [B, …] in the dtype of x; a graph without nodes has 0.

    Raises:
        TypeError: an x that is no floating tensor, or a graph of another kind.
        ValueError: an x without one row per node.

    Example:
        >>> import torch
        >>> from gnnlib import Batch
        >>> pair = Graph([[0], [1]], x=torch.tensor([[1.0], [2.0]]))
        >>> batch = Batch.from_graphs([pair, pair.replace(x=10 * pair.x)])
        >>> global_sum_pool(batch.x, batch)
        tensor([[ 3.],
                [30.]])
    """
    return ops.segment_reduce(segments(x, graph), x, reduce="sum")


def global_mean_pool(x: Tensor, graph: Graph) -> Tensor:
    """Mean over the nodes of each graph: out[b] = (1 / N_b) Σ over nodes v of graph b of x[v].

    Args:
        x: node features, [N, …].
        graph: a Batch, or a Graph, which is one graph.

    Returns:
        [B, …] in the dtype of x; a graph without nodes has 0.

    Raises:
        TypeError, ValueError: as `global_sum_pool`.

    Example:
        >>> import torch
        >>> pair = Graph([[0], [1]], x=torch.tensor([[1.0], [2.0]]))
        >>> global_mean_pool(pair.x, pair)
        tensor([[1.5000]])
    """
    return ops.segment_reduce(segments(x, graph), x, reduce="mean")


def global_max_pool(x: Tensor, graph: Graph) -> Tensor:
    """Maximum over the nodes of each graph, for each feature: out[b] = max over v of x[v].

    The first of equal values takes the gradient.

    Args:
        x: node features, [N, …].
        graph: a Batch, or a Graph, which is one graph.

    Returns:
        [B, …] in the dtype of x; a graph without nodes has 0.

    Raises:
        TypeError, ValueError: as `global_sum_pool`.

    Example:
        >>> import torch
        >>> pair = Graph([[0], [1]], x=torch.tensor([[1.0, 5.0], [2.0, 4.0]]))
        >>> global_max_pool(pair.x, pair)
        tensor([[2., 5.]])
    """
    return ops.segment_reduce(segments(x, graph), x, reduce="max")
