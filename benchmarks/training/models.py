"""Four models on Cora, as gnnlib has them, and the same in PyG and in DGL with the same weights."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import graphs
from benchmarks.layers import table
from benchmarks.peers import Structures, part
from benchmarks.timing import on_gpu
from gnnlib import Graph
from gnnlib.models import GAT, GCN, GIN, GraphSAGE

OURS: dict[str, Callable[[int, int], Any]] = {
    "GCN": lambda features, classes: GCN(features, 16, classes),
    "SAGE": lambda features, classes: GraphSAGE(features, 16, classes),
    "GAT": lambda features, classes: GAT(features, 8, classes),
    "GIN": lambda features, classes: GIN(features, 16, classes),
}
LOOPS = {"GCN", "GAT"}  # the layers that add self-loops
GATHERS = {"GAT"}  # PyG has no path for SparseTensor
PEERS = ("PyG", "PyG, SparseTensor", "DGL")


class Stack(nn.Module):
    """What gnnlib's models do: dropout, conv, activation, layer upon layer."""

    def __init__(self, convs: list[nn.Module], dropout: float, activation, graph_first: bool):
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.dropout = dropout
        self.activation = activation
        self.graph_first = graph_first

    def forward(self, x: Tensor, graph: Any) -> Tensor:
        for number, conv in enumerate(self.convs):
            x = x if number == 0 else self.activation(x)
            x = F.dropout(x, self.dropout, self.training)
            x = conv(graph, x) if self.graph_first else conv(x, graph)
        return x


def pyg_conv(name: str, ours: Any) -> nn.Module:
    if name == "GCN":
        layer = part("PyG", "nn.GCNConv")(ours.in_channels, ours.out_channels, cached=True)
    elif name == "SAGE":
        layer = part("PyG", "nn.SAGEConv")(ours.lin_l.in_features, ours.lin_l.out_features)
    elif name == "GAT":
        sizes = ours.in_channels, ours.out_channels, ours.heads
        layer = part("PyG", "nn.GATConv")(*sizes, concat=ours.concat, dropout=ours.dropout)
    else:
        layer = part("PyG", "nn.GINConv")(table.plain(ours.nn))
    layer.load_state_dict(ours.state_dict())
    return layer


DGL_CONVS = {
    "GCN": table.dgl_gcn,
    "SAGE": table.dgl_sage,
    "GAT": table.dgl_gat,
    "GIN": table.dgl_gin,
}


def peer(name: str, ours: Any, side: str, s: Structures) -> tuple[nn.Module, Any]:
    """The model of another library with the weights of `ours`, and the graph that it takes.

    Raises:
        MissingPeer: the library is missing.
    """
    if side == "DGL":
        graph = s.dgl_with_loops if name in LOOPS else s.dgl
        convs = [DGL_CONVS[name](conv) for conv in ours.convs]
    else:
        graph = s.sparse_tensor if side == "PyG, SparseTensor" else s.edge_index
        convs = [pyg_conv(name, conv) for conv in ours.convs]
    return Stack(convs, ours.dropout, ours.activation, side == "DGL"), graph


def sides(name: str) -> tuple[str, ...]:
    found = [side for side in PEERS if "SparseTensor" not in side or name not in GATHERS]
    return (*found, "PyG, compiled") if on_gpu() else tuple(found)


def data(names: Any) -> Graph:
    """Cora with the public split; with "tiny", a graph for the tests of the suite itself."""
    device = torch.get_default_device()
    with torch.device("cpu"):
        return (graphs.cora() if list(names or ()) != ["tiny"] else _tiny()).to(device)


def _tiny() -> Graph:
    edges = graphs.read("tiny").symmetric()
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(60, 12, generator=generator) > 0.8).float()
    third = torch.arange(60) % 3
    return Graph(
        edges.edge_index,
        x=x.to_sparse(),
        y=torch.arange(60) % 4,
        train_mask=third == 0,
        val_mask=third == 1,
        test_mask=third == 2,
    )


def dense(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) and x.layout == torch.strided else x.to_dense()
