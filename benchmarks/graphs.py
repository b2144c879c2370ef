"""The graphs that benchmarks run on, each made from a seed or read from its source."""

import torch
from torch import Tensor

from gnnlib import Graph
from gnnlib.datasets import Planetoid
from gnnlib.transforms import NormalizeFeatures


def power_law(num_nodes: int, num_edges: int, seed: int = 0, exponent: float = 2.1) -> Tensor:
    """A directed multigraph whose in- and out-degrees follow a power law, [2, num_edges].

    Endpoints are drawn independently, node k with probability ∝ (k + 10)^(-1 / (exponent − 1)),
    under two different random numberings of the nodes.
    """
    generator = torch.Generator().manual_seed(seed)
    rank = torch.arange(num_nodes, dtype=torch.float64) + 10
    mass = rank.pow(-1 / (exponent - 1)).cumsum(0)
    draws = torch.rand(2, num_edges, generator=generator, dtype=torch.float64) * mass[-1]
    ends = torch.searchsorted(mass, draws).clamp(max=num_nodes - 1)
    names = torch.stack([torch.randperm(num_nodes, generator=generator) for _ in range(2)])
    return names.gather(1, ends)


def uniform(num_nodes: int, num_edges: int, seed: int = 0) -> Tensor:
    """A directed multigraph of independent, uniform endpoints, [2, num_edges]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(num_nodes, (2, num_edges), generator=generator)


def cora() -> Graph:
    """Cora with the public split, rows of x normalised."""
    return NormalizeFeatures()(Planetoid("cora")[0])
