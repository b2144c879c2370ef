"""Layers with the same weights in every library, forward and with all gradients."""

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.cases import BOTH, FORWARD, Call, Case, Prepare, Traffic, both, tie_free
from benchmarks.layers.table import HEADS, LAYERS, WIDTH, Layer
from benchmarks.peers import Structures, room_for
from gnnlib import Graph


def cases(s: Structures, names: tuple[str, ...] = tuple(LAYERS)) -> Iterator[Case]:
    for name in names:
        for passes in (FORWARD, BOTH):
            yield case(LAYERS[name], s, passes)


def attention(s: Structures) -> Iterator[Case]:
    """Attention as a whole layer, its Linear included: peers have it in no smaller piece."""
    yield from cases(Structures(s.edges.symmetric()), ("GATConv", "GATv2Conv"))


def case(layer: Layer, s: Structures, passes: str) -> Case:
    x = tie_free(s.num_nodes, WIDTH)
    ours = layer.ours()
    cotangent = torch.randn(s.num_nodes, WIDTH)
    graph = Graph(s.edge_index, num_nodes=s.num_nodes)

    def side(module: nn.Module, call) -> Call:
        """`call` of the module and x, without gradients or with those of x and all parameters."""
        module.eval()
        if passes == BOTH:
            leaf = x.clone().requires_grad_()
            inputs = [leaf, *module.parameters()]
            return both(lambda: lambda: call(module, leaf), inputs, cotangent)()

        def forward():
            with torch.no_grad():
                return call(module, x)

        return forward

    def pyg(structure, compiled: bool = False) -> Call:
        if isinstance(structure, torch.Tensor):
            room_for(5 * 4 * s.edges.num_edges * WIDTH)
        module = layer.pyg()
        module.load_state_dict(ours.state_dict())
        if compiled:
            module.compile()
        return side(module, lambda module, x: module(x, structure))

    def dgl() -> Call:
        assert layer.dgl is not None
        structure = s.dgl_with_loops if layer.loops else s.dgl
        return side(layer.dgl(ours), lambda module, x: module(structure, x))

    sides: dict[str, Prepare] = {
        "gnnlib": lambda: side(ours, lambda module, x: module(x, graph)),
        "PyG": lambda: pyg(s.edge_index),
    }
    if s.edge_index.is_cuda:
        sides["PyG, compiled"] = lambda: pyg(s.edge_index, compiled=True)
    if layer.fused:
        sides["PyG, SparseTensor"] = lambda: pyg(s.sparse_tensor)
    if layer.dgl is not None:
        sides["DGL"] = dgl
    size = f"{HEADS} heads" if "GAT" in layer.name else f"F={WIDTH}"
    return Case(layer.name, size, passes, sides, _traffic(layer, s, passes), rtol=1e-3)


def _traffic(layer: Layer, s: Structures, passes: str) -> Traffic | None:
    """Of fused attention: one pass over the rows forward, two more backward."""
    if layer.name != "GATConv":
        return None
    edges = s.edges.num_edges + s.num_nodes
    x = 4 * s.num_nodes * WIDTH
    gathered = 4 * edges * WIDTH
    structure = edges * (4 + 4 * HEADS)
    forward = Traffic(2 * x + structure, gathered + x + structure, WIDTH)
    if passes == FORWARD:
        return forward
    return Traffic(forward.compulsory + 3 * x, forward.gathered + 2 * gathered + 3 * x, WIDTH)
