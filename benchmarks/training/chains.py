"""GNNConv on directed chains, by the protocol of implicit GNNs (Gu et al., NeurIPS 2020).

    python -m benchmarks.training.chains
    python -m benchmarks.training.chains 200 500        # lengths

20 chains of each of 2 classes, 100 features, 5 % of the nodes to train on, 10 % to validate on,
16 states, Adam with a learning rate of 0.01, no dropout, 20 epochs. A chain has no cycle, so the
layer needs no contraction: its W starts at I and the fixed point is exact, on chains of any length.
W acts once per edge, so that its learning rate is divided by the length. The encoder has no bias:
a node without features adds nothing to what passes through it.

IGNN has 71–74 % at length 200 after 60 epochs of its code, and chance is 50 %.
"""

import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.report import table, write
from benchmarks.training.fit import fit
from gnnlib.conv import GNNConv
from gnnlib.datasets import Chains
from gnnlib.linear import Linear

LENGTHS = (10, 50, 100, 200, 500)
SEEDS = range(3)


class Model(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, state_channels: int = 16):
        super().__init__()
        self.conv = GNNConv(
            in_channels, state_channels, out_channels, aggr="mean", contraction=None
        )
        self.conv.lin = Linear(in_channels, state_channels, bias=False)

    def forward(self, x, graph):
        return self.conv(x, graph)


def accuracy(length: int, seed: int, epochs: int = 20) -> tuple[float, int, bool]:
    """Accuracy on the test nodes, the epoch of the weights, and whether every solve converged."""
    torch.manual_seed(seed)
    dataset = Chains(length, seed=seed)
    graph = dataset[0]
    model = Model(dataset.num_features, dataset.num_classes)
    converged = True

    def loss(part: str) -> torch.Tensor:
        nonlocal converged
        mask = graph[f"{part}_mask"]
        value = F.cross_entropy(model(graph.x, graph)[mask], graph.y[mask])
        report = model.conv.last_report
        converged &= report is not None and bool(report.converged.all())
        return value

    epoch = fit(model, loss, epochs, transition_lr=1 / length)
    with torch.no_grad():
        right = model(graph.x, graph).argmax(1) == graph.y
    return float(right[graph.test_mask].double().mean()), epoch, converged


def main(lengths: tuple[int, ...] = LENGTHS) -> None:
    rows: list[dict[str, object]] = []
    for length in lengths:
        start = time.perf_counter()
        runs = [accuracy(length, seed) for seed in SEEDS]
        rows.append(
            {
                "length": length,
                "test accuracy, %": 100 * sum(run[0] for run in runs) / len(runs),
                "lowest, %": 100 * min(run[0] for run in runs),
                "epoch of the weights": max(run[1] for run in runs),
                "every solve converged": all(run[2] for run in runs),
                "s a seed": (time.perf_counter() - start) / len(runs),
            }
        )
        print(rows[-1], file=sys.stderr)
    if lengths == LENGTHS:
        command = "python -m benchmarks.training.chains"
        write("chains", f"GNNConv on directed chains, {len(SEEDS)} seeds", command, rows)
    else:  # the results hold the whole table
        print(table(rows))


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or LENGTHS)
