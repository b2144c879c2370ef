"""Each conv in its variants, as `CASES` by name: what small graphs compare with `FORMULAS`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from gnnlib import Graph, conv
from gnnlib.fixed_point import Unrolled
from gnnlib.message_passing import MessagePassing
from tests.conv.formulas import Edges


class Message(MessagePassing):
    """Any message, with its formula."""

    def __init__(self, message: Callable, reduce: str, block_bytes: int = 16 * 2**20):
        super().__init__(reduce)
        self.call = message
        self.block_bytes = block_bytes

    def forward(self, x: Tensor, graph: Graph, edge_weight: Tensor) -> Tensor:
        return self.propagate(graph, src=x, edge=edge_weight)

    def message(self, src: Any, dst: Any, edge: Any) -> Any:
        return self.call(src, dst, edge, self.softmax)


def message_formula(layer: Any, x: Tensor, edges: Edges, edge_weight: Tensor) -> Tensor:
    rows = layer.call(x[edges.src], x[edges.dst], edge_weight.unsqueeze(1), edges.softmax)
    return edges.reduce(rows, layer.reduce)


MESSAGES: dict[str, Callable] = {
    "source": lambda src, dst, edge, softmax: src,
    "weighted": lambda src, dst, edge, softmax: src * edge,
    "attention": lambda src, dst, edge, softmax: src * softmax((src * dst).sum(-1, keepdim=True)),
    "difference": lambda src, dst, edge, softmax: (src - dst).tanh() * edge,
    "softmax": lambda src, dst, edge, softmax: softmax(src + dst),
}


class Case(NamedTuple):
    """make(F) builds the layer for F features; edges: the edge tensors that it takes."""

    make: Callable[[int], nn.Module]
    edges: tuple[str, ...] = ()
    least_features: int = 1


def network(features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 3), nn.Tanh())


def steps(number: int) -> dict[str, Any]:
    """The iterative mode of a fixed point: a formula. NaN comes and goes as in the formula."""
    return {"backward": Unrolled(number), "on_fail": "ignore"}


WEIGHT, ATTR = ("edge_weight",), ("edge_attr",)
STEPS: Any = {"backward": Unrolled(3), "on_fail": "ignore"}  # NaN goes its way
CASES: dict[str, list[Case]] = {
    "APPNP": [
        Case(lambda f: conv.APPNP(3, 0.2), WEIGHT, 0),
        Case(lambda f: conv.APPNP(2, 0.5, normalize=False), (), 0),
        Case(lambda f: conv.APPNP(2, 0.5, add_self_loops=False), WEIGHT, 0),
    ],
    "ChebConv": [
        Case(lambda f: conv.ChebConv(f, 3, 3), WEIGHT),
        Case(lambda f: conv.ChebConv(f, 3, 3, normalization="rw"), WEIGHT),
        Case(lambda f: conv.ChebConv(f, 3, 2, normalization=None), WEIGHT),
        Case(lambda f: conv.ChebConv(f, 3, 4, bias=False)),
    ],
    "GATConv": [
        Case(lambda f: conv.GATConv(f, 3, heads=2)),
        Case(lambda f: conv.GATConv(f, 2, heads=2, concat=False, edge_dim=3), ATTR),
        Case(lambda f: conv.GATConv(f, 3, add_self_loops=False, residual=True)),
    ],
    "GATv2Conv": [
        Case(lambda f: conv.GATv2Conv(f, 3, heads=2)),
        Case(lambda f: conv.GATv2Conv(f, 2, heads=2, concat=False, edge_dim=3), ATTR),
        Case(lambda f: conv.GATv2Conv(f, 3, add_self_loops=False, residual=True)),
        Case(lambda f: conv.GATv2Conv(f, 3, share_weights=True)),
    ],
    "GatedGraphConv": [
        *(
            Case(lambda f, aggr=aggr: conv.GatedGraphConv(6, 2, aggr=aggr), WEIGHT, 0)
            for aggr in ("sum", "mean", "max")
        ),
        Case(lambda f: conv.GatedGraphConv(max(f, 1), 1, bias=False), (), 0),
    ],
    "GCNConv": [
        Case(lambda f: conv.GCNConv(f, 3), WEIGHT),
        Case(lambda f: conv.GCNConv(f, 3, improved=True)),
        Case(lambda f: conv.GCNConv(f, 3, add_self_loops=False), WEIGHT),
        Case(lambda f: conv.GCNConv(f, 3, normalize=False), WEIGHT),
    ],
    "GINConv": [
        Case(lambda f: conv.GINConv(network(f), train_eps=True)),
        Case(lambda f: conv.GINConv(nn.Identity(), eps=0.5), (), 0),
    ],
    "GINEConv": [Case(lambda f: conv.GINEConv(network(f), eps=0.5, edge_dim=3), ATTR)],
    "GNNConv": [
        Case(lambda f: conv.GNNConv(f, 3, **steps(3)), WEIGHT),
        Case(lambda f: conv.GNNConv(f, 3, 2, 3, "mean", "mlp", **steps(2)), ATTR),
        Case(
            lambda f: conv.GNNConv(
                f, 3, aggr="sum", act="relu", neighbor_features=True, **steps(3)
            ),
            WEIGHT,
        ),
        Case(
            lambda f: conv.GNNConv(f, 2, 2, 3, "attention", add_self_loops=True, **steps(2)),
            WEIGHT + ATTR,
        ),
    ],
    "GraphConv": [
        *(
            Case(lambda f, aggr=aggr: conv.GraphConv(f, 3, aggr=aggr), WEIGHT)
            for aggr in ("sum", "mean", "max", "min", "mul")
        ),
        Case(lambda f: conv.GraphConv(f, 3)),
    ],
    "IGNNConv": [
        Case(lambda f: conv.IGNNConv(f, 3, **steps(3)), WEIGHT),
        Case(lambda f: conv.IGNNConv(f, 4, kappa=0.5, act="tanh", **steps(3))),
        Case(lambda f: conv.IGNNConv(f, 2, bias=False, **steps(3)), WEIGHT),
    ],
    "PPNP": [
        Case(lambda f: conv.PPNP(0.2, **steps(3)), WEIGHT, 0),
        Case(lambda f: conv.PPNP(0.5, normalize=False, **steps(3)), (), 0),
        Case(lambda f: conv.PPNP(0.5, add_self_loops=False, **steps(3)), WEIGHT, 0),
    ],
    "SAGEConv": [
        *(
            Case(lambda f, aggr=aggr: conv.SAGEConv(f, 3, aggr=aggr))
            for aggr in ("mean", "sum", "max", "min")
        ),
        Case(lambda f: conv.SAGEConv(f, 3, aggr="max", project=True)),
        Case(lambda f: conv.SAGEConv(f, 3, normalize=True, root_weight=False)),
    ],
    "SGConv": [
        Case(lambda f: conv.SGConv(f, 3, K=2), WEIGHT),
        Case(lambda f: conv.SGConv(f, 3, K=3, add_self_loops=False)),
    ],
    "TAGConv": [
        Case(lambda f: conv.TAGConv(f, 3), WEIGHT),
        Case(lambda f: conv.TAGConv(f, 3, K=2, normalize=False), WEIGHT),
    ],
    "TransformerConv": [
        Case(lambda f: conv.TransformerConv(f, 3, heads=2)),
        Case(lambda f: conv.TransformerConv(f, 2, heads=2, concat=False, edge_dim=3), ATTR),
        Case(lambda f: conv.TransformerConv(f, 3, beta=True, bias=False)),
    ],
    "MessagePassing": [
        *(
            Case(lambda f, m=message, r=reduce: Message(m, r), WEIGHT, 0)
            for message in MESSAGES.values()
            for reduce in ("sum", "max")
        ),
        *(
            Case(lambda f, m=message, r=reduce: Message(m, r, 3 * 8 * max(f, 1)), WEIGHT, 0)
            for message in MESSAGES.values()
            for reduce in ("mean", "min", "mul")
        ),
    ],
}
