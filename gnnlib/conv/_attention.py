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


def dropout_of(layer: Any) -> float:
    """The probability that is to be used now."""
    return layer.dropout if layer.training else 0.0


def head_scores(rows: Tensor, *attentions: Tensor) -> list[Tensor]:
    """a·rows[i, h] of each node and head for each a, [N, H]: one product with a matrix of blocks,
    and no array of the N × (H · D) products a ∘ rows."""
    heads, dim = rows.shape[1:]
    blocks = [
        torch.diag_embed(a.reshape(heads, dim).t()).transpose(0, 1).reshape(heads * dim, heads)
        for a in attentions
    ]
    joined = blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)
    return list(rows.flatten(1).matmul(joined).split(heads, 1))


def finish(layer: Any, out: Tensor, x: Any) -> Tensor:
    """The heads of out [num_dst, H, D] joined or averaged, with the residual and the bias."""
    out = out.flatten(1) if layer.concat else out.mean(1)
    if layer.res is not None:
        out = out + layer.res(x[1] if isinstance(x, tuple) else x)
    return out if layer.bias is None else add_bias(out, layer.bias)


def add_bias(out: Tensor, bias: Tensor) -> Tensor:
    """out + bias, in place where nothing can need `out` again."""
    bias = bias.to(out.dtype)
    if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return out + bias
    return out.add_(bias)


def weights_and_result(
    layer: Any, adj: Adjacency, scores: Tensor, source: Tensor, x: Any
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The result of an attention conv and its (edge_index, α): not fused, since α is asked for.

    Args:
        layer: its concat, dropout, training, res and bias are what the result depends on.
        adj: the edges, with loops.
        scores: of each edge, in CSR order, [E', H].
        source: the projected rows of the sources, [num_src, H, D].
        x: the layer's input, for the residual.
    """
    alpha = ops.segment_softmax(adj.ptr, scores)
    weight = dropped(layer, adj, alpha)
    out = ops.spmm(adj.ptr, adj.col, source, weight.to(source.dtype), transpose=adj.transpose)
    return finish(layer, out, x), (adj.edge_index, in_users_order(adj, alpha))


def dropped(layer: Any, adj: Adjacency, alpha: Tensor) -> Tensor:
    """α in CSR order, [E', H], after dropout."""
    probability = dropout_of(layer)
    return ops.edge_dropout(alpha, probability, eid=adj.eid) if probability > 0 else alpha


def in_users_order(adj: Adjacency, rows: Tensor) -> Tensor:
    """Rows in CSR order, [E', …], by edge id."""
    if adj.eid is None:
        return rows
    return torch.zeros_like(rows).index_copy(0, adj.eid.long(), rows)
