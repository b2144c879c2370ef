"""Accuracy on Cora's test nodes over 10 seeds, trained by each library with the same code.

    python -m benchmarks accuracy

200 epochs of Adam with a learning rate of 0.01 and a weight decay of 5e-4; the test accuracy is
that of the epoch with the best validation accuracy. A seed gives every library the same first
weights; their dropout is drawn in other orders.
"""

import math
import statistics
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import report
from benchmarks.cases import OURS, Settings
from benchmarks.graphs import Edges
from benchmarks.peers import MissingPeer, Structures
from benchmarks.training import models
from gnnlib import Graph


def train(model: nn.Module, x: Any, graph: Any, data: Graph, epochs: int) -> float:
    """Test accuracy in percent."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    best = (-1.0, 0.0)
    for _ in range(epochs):
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, graph)[data.train_mask], data.y[data.train_mask])
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            right = (model(x, graph).argmax(1) == data.y).double() * 100
        found = float(right[data.val_mask].mean()), float(right[data.test_mask].mean())
        best = max(best, found, key=lambda pair: pair[0])
    return best[1]


def run(settings: Settings) -> None:
    data = models.data(settings.graphs)
    seeds, epochs = (range(2), 50) if settings.quick else (range(10), 200)
    s = Structures(Edges("Cora", data.edge_index, data.num_nodes))
    sizes = data.num_features, int(data.y.max()) + 1
    title = f"Accuracy on Cora, {len(seeds)} seeds, {epochs} epochs"
    rows, text = [], ""
    for name in filter(settings.wants, models.OURS):
        found: dict[str, list[float]] = {}
        for seed in seeds:
            for side in (OURS, *models.sides(name)):
                torch.manual_seed(seed)
                model, x, graph = models.OURS[name](*sizes), data.x, data
                try:
                    if side != OURS:
                        model, graph = models.peer(name, model, side, s)
                        x = models.dense(data.x)
                except MissingPeer:
                    continue
                found.setdefault(side, []).append(train(model, x, graph, data, epochs))
                print(name, side, seed, found[side][-1], file=sys.stderr, flush=True)
        rows += [row(name, side, each, found[OURS]) for side, each in found.items()]
        text = report.write("accuracy", title, settings.command, rows, show=False)
    print(text)


def row(name: str, side: str, found: list[float], ours: list[float]) -> dict[str, object]:
    """`z` is the difference to gnnlib in standard errors: beyond 3 the sides are not equal."""
    difference = statistics.fmean(found) - statistics.fmean(ours)
    error = math.sqrt((statistics.variance(found) + statistics.variance(ours)) / len(found))
    return {
        "model": name,
        "side": side,
        "accuracy, %": f"{statistics.fmean(found):.2f} ± {statistics.stdev(found):.2f}",
        "difference to gnnlib": f"{difference:+.2f}",
        "z": difference / error if error else "",
        "seeds": " ".join(f"{one:.1f}" for one in found),
    }
