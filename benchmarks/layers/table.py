"""The layers that gnnlib, PyG and DGL all have, each with the same weights on every side."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers import part
from gnnlib import conv
from gnnlib.linear import Linear

WIDTH = 64
HEADS = 8


@dataclass(frozen=True)
class Layer:
    """One layer of WIDTH features, as each library builds it."""

    name: str
    ours: Callable[[], nn.Module]
    pyg: Callable[[], nn.Module]  # gets the state of `ours`
    dgl: Callable[[Any], nn.Module] | None  # is made from `ours`
    loops: bool  # adds self-loops: DGL wants them in the graph
    fused: bool = True  # PyG has a path of its own for SparseTensor


def fill(module: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """Set the named parameters, all that there are."""
    parameters = dict(module.named_parameters())
    assert parameters.keys() == values.keys(), (parameters.keys(), values.keys())
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value.reshape(parameters[name].shape))
    return module


def dgl_gcn(ours: Any) -> nn.Module:
    layer = part("DGL", "nn.GraphConv")(ours.in_channels, ours.out_channels, norm="both")
    return fill(layer, {"weight": ours.lin.weight.t(), "bias": ours.bias})


def dgl_sage(ours: Any) -> nn.Module:
    layer = part("DGL", "nn.SAGEConv")(ours.lin_l.in_features, ours.lin_l.out_features, "mean")
    values = {
        "fc_neigh.weight": ours.lin_l.weight,
        "fc_self.weight": ours.lin_r.weight,
        "fc_self.bias": ours.lin_l.bias,
    }
    return fill(layer, values)


def dgl_gin(ours: Any) -> nn.Module:
    return part("DGL", "nn.GINConv")(plain(ours.nn), "sum")


def plain(network: Any) -> nn.Module:
    """A copy of a GIN's network with torch's own Linear."""
    copies = []
    for module in network:
        if isinstance(module, Linear):
            values = module.state_dict()
            module = nn.Linear(module.in_features, module.out_features)
            module.load_state_dict(values)
        copies.append(copy.deepcopy(module))
    return nn.Sequential(*copies)


class HeadsSideBySide(nn.Module):
    """DGL's attention gives [N, H, D]; the others [N, H · D], or the mean over the heads."""

    def __init__(self, layer: nn.Module, concat: bool):
        super().__init__()
        self.layer = layer
        self.concat = concat

    def forward(self, graph: Any, x: Tensor) -> Tensor:
        out = self.layer(graph, x)
        return out.flatten(1) if self.concat else out.mean(1)


def dgl_gat(ours: Any) -> nn.Module:
    drop = {"attn_drop": ours.dropout, "negative_slope": ours.negative_slope}
    sizes = ours.in_channels, ours.out_channels, ours.heads
    layer = part("DGL", "nn.GATConv")(*sizes, **drop)
    # Where heads are averaged DGL has a bias for each: their mean is the one bias of the others.
    bias = ours.bias if ours.concat else ours.bias.repeat(ours.heads)
    values = {
        "fc.weight": ours.lin.weight,
        "attn_l": ours.att_src,
        "attn_r": ours.att_dst,
        "bias": bias,
    }
    return HeadsSideBySide(fill(layer, values), ours.concat)


def dgl_gatv2(ours: Any) -> nn.Module:
    """It has no bias after the aggregation; that of a new layer is 0 elsewhere."""
    layer = part("DGL", "nn.GATv2Conv")(ours.in_channels, ours.out_channels, ours.heads)
    values = {
        "fc_src.weight": ours.lin_l.weight,
        "fc_src.bias": ours.lin_l.bias,
        "fc_dst.weight": ours.lin_r.weight,
        "fc_dst.bias": ours.lin_r.bias,
        "attn": ours.att,
    }
    return HeadsSideBySide(fill(layer, values), ours.concat)


def dgl_sg(ours: Any) -> nn.Module:
    layer = part("DGL", "nn.SGConv")(ours.in_channels, ours.out_channels, ours.K)
    return fill(layer, {"fc.weight": ours.lin.weight, "fc.bias": ours.lin.bias})


def dgl_tag(ours: Any) -> nn.Module:
    layer = part("DGL", "nn.TAGConv")(ours.in_channels, ours.out_channels, ours.K)
    weight = torch.cat([lin.weight for lin in ours.lins], dim=1)
    return fill(layer, {"lin.weight": weight, "lin.bias": ours.bias})


def dgl_appnp(ours: Any) -> nn.Module:
    return part("DGL", "nn.APPNPConv")(ours.K, ours.alpha)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))


def _same(name: str, dgl, loops: bool, *args: Any, fused=True, pyg_only=None, **options: Any):
    """A layer that gnnlib and PyG call by the same name, with the same arguments."""
    kind = name.partition(" ")[0]
    theirs = {**options, **(pyg_only or {})}
    return Layer(
        name,
        lambda: getattr(conv, kind)(*args, **options),
        lambda: part("PyG", f"nn.{kind}")(*args, **theirs),
        dgl,
        loops,
        fused,
    )


SIZES = (WIDTH, WIDTH)
CACHED = {"cached": True}  # PyG keeps the normalised weights; gnnlib always does
PER_HEAD = (WIDTH, WIDTH // HEADS, HEADS)

LAYERS = {
    layer.name: layer
    for layer in (
        _same("GCNConv", dgl_gcn, True, *SIZES, pyg_only=CACHED),
        _same("SAGEConv mean", dgl_sage, False, *SIZES, aggr="mean"),
        _same("SAGEConv max", None, False, *SIZES, aggr="max"),
        Layer(
            "GINConv",
            lambda: conv.GINConv(mlp()),
            lambda: part("PyG", "nn.GINConv")(mlp()),
            dgl_gin,
            False,
        ),
        _same("GATConv", dgl_gat, True, *PER_HEAD, fused=False),
        _same("GATv2Conv", dgl_gatv2, True, *PER_HEAD, fused=False),
        _same("APPNP", dgl_appnp, True, 10, 0.1, pyg_only=CACHED),
        _same("SGConv", dgl_sg, True, *SIZES, K=2),
        _same("TAGConv", dgl_tag, False, *SIZES, K=3),
        _same("ChebConv", None, False, *SIZES, K=3, fused=False),
    )
}
