"""Mini-batches of many small graphs: an epoch of gnnlib's DataLoader against PyG's.

    python -m benchmarks loader

Molecule-like graphs: 20 to 30 nodes with 9 numbers each, 25 bonds in both directions with 3 numbers
each, one target. Both sides shuffle by the same seed and go through the same mini-batches, which
are compared first. PyG has a list of its Data, the fastest form that its documentation names.
`gnnlib, with adjacency` also gives each mini-batch the sorted edges and their transpose, which
layers would otherwise make of it.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Generator

from benchmarks import suite
from benchmarks.cases import OURS, Call, Case, Differs, Settings
from benchmarks.graphs import Edges
from benchmarks.peers import Structures, part
from gnnlib import Batch, Graph
from gnnlib.loader import DataLoader

COUNTS, SIZES = (1000, 10_000), (32, 256)
EPOCH = "one epoch"


def molecules(count: int) -> list[dict[str, Any]]:
    generator = Generator().manual_seed(0)
    found = []
    for _ in range(count):
        num_nodes = int(torch.randint(20, 31, (), generator=generator))
        bonds = torch.randint(num_nodes, (2, 25), generator=generator)
        found.append(
            {
                "edge_index": torch.cat([bonds, bonds.flip(0)], dim=1),
                "x": torch.randn(num_nodes, 9, generator=generator),
                "edge_attr": torch.randn(50, 3, generator=generator),
                "graph_y": torch.randn(1, generator=generator),
            }
        )
    return found


def shuffled(loader: Any, graphs: Any, size: int) -> Any:
    """A loader of PyG or of gnnlib; they draw the same orders."""
    return loader(graphs, size, shuffle=True, generator=Generator().manual_seed(0))


def epoch(loader: Any) -> Call:
    def call() -> tuple[()]:
        for _ in loader:
            pass
        return ()  # what is in them was compared before

    return call


def case(raw: list[dict[str, Any]], size: int) -> Case:
    graphs = [Graph(**tensors) for tensors in raw]

    def ours(with_adjacency: bool) -> Call:
        batch = Batch.from_graphs(graphs)
        if with_adjacency:
            batch.adj.transpose()
        return epoch(shuffled(DataLoader, batch, size))

    def theirs() -> Call:
        loader = part("PyG", "loader.DataLoader")
        data = [part("PyG", "data.Data")(**tensors) for tensors in raw]
        pairs = zip(shuffled(DataLoader, graphs, size), shuffled(loader, data, size), strict=True)
        for mine, other in pairs:
            wanted = {"graph_ptr": other.ptr, **{name: other[name] for name in raw[0]}}
            for name, tensor in wanted.items():
                if not torch.equal(getattr(mine, name), tensor):
                    raise Differs(name)
        return epoch(shuffled(loader, data, size))

    sides = {
        OURS: partial(ours, False),
        f"{OURS}, with adjacency": partial(ours, True),
        "PyG": theirs,
    }
    return Case("mini-batches", f"{size} graphs", EPOCH, sides)


def run(settings: Settings) -> None:
    tiny = list(settings.graphs or ()) == ["tiny"]
    counts = (40,) if tiny else COUNTS[:1] if settings.quick else COUNTS
    drawn = {count: molecules(count) for count in counts}

    def cases(s: Structures) -> Iterator[Case]:
        for size in SIZES:
            yield case(drawn[s.edges.num_edges // 50], size)

    joined = {count: Batch.from_graphs(Graph(**raw) for raw in drawn[count]) for count in counts}
    problems = [
        Edges(f"{count} molecules", batch.edge_index, batch.num_nodes)
        for count, batch in joined.items()
    ]
    suite.run("loader", "Mini-batches of molecules, CPU", settings, problems, cases)
