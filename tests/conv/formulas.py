"""Each conv by its formula, in plain torch: the rows at the ends of the edges are gathered in the
user's order, and each destination looks at its own. Slow, obvious, and what small graphs are
compared with.

`FORMULAS` maps a conv to formula(layer, x, edges, **edge tensors), which reads parameters and
options from the layer.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gnnlib import conv


class Edges(NamedTuple):
    src: Tensor
    dst: Tensor
    num_nodes: int

    def reduce(self, rows: Tensor, how: str = "sum") -> Tensor:
        """[E, …] -> [N, …]. Nothing to reduce gives 0, and a product 1."""
        out = []
        for node in range(self.num_nodes):
            part = rows[self.dst == node]
            if part.shape[0] == 0 and how != "mul":
                out.append(rows.new_zeros(rows.shape[1:]))
            elif how in ("max", "min"):
                out.append(getattr(part, how)(0).values)
            elif how == "std":
                out.append((part - part.mean(0)).square().mean(0).sqrt())
            else:
                out.append(getattr(part, "prod" if how == "mul" else how)(0))
        return torch.stack(out) if out else rows.new_zeros((0, *rows.shape[1:]))

    def softmax(self, scores: Tensor) -> Tensor:
        """Over the edges of each destination."""
        out = torch.zeros_like(scores)
        for node in range(self.num_nodes):
            mine = self.dst == node
            out = out.index_put((mine,), scores[mine].softmax(0))
        return out

    def looped(self) -> tuple["Edges", Tensor]:
        """With a loop for each node that has none, at the end; and those nodes."""
        missing = torch.ones(self.num_nodes, dtype=torch.bool)
        missing[self.src[self.src == self.dst]] = False
        nodes = missing.nonzero().flatten()
        both = torch.cat([self.src, nodes]), torch.cat([self.dst, nodes])
        return Edges(*both, self.num_nodes), nodes

    def leaving(self) -> "Edges":
        return Edges(self.dst, self.src, self.num_nodes)


def _ones(x: Tensor, edges: Edges, edge_weight: Tensor | None) -> Tensor:
    return x.new_ones(edges.src.shape[0]) if edge_weight is None else edge_weight


def _inverse_root(degree: Tensor) -> Tensor:
    return torch.where(degree == 0, 0, degree**-0.5)


def _symmetric(
    x: Tensor, edges: Edges, edge_weight: Tensor | None, loop_weight: float | None
) -> tuple[Edges, Tensor]:
    """The edges, with loops of that weight, and what GCN weighs them by."""
    weight = _ones(x, edges, edge_weight)
    if loop_weight is not None:
        edges, nodes = edges.looped()
        weight = torch.cat([weight, x.new_full((len(nodes),), loop_weight)])
    scale = _inverse_root(edges.reduce(weight))
    return edges, scale[edges.src] * weight * scale[edges.dst]


def _hop(edges: Edges, weight: Tensor, h: Tensor) -> Tensor:
    return edges.reduce(weight.unsqueeze(1) * h[edges.src])


def _plus(out: Tensor, bias: Tensor | None) -> Tensor:
    return out if bias is None else out + bias


def gcn(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    weight = _ones(x, edges, edge_weight)
    if layer.normalize:
        loop_weight = None if not layer.add_self_loops else 2.0 if layer.improved else 1.0
        edges, weight = _symmetric(x, edges, edge_weight, loop_weight)
    return _plus(_hop(edges, weight, x) @ layer.lin.weight.T, layer.bias)


def sg(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    loop_weight = 1.0 if layer.add_self_loops else None
    edges, weight = _symmetric(x, edges, edge_weight, loop_weight)
    for _ in range(layer.K):
        x = _hop(edges, weight, x)
    return layer.lin(x)


def appnp(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    weight = _ones(x, edges, edge_weight)
    if layer.normalize:
        loop_weight = 1.0 if layer.add_self_loops else None
        edges, weight = _symmetric(x, edges, edge_weight, loop_weight)
    h = x
    for _ in range(layer.K):
        h = (1 - layer.alpha) * _hop(edges, weight, h) + layer.alpha * x
    return h


def tag(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    weight = _ones(x, edges, edge_weight)
    if layer.normalize:
        edges, weight = _symmetric(x, edges, edge_weight, None)
    out, h = layer.lins[0](x), x
    for lin in layer.lins[1:]:
        h = _hop(edges, weight, h)
        out = out + lin(h)
    return _plus(out, layer.bias)


def cheb(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    # A self-loop is an entry 0 of A, so that a node whose degree is NaN makes itself NaN by it.
    weight = torch.where(edges.src == edges.dst, 0, _ones(x, edges, edge_weight))
    degree = edges.leaving().reduce(weight)
    left = right = own = torch.ones_like(degree)
    largest = torch.tensor(2.0)
    if layer.normalization == "sym":
        left = right = _inverse_root(degree)
    elif layer.normalization == "rw":
        right = torch.where(degree == 0, 0, 1 / degree)
    else:
        own = degree
        largest = 2 * degree.max() if len(degree) else largest
    factor = 2 / largest if largest != 0 else torch.tensor(0.0)  # 0 where L is 0

    def multiply(h: Tensor) -> Tensor:
        summed = left.unsqueeze(1) * _hop(edges, weight, right.unsqueeze(1) * h)
        return factor * (own.unsqueeze(1) * h - summed) - h

    terms = [x, multiply(x)]
    while len(terms) < layer.K:
        terms.append(2 * multiply(terms[-1]) - terms[-2])
    return _plus(sum(lin(term) for lin, term in zip(layer.lins, terms)), layer.bias)  # pyright: ignore[reportArgumentType]


def sage(layer: Any, x: Tensor, edges: Edges) -> Tensor:
    rows = x if layer.lin is None else layer.lin(x).relu()
    out = layer.lin_l(edges.reduce(rows[edges.src], layer.aggr))
    out = out if layer.lin_r is None else out + layer.lin_r(x)
    return F.normalize(out, dim=-1) if layer.normalize else out


def graph_conv(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    weight = _ones(x, edges, edge_weight)
    rows = weight.unsqueeze(1) * x[edges.src]
    return layer.lin_rel(edges.reduce(rows, layer.aggr)) + layer.lin_root(x)


def gin(layer: Any, x: Tensor, edges: Edges) -> Tensor:
    return layer.nn((1 + layer.eps) * x + edges.reduce(x[edges.src]))


def gine(layer: Any, x: Tensor, edges: Edges, edge_attr: Tensor) -> Tensor:
    added = edge_attr if layer.lin is None else layer.lin(edge_attr)
    return layer.nn((1 + layer.eps) * x + edges.reduce((x[edges.src] + added).relu()))


def _attend(layer: Any, x: Tensor, edges: Edges, scores: Tensor, rows: Tensor) -> Tensor:
    alpha = edges.softmax(scores)
    out = edges.reduce(alpha.unsqueeze(-1) * rows[edges.src])  # [N, H, C]
    out = out.flatten(1) if layer.concat else out.mean(1)
    out = out if layer.res is None else out + layer.res(x)
    return _plus(out, layer.bias)


def _with_loops(layer: Any, edges: Edges, edge_attr: Tensor | None) -> tuple[Edges, Tensor | None]:
    if not layer.add_self_loops:
        return edges, edge_attr
    looped, nodes = edges.looped()
    if edge_attr is not None:
        edge_attr = torch.cat([edge_attr, edges.reduce(edge_attr, "mean")[nodes]])
    return looped, edge_attr


def gat(layer: Any, x: Tensor, edges: Edges, edge_attr: Tensor | None = None) -> Tensor:
    edges, edge_attr = _with_loops(layer, edges, edge_attr)
    shape = (-1, layer.heads, layer.out_channels)
    rows = layer.lin(x).reshape(shape)
    scores = (rows * layer.att_src).sum(-1)[edges.src] + (rows * layer.att_dst).sum(-1)[edges.dst]
    if edge_attr is not None:
        scores = scores + (layer.lin_edge(edge_attr).reshape(shape) * layer.att_edge).sum(-1)
    return _attend(layer, x, edges, F.leaky_relu(scores, layer.negative_slope), rows)


def gatv2(layer: Any, x: Tensor, edges: Edges, edge_attr: Tensor | None = None) -> Tensor:
    edges, edge_attr = _with_loops(layer, edges, edge_attr)
    shape = (-1, layer.heads, layer.out_channels)
    left, right = layer.lin_l(x).reshape(shape), layer.lin_r(x).reshape(shape)
    hidden = left[edges.src] + right[edges.dst]
    if edge_attr is not None:
        hidden = hidden + layer.lin_edge(edge_attr).reshape(shape)
    scores = (F.leaky_relu(hidden, layer.negative_slope) * layer.att).sum(-1)
    return _attend(layer, x, edges, scores, left)


def transformer(layer: Any, x: Tensor, edges: Edges, edge_attr: Tensor | None = None) -> Tensor:
    shape = (-1, layer.heads, layer.out_channels)
    query = layer.lin_query(x).reshape(shape)[edges.dst]
    key = layer.lin_key(x).reshape(shape)[edges.src]
    value = layer.lin_value(x).reshape(shape)[edges.src]
    if edge_attr is not None:
        added = layer.lin_edge(edge_attr).reshape(shape)
        key, value = key + added, value + added
    alpha = edges.softmax((query * key).sum(-1) / layer.out_channels**0.5)
    out = edges.reduce(alpha.unsqueeze(-1) * value)
    out = out.flatten(1) if layer.concat else out.mean(1)
    skip = layer.lin_skip(x)
    if layer.lin_beta is None:
        return out + skip
    gate = layer.lin_beta(torch.cat([out, skip, out - skip], -1)).sigmoid()
    return gate * skip + (1 - gate) * out


def gnn(
    layer: Any,
    x: Tensor,
    edges: Edges,
    edge_weight: Tensor | None = None,
    edge_attr: Tensor | None = None,
) -> Tensor:
    """The steps of `Unrolled`, from zero."""
    weight = _ones(x, edges, edge_weight)
    if layer.add_self_loops:
        edges, nodes = edges.looped()
        weight = torch.cat([weight, x.new_ones(len(nodes))])
        if edge_attr is not None:
            edge_attr = torch.cat([edge_attr, edge_attr.new_zeros(len(nodes), edge_attr.shape[1])])
    if layer.aggr == "attention":
        rows = layer.lin_att(x)
        scores = (rows @ layer.att_dst.T)[edges.dst] + (rows @ layer.att_src.T)[edges.src]
        if edge_attr is not None:
            scores = scores + edge_attr @ layer.att_edge.T
        weight = weight * edges.softmax(F.leaky_relu(scores, 0.2).squeeze(1))
    d_in, d_out = edges.reduce(weight.abs()), edges.leaving().reduce(weight.abs())
    if layer.aggr == "sym":
        weight = weight * _inverse_root(d_in)[edges.dst] * _inverse_root(d_out)[edges.src]
    elif layer.aggr == "sum":
        weight = weight * _inverse_root(d_in.max() * d_out.max()) if len(weight) else weight
    else:
        weight = weight / d_in[edges.dst]
    forcing = layer.lin(x)
    if layer.lin_neighbor is not None:
        forcing = forcing + _hop(edges, weight, layer.lin_neighbor(x))
    if layer.lin_edge is not None:
        forcing = forcing + edges.reduce(weight.unsqueeze(1) * layer.lin_edge(edge_attr))
    forcing = (1 - layer.contraction.kappa) * forcing
    act = {None: lambda z: z, "relu": torch.relu, "tanh": torch.tanh}[layer.transition.act]
    weights = layer.transition_parameters()
    limit = layer.contraction.kappa ** (1 / len(weights))
    first, *last = (w * (limit / torch.linalg.matrix_norm(w, 2)).clamp(max=1) for w in weights)
    z = torch.zeros_like(forcing)
    for _ in range(layer.backward.steps):
        z = _hop(edges, weight, z) @ first.T
        z = act(z + layer.lin_hidden(x)) @ last[0].T + forcing if last else act(z + forcing)
    return z if layer.readout is None else layer.readout(z) + layer.readout_x(x)


def gated_graph(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    weight = _ones(x, edges, edge_weight)
    h = F.pad(x, (0, layer.out_channels - x.shape[1]))
    for theta in layer.weight:
        rows = weight.unsqueeze(1) * (h @ theta)[edges.src]
        h = layer.rnn(edges.reduce(rows, layer.aggr), h)
    return h


def ppnp(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    """The steps of `Unrolled`, from x: those of APPNP."""
    layer.K = layer.backward.steps
    return appnp(layer, x, edges, edge_weight)


def ignn(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor | None = None) -> Tensor:
    """The steps of `Unrolled`, from φ(x Ωᵀ + b)."""
    weight = _ones(x, edges, edge_weight)
    edges, nodes = edges.looped()
    weight = torch.cat([weight, x.new_ones(len(nodes))])
    d_in, d_out = edges.reduce(weight.abs()), edges.leaving().reduce(weight.abs())
    weight = weight * _inverse_root(d_in)[edges.dst] * _inverse_root(d_out)[edges.src]
    projected = torch.stack([_on_ball(row, layer.contraction.kappa) for row in layer.weight])
    act = {"relu": torch.relu, "tanh": torch.tanh}[layer.act]
    forcing = layer.lin(x)
    z = act(forcing)
    for _ in range(layer.backward.steps):
        z = act(_hop(edges, weight, z) @ projected.T + forcing)
    return z


def _on_ball(row: Tensor, radius: float) -> Tensor:
    """The nearest point with Σ |w| ≤ radius: the k largest entries are left, all less by θ."""
    size = row.abs()
    if size.sum() <= radius:
        return row
    largest = size.sort(descending=True).values
    theta = size.sum()
    for k in range(1, len(row) + 1):
        lower = (largest[:k].sum() - radius) / k
        if largest[k - 1] > lower:
            theta = lower
    return row.sign() * (size - theta).clamp(min=0)


FORMULAS: dict[type, Callable[..., Tensor]] = {
    conv.APPNP: appnp,
    conv.ChebConv: cheb,
    conv.GATConv: gat,
    conv.GATv2Conv: gatv2,
    conv.GatedGraphConv: gated_graph,
    conv.GCNConv: gcn,
    conv.GINConv: gin,
    conv.GINEConv: gine,
    conv.GNNConv: gnn,
    conv.GraphConv: graph_conv,
    conv.IGNNConv: ignn,
    conv.PPNP: ppnp,
    conv.SAGEConv: sage,
    conv.SGConv: sg,
    conv.TAGConv: tag,
    conv.TransformerConv: transformer,
}
