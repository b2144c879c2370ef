"""No layer makes an array of edges × features: every operator of a step is watched for one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gnnlib import Adjacency, Graph, conv
from gnnlib.conv import MessagePassing
from gnnlib.fixed_point import Unrolled
from tests.messages import Large

NODES, EDGES, FEATURES = 50_000, 1_000_000, 64
UNROLLED: Any = {"backward": Unrolled(2), "on_fail": "ignore"}


class Written(MessagePassing):
    """Layers as a user writes them: recognised, and in blocks."""

    def __init__(self, message: Callable, reduce: str = "sum"):
        super().__init__(reduce)
        self.call = message

    def forward(self, x, graph, edge=None):
        return self.propagate(graph, src=x, edge=edge)

    def message(self, src, dst, edge):
        return self.call(self, src, dst, edge)


def _network() -> nn.Module:
    return nn.Linear(FEATURES, FEATURES)


# The layer, and the shape of its edge tensor behind E.
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...] | None]] = {
    "APPNP": (lambda: conv.APPNP(3, 0.1), ()),
    "ChebConv": (lambda: conv.ChebConv(FEATURES, FEATURES, 3), ()),
    "GATConv": (lambda: conv.GATConv(FEATURES, 16, heads=4, edge_dim=8), (8,)),
    "GATConv_one_head": (lambda: conv.GATConv(FEATURES, FEATURES, dropout=0.5), None),
    "GATv2Conv": (lambda: conv.GATv2Conv(FEATURES, 16, heads=4), None),
    "GatedGraphConv": (lambda: conv.GatedGraphConv(FEATURES, 2), ()),
    "GCNConv": (lambda: conv.GCNConv(FEATURES, FEATURES), ()),
    "GINConv": (lambda: conv.GINConv(_network()), None),
    "GINEConv": (lambda: conv.GINEConv(_network()), (FEATURES,)),
    "GINEConv_edge_dim": (lambda: conv.GINEConv(_network(), edge_dim=8), (8,)),
    "GNNConv": (lambda: conv.GNNConv(FEATURES, FEATURES, **UNROLLED), ()),
    "GraphConv": (lambda: conv.GraphConv(FEATURES, FEATURES), ()),
    "GraphConv_max": (lambda: conv.GraphConv(FEATURES, FEATURES, aggr="max"), ()),
    "IGNNConv": (lambda: conv.IGNNConv(FEATURES, FEATURES, **UNROLLED), ()),
    "MessagePassing": (lambda: Written(lambda s, src, dst, edge: (src - dst).relu()), None),
    "MessagePassing_blocks": (lambda: Written(lambda s, src, dst, edge: (src - dst).sin()), None),
    "MessagePassing_scores": (
        lambda: Written(
            lambda s, src, dst, edge: (
                s.softmax(F.leaky_relu((src * dst).sum(-1, keepdim=True)) + edge) * src
            )
        ),
        (),
    ),
    "PPNP": (lambda: conv.PPNP(0.1, **UNROLLED), ()),
    "SAGEConv": (lambda: conv.SAGEConv(FEATURES, FEATURES), None),
    "SAGEConv_max": (lambda: conv.SAGEConv(FEATURES, FEATURES, aggr="max"), None),
    "SGConv": (lambda: conv.SGConv(FEATURES, FEATURES, K=2), ()),
    "TAGConv": (lambda: conv.TAGConv(FEATURES, FEATURES, K=2), ()),
    "TransformerConv": (lambda: conv.TransformerConv(FEATURES, 16, heads=4), None),
    "TransformerConv_edge_dim": (
        lambda: conv.TransformerConv(FEATURES, 16, heads=4, edge_dim=8),
        (8,),
    ),
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(NODES, (2, EDGES), generator=generator)
    made = Graph(edge_index, num_nodes=NODES)
    made.adj.transpose()
    return made


def test_every_layer_is_watched():
    public = {
        name for name, value in vars(conv).items()
        if isinstance(value, type) and issubclass(value, nn.Module)
    }  # fmt: skip
    assert {name.split("_")[0] for name in LAYERS} == public


@pytest.mark.parametrize("name", LAYERS)
def test_no_layer_holds_a_row_of_features_for_each_edge(name, graph):
    make, edge_shape = LAYERS[name]
    layer = make()
    x = torch.randn(NODES, FEATURES, requires_grad=True)
    given = []
    if edge_shape is not None:
        given.append(torch.rand(EDGES, *edge_shape).requires_grad_(edge_shape == ()))
    leaves = [t for t in (x, *given, *layer.parameters()) if t.requires_grad]
    with Large(4 * EDGES * FEATURES) as large:
        out = layer(x, graph, *given)
        torch.autograd.grad(out.sum(), leaves, allow_unused=True)
    assert large.found == [], large.found
    print(f"{name}: {large.largest / (4 * EDGES * FEATURES):.2f} of E×F")


def test_an_array_of_edges_and_features_would_be_found(graph):
    """What the tests above look for is what gathering does."""
    adj: Adjacency = graph.adj
    x = torch.randn(NODES, FEATURES)
    with Large(4 * EDGES * FEATURES) as large:
        x[adj.col.long()].relu_()
    assert len(large.found) == 1
