"""Random undirected graphs as symmetric matrices of booleans, from a generator."""

import torch
from torch import Tensor


def gnp(num_nodes: int, density: float, generator: torch.Generator) -> Tensor:
    """[N, N], each pair joined with probability `density`."""
    above = torch.rand(num_nodes, num_nodes, generator=generator).less(density).triu(1)
    return above | above.T


def connected(num_nodes: int, density: float, generator: torch.Generator) -> Tensor:
    """`gnp`, and then random edges between parts that are not joined, until one part is left."""
    joined = gnp(num_nodes, density, generator)
    part = components(joined)
    while bool((part != part[0]).any()):
        i, j = torch.randint(num_nodes, (2,), generator=generator).tolist()
        if part[i] != part[j]:
            joined[i, j] = joined[j, i] = True
            part[part == part[j]] = part[i].clone()
    return joined


def components(joined: Tensor) -> Tensor:
    """The part of the graph that each node is in, [N]."""
    from scipy.sparse.csgraph import connected_components

    return torch.from_numpy(connected_components(joined.numpy(), directed=False)[1])


def regular(num_nodes: int, degree: int, generator: torch.Generator) -> Tensor:
    """[N, N], each node joined to `degree` others."""
    import networkx

    seed = int(torch.randint(2**31, (), generator=generator))
    graph = networkx.random_regular_graph(degree, num_nodes, seed=seed)
    return torch.from_numpy(networkx.to_numpy_array(graph, nodelist=range(num_nodes)) > 0)


def edge_index_of(joined: Tensor) -> Tensor:
    """[2, E] with i → j where `joined[i, j]`, sorted by j as Adjacency has them."""
    return joined.T.nonzero().T.flip(0).contiguous()
