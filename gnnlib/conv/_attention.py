"""What the attention convs share: their doors, and all that follows the scores."""

from typing import Any

import torch
from torch import Tensor

from .. import ops
from .._errors import check_dropout
from .._resolve import as_features, check_matrices, resolve
from ..adjacency import Adjacency
from ..linear import add_bias


def check_attention(heads: object, dropout: float) -> None:
    """The door of an attention conv's options."""
    if not isinstance(heads, int) or heads < 1:
        raise ValueError(f"heads must be an int of at least 1, got {heads!r}")
    check_dropout(dropout)


def checked_inputs(
    layer: Any, x: Any, graph: Any, edge_attr: Tensor | None, needs_dst: bool
) -> tuple[Any, Adjacency, Tensor | None]:
    """The door of an attention conv: x or (x_src, x_dst), the adjacency, and edge_attr
    [E, edge_dim], which is there if the layer was made for it."""
    x = as_features(x, pair=True)
    check_matrices(x)
    if needs_dst and isinstance(x, tuple) and x[1] is None:
        raise ValueError("x must be (x_src, x_dst): the scores need x_dst, got None")
    check_takes_edge_attr(layer, edge_attr)
    adj, _, edge_attr = resolve(graph, x, edge_attr=edge_attr)
    if layer.edge_dim is None:
        return x, adj, None
    return x, adj, checked_edge_attr(adj, edge_attr, layer.edge_dim)


def check_takes_edge_attr(layer: Any, edge_attr: Tensor | None) -> None:
    if layer.edge_dim is None and edge_attr is not None:
        name = type(layer).__name__
        raise TypeError(f"edge_attr needs a layer made for it: {name}(…, edge_dim=…)")


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
    return add_bias(out, layer.bias)


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
    out, alpha, _ = attend(layer, adj, scores, source)
    return finish(layer, out, x), (adj.edge_index, in_users_order(adj, alpha))


def attend(
    layer: Any, adj: Adjacency, scores: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The weighted sums of rows, [num_dst, H, D], α, and α after dropout, both in CSR order,
    [E', H]."""
    alpha = weight = ops.segment_softmax(adj.ptr, scores)
    if (probability := dropout_of(layer)) > 0:
        weight = ops.edge_dropout(alpha, probability, eid=adj.eid)
    weight = weight.to(rows.dtype)
    return ops.spmm(adj.ptr, adj.col, rows, weight, transpose=adj.transpose), alpha, weight


def in_users_order(adj: Adjacency, rows: Tensor) -> Tensor:
    """Rows in CSR order, [E', …], by edge id."""
    if adj.eid is None:
        return rows
    return torch.zeros_like(rows).index_copy(0, adj.eid.long(), rows)
