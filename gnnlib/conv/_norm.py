"""What the convs that multiply by a normalised adjacency share."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from .. import ops
from .._memo import is_tracing, memo_of_tensor
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
    weights: Tensor = edge_weight

    def build() -> tuple[Tensor | None, Tensor]:
        whole = _with_loop_weights(adj, looped, weights, loop_weight)
        # A kept value that held the given weights would keep them alive: None stands for them.
        return None if whole is weights else whole, inverse_root(looped.degree(whole.to(wide)))

    if is_tracing() or weights.requires_grad:
        whole, scale = build()
    else:  # constant weights have one norm
        norms = adj.memo("weighted_norms", WeakIdKeyDictionary)
        whole, scale = memo_of_tensor(norms, weights, (add_self_loops, wide, loop_weight), build)
    return looped, weights if whole is None else whole, scale


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


def hops(
    adj: Adjacency,
    x: Tensor,
    steps: int,
    edge_weight: Tensor | None,
    scale: Tensor | None,
    alpha: float = 0.0,
) -> Tensor:
    """`steps` times h ↦ (1 − alpha) D^-½ A D^-½ h + alpha x, from x: in one operator if it can."""
    if are_constant(edge_weight, scale):
        return ops.propagate(
            adj.ptr, adj.col, x, steps, edge_weight, alpha=alpha, eid=adj.eid,
            row_scale=scale, col_scale=scale, transpose=adj.transpose,
        )  # fmt: skip
    h = x
    for _ in range(steps):
        h = hop(adj, h, edge_weight, scale)
        h = h.lerp(x.to(h.dtype), alpha) if alpha else h
    return h


def linear_first(x: Any, layer: nn.Linear) -> bool:
    """Whether a linear map that commutes with the hops goes before them: less work, or all that
    sparse features can do."""
    return isinstance(x, SparseFeatures) or layer.in_features > layer.out_features


def check_count(name: str, value: object, least: int) -> None:
    """The door of a number of hops or terms."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an int of at least {least}, got {value!r}")
