"""What the attention convs share: their doors, and all that follows the scores."""

from typing import Any

import torch
from torch import Tensor

from .. import ops
from .._errors import check_dropout
from ..adjacency import Adjacency


def check_attention(heads: object, dropout: float) -> None:
    """The door of an attention conv's options."""
    if not isinstance(heads, int) or heads < 1:
        raise ValueError(f"heads must be an int of at least 1, got {heads!r}")
    check_dropout(dropout)


def checked_edge_attr(adj: Adjacency, edge_attr: Tensor | None, edge_dim: int) -> Tensor:
    """The door of the edge_attr of a conv that was made for it: [E, edge_dim]."""
    if edge_attr is None:
        raise ValueError(f"edge_attr must be given: the layer was made with edge_dim={edge_dim}")
    if edge_attr.dim() != 2 or edge_attr.shape[1] != edge_dim:
        raise ValueError(
            f"edge_attr must have shape [num_edges, edge_dim] = ({adj.num_edges},"
            f" {edge_dim}), got {tuple(edge_attr.shape)}"
        )
    return edge_attr


def attend(
    layer: Any, adj: Adjacency, scores: Tensor, source: Tensor, x: Any, return_weights: bool
) -> Any:
    """The result of an attention conv, and with `return_weights` its (edge_index, α) too.

    Args:
        layer: its concat, dropout, training, res and bias are what the result depends on.
        adj: the edges, with loops.
        scores: of each edge, in CSR order, [E', H].
        source: the projected rows of the sources, [num_src, H, D].
        x: the layer's input, for the residual.
    """
    alpha = ops.segment_softmax(adj.ptr, scores)
    weight = alpha
    if layer.training and layer.dropout > 0:
        weight = ops.edge_dropout(alpha, layer.dropout, eid=adj.eid)
    out = ops.spmm(adj.ptr, adj.col, source, weight.to(source.dtype), transpose=adj.transpose)
    out = out.flatten(1) if layer.concat else out.mean(1)
    if layer.res is not None:
        out = out + layer.res(x[1] if isinstance(x, tuple) else x)
    out = out if layer.bias is None else out + layer.bias.to(out.dtype)
    if not return_weights:
        return out
    if adj.eid is not None:
        alpha = torch.zeros_like(alpha).index_copy(0, adj.eid.long(), alpha)
    return out, (adj.edge_index, alpha)
