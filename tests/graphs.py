"""Named corner graphs and small helpers, shared by all tests.

`GRAPHS` maps a name to (edge_index [2, E], num_nodes), `RECTANGULAR` to (edge_index, num_src,
num_dst). Use them as `@pytest.mark.parametrize("name", GRAPHS)`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gnnlib.features import SparseFeatures
from gnnlib.graph import Graph


def _edges(*pairs: tuple[int, int]) -> Tensor:
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T.contiguous()


def random_edges(num_nodes: int, num_edges: int, seed: int = 0) -> Tensor:
    """Uniform directed edges; loops and repeated edges happen."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, num_nodes, (2, num_edges), generator=generator)


def power_law_edges(num_nodes: int, num_edges: int, seed: int = 0) -> Tensor:
    """A few nodes have most of the in- and out-edges, many have none."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.rand(2, num_edges, generator=generator).pow(4) * num_nodes
    shuffle = torch.stack([torch.randperm(num_nodes, generator=generator) for _ in range(2)])
    return shuffle.gather(1, ids.long())


def undirected(edge_index: Tensor) -> Tensor:
    """Both directions of each edge, each once, without loops, in random order."""
    edges = edge_index[:, edge_index[0] != edge_index[1]]
    both = torch.cat([edges, edges.flip(0)], dim=1).unique(dim=1)
    order = torch.randperm(both.shape[1], generator=torch.Generator().manual_seed(0))
    return both[:, order]


def _star(num_leaves: int) -> Tensor:
    return torch.stack([torch.arange(1, num_leaves + 1), torch.zeros(num_leaves, dtype=torch.long)])


def _chain(num_nodes: int) -> Tensor:
    return torch.stack([torch.arange(num_nodes - 1), torch.arange(1, num_nodes)])


GRAPHS: dict[str, tuple[Tensor, int]] = {
    "empty": (_edges(), 0),
    "one_node": (_edges(), 1),
    "one_loop": (_edges((0, 0)), 1),
    "no_edges": (_edges(), 5),
    "one_edge": (_edges((1, 0)), 2),
    "isolated_nodes": (_edges((1, 3), (3, 1), (5, 3), (1, 5)), 8),
    "self_loops": (_edges((0, 0), (0, 1), (2, 2), (1, 2), (2, 2), (3, 0)), 4),
    "all_self_loops": (_edges((2, 2), (0, 0), (1, 1)), 3),
    "repeated_edges": (_edges((0, 1), (2, 1), (0, 1), (1, 0), (0, 1), (2, 2), (2, 2)), 3),
    "star_in": (_star(40), 41),
    "star_out": (_star(40).flip(0), 41),
    "chain": (_chain(17), 17),
    "ring": (torch.cat([_chain(9), _edges((8, 0))], dim=1), 9),
    "complete": (torch.cartesian_prod(torch.arange(6), torch.arange(6)).T.contiguous(), 6),
    "unsorted": (_edges((4, 3), (0, 3), (2, 0), (4, 0), (1, 3), (3, 1), (0, 2)), 5),
    "sorted": (_edges((4, 0), (2, 0), (3, 1), (0, 3), (4, 3)), 5),
    "directed_random": (random_edges(30, 150), 30),
    "undirected_random": (undirected(random_edges(30, 80, seed=1)), 30),
    "power_law": (power_law_edges(60, 500), 60),
}

RECTANGULAR: dict[str, tuple[Tensor, int, int]] = {
    "no_sources": (_edges(), 0, 3),
    "no_destinations": (_edges(), 3, 0),
    "wide": (random_edges(20, 60, seed=2) % torch.tensor([[20], [5]]), 20, 5),
    "tall": (random_edges(20, 60, seed=3) % torch.tensor([[5], [20]]), 5, 20),
    "one_destination": (_edges((3, 0), (0, 0), (2, 0)), 4, 1),
}


def make_graph(name: str, *, sparse: bool = False, dtype: torch.dtype = torch.float32) -> Graph:
    """The corner graph with tensors of each level and kind, different in every entry."""
    edge_index, num_nodes = GRAPHS[name]
    num_edges = edge_index.shape[1]
    generator = torch.Generator().manual_seed(num_nodes + num_edges)
    x = torch.randn(num_nodes, 4, generator=generator, dtype=dtype).relu()
    return Graph(
        edge_index,
        x=SparseFeatures.from_dense(x) if sparse else x,
        edge_attr=torch.randn(num_edges, 3, generator=generator, dtype=dtype),
        y=torch.arange(num_nodes) % 3,
        num_nodes=num_nodes,
        edge_weight=torch.rand(num_edges, generator=generator, dtype=dtype) + 0.1,
        edge_type=torch.arange(num_edges) % 4,
        train_mask=torch.arange(num_nodes) % 2 == 0,
        graph_y=torch.tensor([[float(num_nodes), float(num_edges)]]),
    )


def exported(function: Callable[..., Tensor], *examples: tuple[Any, ...]) -> Callable[..., Tensor]:
    """`function` as torch.export makes it from the first example, for the sizes of all examples."""

    class Model(torch.nn.Module):
        def forward(self, *args):
            return function(*args)

    shapes: Any = torch.export.AdditionalInputs()
    for example in examples[1:]:
        shapes.add(example)
    program = torch.export.export(Model(), examples[0], dynamic_shapes=shapes, strict=False)
    return program.module()


def assert_same_graph(actual: Graph, expected: Graph) -> None:
    """Equal in class, structure, names, dtypes and every value; the adjacency too."""
    assert type(actual) is type(expected)
    assert actual.num_nodes == expected.num_nodes
    assert actual.edge_index.dtype == torch.int64
    assert torch.equal(actual.edge_index, expected.edge_index)
    assert torch.equal(actual.graph_ptr, expected.graph_ptr)
    assert set(actual.keys()) == set(expected.keys())
    for name, value in expected.items():
        assert type(actual[name]) is type(value)
        assert actual[name].shape == value.shape
        assert actual[name].dtype == value.dtype
        assert torch.equal(_dense(actual[name]), _dense(value)), name
    assert torch.equal(actual.adj.edge_index, expected.adj.edge_index)


def _dense(value: Tensor | SparseFeatures) -> Tensor:
    return value.to_dense() if isinstance(value, SparseFeatures) else value
