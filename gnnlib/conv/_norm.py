"""What the convs that multiply by a normalised adjacency share."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from .. import ops
from .._memo import is_tracing
from ..adjacency import Adjacency
from ..features import SparseFeatures
from ..ops._dtypes import accumulate_dtype


def gcn_norm(
    adj: Adjacency,
    edge_weight: Tensor | None,
    dtype: torch.dtype,
    add_self_loops: bool,
    loop_weight: float = 1.0,
) -> tuple[Adjacency, Tensor | None, Tensor]:
    """What the symmetric normalisation D^-½ A D^-½ of GCN multiplies by.

    Returns:
        the adjacency (with loops), its edge weights [E'] or None, and d^-½ [N], the factor of rows
        and columns: float64 for float64, else float32. A node of degree 0 has factor 0.
    """
    wide = accumulate_dtype(dtype)
    looped = adj.with_loops() if add_self_loops else adj
    if edge_weight is None and loop_weight != 1.0 and looped is not adj:
        edge_weight = torch.ones(adj.num_edges, dtype=dtype, device=adj.device)
    if edge_weight is None:
        scale = looped.memo(("gcn_norm", wide), lambda: inverse_root(looped.degree(dtype=wide)))
        return looped, None, scale
    if is_tracing() or edge_weight.requires_grad or edge_weight.is_inference():
        return looped, *_weighted_norm(adj, looped, edge_weight, wide, loop_weight)
    # Constant weights: kept while they live and nobody writes into them.
    norms = adj.memo("weighted_norms", WeakIdKeyDictionary)
    key = (edge_weight._version, add_self_loops, wide, loop_weight)
    kept = norms.get(edge_weight)
    if kept is None or kept[0] != key:
        with torch.inference_mode(False), torch.no_grad():
            weight, scale = _weighted_norm(adj, looped, edge_weight, wide, loop_weight)
        # A value that held its own key would keep it alive.
        kept = key, None if weight is edge_weight else weight, scale
        norms[edge_weight] = kept
    return looped, edge_weight if kept[1] is None else kept[1], kept[2]


def _weighted_norm(
    adj: Adjacency,
    looped: Adjacency,
    edge_weight: Tensor,
    wide: torch.dtype,
    loop_weight: float,
) -> tuple[Tensor, Tensor]:
    weight = _with_loop_weights(adj, looped, edge_weight, loop_weight)
    return weight, inverse_root(looped.degree(weight.to(wide)))


def with_loops(adj: Adjacency, edge_weight: Tensor | None) -> tuple[Adjacency, Tensor | None]:
    """The adjacency with a self-loop of weight 1 at each node that has none, and its weights."""
    looped = adj.with_loops()
    if edge_weight is not None:
        edge_weight = _with_loop_weights(adj, looped, edge_weight, 1.0)
    return looped, edge_weight


def _with_loop_weights(
    adj: Adjacency, looped: Adjacency, edge_weight: Tensor, loop_weight: float
) -> Tensor:
    if looped is adj:
        return edge_weight
    missing = looped.num_edges - adj.num_edges
    loops = torch.full((missing,), loop_weight, dtype=edge_weight.dtype, device=adj.device)
    return torch.cat([edge_weight, loops])


def inverse_root(degree: Tensor) -> Tensor:
    """d^-½, and 0 where d is 0 or negative. NaN stays NaN."""
    # The inner `where` keeps the infinite slope of x^-½ at 0 out of the gradient.
    none = degree <= 0
    return torch.where(none, 0, torch.where(none, 1, degree).rsqrt())


def hop(adj: Adjacency, x: Tensor, edge_weight: Tensor | None, scale: Tensor | None) -> Tensor:
    """One step along the edges: D^-½ A D^-½ x, where `scale` is d^-½ (None: A x)."""
    return ops.spmm(
        adj.ptr, adj.col, x, edge_weight, eid=adj.eid,
        row_scale=scale, col_scale=scale, transpose=adj.transpose,
    )  # fmt: skip


def are_constant(*tensors: Tensor | None) -> bool:
    """Whether no gradient of these is wanted: several hops may then run as one operator."""
    return not any(t is not None and t.requires_grad for t in tensors)


def linear_first(x: Any, layer: nn.Linear) -> bool:
    """Whether a linear map that commutes with the hops goes before them: less work, or all that
    sparse features can do."""
    return isinstance(x, SparseFeatures) or layer.in_features > layer.out_features


def check_count(name: str, value: object, least: int) -> None:
    """The door of a number of hops or terms."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}")
