"""The graphs that benchmarks run on, each made from a seed or read from its source."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks import mirror
from gnnlib import Graph
from gnnlib.datasets import Planetoid
from gnnlib.transforms import NormalizeFeatures

LARGE = 100_000  # nodes, from which on a graph is held to the gates of large graphs


@dataclass(frozen=True)
class Edges:
    """A named graph without features."""

    name: str
    edge_index: Tensor  # [2, E]
    num_nodes: int

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    def symmetric(self) -> "Edges":
        """As many edges, or a few less, each in both directions, once, without self-loops.

        Here libraries agree on what a degree is, and on the loops that a layer adds. The edges are
        sorted by source, as PyG's loaders sort them.
        """
        source, target = self.edge_index.sort(0).values
        pairs = (source * self.num_nodes + target)[source != target].unique()
        if 2 * len(pairs) > self.num_edges:
            generator = torch.Generator().manual_seed(0)
            chosen = torch.randperm(len(pairs), generator=generator, device="cpu")
            pairs = pairs[chosen[: self.num_edges // 2].to(pairs.device)]
        source, target = pairs // self.num_nodes, pairs % self.num_nodes
        key = torch.cat([pairs, target * self.num_nodes + source]).sort().values
        ends = torch.stack([key // self.num_nodes, key % self.num_nodes])
        return replace(self, edge_index=ends)


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


def molecules(count: int, seed: int = 0) -> Tensor:
    """A batch of graphs like ZINC's: 9 to 37 atoms, a chain with branches and a few rings."""
    generator = torch.Generator().manual_seed(seed)

    def below(limit: Tensor) -> Tensor:
        return (torch.rand(len(limit), generator=generator) * limit).long()

    sizes = torch.randint(9, 38, (count,), generator=generator)
    starts = sizes.cumsum(0) - sizes
    start = starts.repeat_interleave(sizes)
    node = torch.arange(int(sizes.sum()))
    child = node[node != start]
    # Each atom but the first hangs on one of the three before it.
    parent = child - 1 - below((child - start[child]).clamp(max=3))
    molecule = torch.arange(count).repeat_interleave(3)  # three bonds that close rings
    ring = [starts[molecule] + below(sizes[molecule]) for _ in range(2)]
    bond = torch.stack([torch.cat([parent, ring[0]]), torch.cat([child, ring[1]])])
    bond = bond[:, bond[0] != bond[1]]
    return torch.cat([bond, bond.flip(0)], dim=1)


def cora() -> Graph:
    """Cora with the public split, rows of x normalised."""
    return NormalizeFeatures()(Planetoid("cora")[0])


def _planetoid(name: str) -> tuple[Tensor, int]:
    graph = Planetoid(name)[0]
    return graph.edge_index, graph.num_nodes


def _molecules(count: int) -> tuple[Tensor, int]:
    edge_index = molecules(count)
    return edge_index, int(edge_index.max()) + 1


def _drawn(kind: Callable[..., Tensor], num_nodes: int, degree: int) -> tuple[Tensor, int]:
    return kind(num_nodes, num_nodes * degree), num_nodes


READERS: dict[str, Callable[[], tuple[Tensor, int]]] = {
    "cora": lambda: _planetoid("cora"),
    "citeseer": lambda: _planetoid("citeseer"),
    "pubmed": lambda: mirror.pubmed() or _drawn(power_law, 19_717, 4),
    "computers": mirror.amazon_computers,
    "physics": mirror.coauthor_physics,
    "facebook": mirror.facebook_pages,
    "blogcatalog": mirror.blogcatalog,
    "molecules": lambda: _molecules(1000),
    "power-law-15": lambda: _drawn(power_law, 2**15, 18),
    "power-law-17": lambda: _drawn(power_law, 2**17, 18),
    "power-law-20": lambda: _drawn(power_law, 2**20, 8),
    "uniform-15": lambda: _drawn(uniform, 2**15, 18),
    "uniform-17": lambda: _drawn(uniform, 2**17, 18),
    "uniform-20": lambda: _drawn(uniform, 2**20, 8),
    "tiny": lambda: _drawn(uniform, 60, 5),  # for the tests of the suite itself
}
QUICK = ("cora", "molecules", "power-law-15", "power-law-17")
LAYERS = ("cora", "physics", "molecules", "power-law-17")
ALL = tuple(name for name in READERS if name != "tiny")


def check_names(names: Iterable[str]) -> None:
    """Raises a ValueError for a graph that does not exist."""
    for name in names:
        if name not in READERS:
            raise ValueError(f"there is no graph {name!r}; there are {', '.join(READERS)}")


def drawn(name: str, draw: Callable[[int, int], Tensor], num_nodes: int, num_edges: int) -> Edges:
    """A graph of `power_law` or `uniform`: the same for every device."""
    with torch.device("cpu"):
        edge_index = draw(num_nodes, num_edges)
    return Edges(name, edge_index.to(torch.get_default_device()), num_nodes)


def read(name: str) -> Edges:
    """One of READERS.

    Raises:
        OSError: its files are not at hand.
    """
    with torch.device("cpu"):  # the same graph for every device
        edge_index, num_nodes = READERS[name]()
    return Edges(name, edge_index.to(torch.get_default_device()), num_nodes)
