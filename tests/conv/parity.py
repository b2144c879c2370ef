"""The same numbers as PyG: outputs and every gradient, in float64, with PyG's parameters loaded.

PyG replaces the self-loops of a node by one loop, so graphs here have at most one a node.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from gnnlib import Adjacency, Graph
from tests.graphs import power_law_edges, random_edges, undirected


def _once_looped(edge_index: Tensor, looped: int) -> Tensor:
    """The edges without loops, then loops on the first nodes, all shuffled."""
    edges = edge_index[:, edge_index[0] != edge_index[1]]
    edges = torch.cat([edges, torch.arange(looped).repeat(2, 1)], dim=1)
    return edges[:, torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(0))]


_DIRECTED = random_edges(20, 90)

GRAPHS: dict[str, tuple[Tensor, int]] = {
    "directed": (_once_looped(_DIRECTED, 0), 20),
    "undirected": (undirected(_DIRECTED), 20),
    "looped": (_once_looped(_DIRECTED, 7), 20),
    "repeated_edges": (_once_looped(_DIRECTED.repeat(1, 2)[:, :150], 0), 20),
    "repeated_and_looped": (_once_looped(_DIRECTED.repeat(1, 3), 4), 20),
    "isolated_nodes": (_once_looped(power_law_edges(20, 60), 2), 26),
    "all_isolated": (torch.empty(2, 0, dtype=torch.long), 6),
}
LOOPLESS = ["directed", "undirected", "repeated_edges", "all_isolated"]

RECTANGULAR = (torch.stack([torch.arange(60) % 13, torch.arange(60).square() % 7]), 13, 9)


def check_parity(
    mine: nn.Module, theirs: nn.Module, graph: str, channels: int, **edges: int | None
) -> None:
    """Equal to 1e-10. `edges` has the widths of edge tensors by name (None: one number an edge)."""
    edge_index, num_nodes = GRAPHS[graph]
    x = torch.randn(num_nodes, channels, dtype=torch.float64)
    shapes = {
        name: [edge_index.shape[1]] + ([] if width is None else [width])
        for name, width in edges.items()
    }
    tensors = {name: torch.rand(shape, dtype=torch.float64) + 0.1 for name, shape in shapes.items()}
    _check(mine, theirs, (x,), Graph(edge_index, num_nodes=num_nodes), edge_index, tensors)


def check_rectangular_parity(
    mine: nn.Module, theirs: nn.Module, channels: tuple[int, int], *, with_target: bool = True
) -> None:
    """The same for x = (x_src, x_dst), or (x_src, None)."""
    edge_index, num_src, num_dst = RECTANGULAR
    x = (
        torch.randn(num_src, channels[0], dtype=torch.float64),
        torch.randn(num_dst, channels[1], dtype=torch.float64) if with_target else None,
    )
    adj = Adjacency.from_edge_index(edge_index, num_src=num_src, num_dst=num_dst)
    takes_size = "size" in inspect.signature(theirs.forward).parameters
    extra = {"size": (num_src, num_dst)} if takes_size else {}
    _check(mine, theirs, x, adj, edge_index, {}, **extra)


def _check(
    mine: nn.Module,
    theirs: nn.Module,
    x: tuple[Tensor | None, ...],
    graph: Graph | Adjacency,
    edge_index: Tensor,
    edges: dict[str, Tensor],
    **pyg: Any,
) -> None:
    mine, theirs = mine.double(), theirs.double()
    with torch.no_grad():
        for parameter in theirs.parameters():  # not PyG's zeros
            parameter.copy_(torch.randn_like(parameter))
    mine.load_state_dict(theirs.state_dict())
    results = []
    for module, structure, extra in ((mine, graph, {}), (theirs, edge_index, pyg)):
        leaves = [None if t is None else t.clone().requires_grad_() for t in x]
        given = {name: value.clone().requires_grad_() for name, value in edges.items()}
        out = module(leaves[0] if len(leaves) == 1 else tuple(leaves), structure, **given, **extra)
        named = {f"x[{n}]": t for n, t in enumerate(leaves) if t is not None}
        named = {**named, **given, **dict(module.named_parameters())}
        weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
        grads = torch.autograd.grad(out, list(named.values()), weights, allow_unused=True)
        filled = [torch.zeros_like(t) if g is None else g for t, g in zip(named.values(), grads)]
        results.append((out, dict(zip(named, filled))))
    (out, grads), (expected, expected_grads) = results
    assert_equal(out, expected)
    assert grads.keys() == expected_grads.keys()
    for name, grad in expected_grads.items():
        assert_equal(grads[name], grad)


def assert_equal(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
