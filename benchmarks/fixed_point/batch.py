"""A batch of 64 mixed graphs: rows computed when graphs that have arrived are left out.

    python -m benchmarks.fixed_point.batch

Cycles, grids, stars, trees and random graphs of 20 to 200 nodes, in equal shares, in one call of a
layer. A row is one node computed once; without freezing, every graph runs until the slowest has
arrived. Each answer is held against that of its graph alone: the stopping rule bounds the error of
both by the tolerance.
"""

import math

import torch
from torch import Tensor

from benchmarks.report import write
from gnnlib import Batch, Graph
from gnnlib.conv import GNNConv
from gnnlib.fixed_point import Auto, Contraction, Picard, Stop

FAMILIES = ("cycle", "grid", "star", "tree", "sparse", "dense", "directed", "acyclic")
DRAWS = {"sparse": 3, "dense": 12, "directed": 6, "acyclic": 3}  # random edges per node
NUM_GRAPHS, FEATURES, STATES = 64, 16, 32
TOL = 1e-4
LEAST = 2.5  # times fewer rows


def mixed(seed: int = 0) -> list[Graph]:
    generator = torch.Generator().manual_seed(seed)
    graphs = []
    for number in range(NUM_GRAPHS):
        size = int(torch.randint(20, 201, (), generator=generator))
        edges = edges_of(FAMILIES[number % len(FAMILIES)], size, generator)
        x = torch.randn(size, FEATURES, generator=generator)
        graphs.append(Graph(edges, x=x, num_nodes=size))
    return graphs


def edges_of(family: str, size: int, generator: torch.Generator) -> Tensor:
    nodes = torch.arange(size)
    if family == "cycle":
        return both(torch.stack([nodes, (nodes + 1) % size]))
    if family == "grid":
        width = math.isqrt(size)
        left, upper = nodes[:-1][nodes[1:] % width > 0], nodes[:-width]
        right, lower = left + 1, upper + width
        return both(torch.stack([torch.cat([left, upper]), torch.cat([right, lower])]))
    if family == "star":
        return both(torch.stack([torch.zeros_like(nodes[1:]), nodes[1:]]))
    if family == "tree":  # binary, directed from the root to the leaves
        return torch.stack([(nodes[1:] - 1) // 2, nodes[1:]])
    ends = torch.randint(size, (2, DRAWS[family] * size), generator=generator)
    if family == "directed":
        return ends
    return ends.sort(0)[0] if family == "acyclic" else both(ends)


def both(edges: Tensor) -> Tensor:
    return torch.cat([edges, edges.flip(0)], 1)


def row(aggr: str, kappa: float, solver: Auto | Picard) -> dict[str, object]:
    torch.manual_seed(0)
    conv = GNNConv(
        FEATURES, STATES, aggr=aggr, contraction=Contraction(kappa), solver=solver,
        stop=Stop(tol=TOL, kind="error", max_iter=2000),
    )  # fmt: skip
    graphs = mixed()
    batch = Batch.from_graphs(graphs)
    with torch.no_grad():
        states, report = conv(batch.x, batch, return_report=True)
        alone = [conv(graph.x, graph) for graph in graphs]
    parts = states.split([graph.num_nodes for graph in graphs])
    apart = [float((a - b).norm() / b.norm()) for a, b in zip(parts, alone, strict=True)]
    fewest, most = int(report.iterations.min()), int(report.iterations.max())
    to_the_last = batch.num_nodes * most
    return {
        "aggr": aggr,
        "kappa": kappa,
        "solver": type(solver).__name__,
        "steps of the first and the last graph": f"{fewest} / {most}",
        "rows, all to the last": to_the_last,
        "rows": report.node_updates,
        "× fewer": to_the_last / report.node_updates,
        "at least": LEAST if isinstance(solver, Auto) else "",
        "largest difference from the graph alone": max(apart),
    }


def main() -> None:
    rows = [
        row(aggr, kappa, solver)
        for kappa in (0.9, 0.98)
        for aggr in ("sym", "mean", "sum", "attention")
        for solver in (Auto(), Picard())
    ]
    write(
        "fixed_point_batch",
        f"A batch of {NUM_GRAPHS} mixed graphs, GNNConv, error at most {TOL:g}",
        "python -m benchmarks.fixed_point.batch",
        rows,
    )


if __name__ == "__main__":
    main()
