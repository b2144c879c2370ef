"""GNNConv on the subgraph matching of the 2009 paper (Scarselli et al., IEEE TNN 20(1), IV-A).

    python -m benchmarks.training.subgraph_matching
    python -m benchmarks.training.subgraph_matching 10 5        # nodes of the graphs and of S

200 graphs to train on, 200 to validate on, 200 to test on, for each size of the paper: S of 3, 5
and 7 nodes in graphs of 6, 10, 14 and 18, a new S for each seed. The error is the percentage of
test nodes on the wrong side. The paper's GNNs have a mean error of 12.7 %, with 5 states.

Ours: the noisy label as 11 bumps of the noise's width around the integers, 32 states, a certified
transition (κ = 0.5) that sees the neighbours' features, and an output network that sees state and
label; cross-entropy, Adam, the epoch with the lowest validation loss.
"""

import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.report import table, write
from benchmarks.training.fit import fit
from gnnlib import Batch
from gnnlib.conv import GNNConv
from gnnlib.datasets import SubgraphMatching
from gnnlib.fixed_point import Contraction, Stop

SIZES = [(n, s) for s in (3, 5, 7) for n in (6, 10, 14, 18) if s < n]
SEEDS = range(3)


class Model(nn.Module):
    def __init__(self, state_channels: int = 32, dropout: float = 0.2):
        super().__init__()
        self.conv = GNNConv(
            11,
            state_channels,
            aggr="sum",
            act="tanh",
            neighbor_features=True,
            contraction=Contraction(0.5),
            stop=Stop(tol=1e-4),
        )
        self.readout = nn.Sequential(
            nn.Linear(state_channels + 11, state_channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(state_channels, 2),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, graph: Batch) -> Tensor:
        bumps = torch.exp(-((x - torch.arange(11.0)) ** 2) / (2 * 0.25**2))  # [N, 11]
        bumps = self.dropout(bumps)
        # The layer takes 1 − κ of what it is given.
        return self.readout(torch.cat([self.conv(4 * bumps, graph), bumps], dim=1))


def error(num_nodes: int, pattern_nodes: int, seed: int, epochs: int = 200) -> float:
    """Fraction of the test nodes that are on the wrong side."""
    torch.manual_seed(seed)
    dataset = SubgraphMatching(num_nodes, pattern_nodes, seed=seed)
    parts = zip(("train", "val", "test"), (0, 200, 400), strict=True)
    graphs = {part: Batch.from_graphs(dataset[k : k + 200]) for part, k in parts}
    model = Model()

    def loss(part: str) -> Tensor:
        return F.cross_entropy(model(graphs[part].x, graphs[part]), graphs[part].y)

    fit(model, loss, epochs, lr=0.02, weight_decay=5e-4, check_every=10)
    with torch.no_grad():
        right = model(graphs["test"].x, graphs["test"]).argmax(1) == graphs["test"].y
    return 1 - float(right.double().mean())


def main(sizes: list[tuple[int, int]] = SIZES) -> None:
    rows: list[dict[str, object]] = []
    means: list[float] = []
    for num_nodes, pattern_nodes in sizes:
        start = time.perf_counter()
        errors = [100 * error(num_nodes, pattern_nodes, seed) for seed in SEEDS]
        means.append(sum(errors) / len(errors))
        rows.append(
            {
                "nodes of S": pattern_nodes,
                "nodes of G": num_nodes,
                "test error, %": means[-1],
                "per seed": ", ".join(f"{value:.1f}" for value in errors),
                "s a seed": (time.perf_counter() - start) / len(errors),
            }
        )
        print(rows[-1], file=sys.stderr)
    mean = {"nodes of S": "all", "nodes of G": "all", "test error, %": sum(means) / len(means)}
    rows.append({**mean, "per seed": "", "s a seed": ""})
    if sizes == SIZES:
        command = "python -m benchmarks.training.subgraph_matching"
        write(
            "subgraph_matching", f"GNNConv on subgraph matching, {len(SEEDS)} seeds", command, rows
        )
    else:  # the results hold the whole table
        print(table(rows))


if __name__ == "__main__":
    given = list(map(int, sys.argv[1:]))
    main([(given[0], given[1])] if given else SIZES)
