"""One training step on Cora of GCN, GraphSAGE, GAT and GIN, against PyG and DGL.

    python -m benchmarks training

All sides have the same layers, weights, dropout and optimiser (Adam, full batch). Peers get the
features dense, as their documentation has it. gnnlib gets them sparse, as its datasets give them;
`gnnlib, dense x` shows the part of the gain that is due to that.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import report, suite
from benchmarks.cases import BOTH, OURS, Call, Case, Differs, Prepare, Settings
from benchmarks.graphs import Edges
from benchmarks.peers import Structures
from benchmarks.training import models
from gnnlib import Graph


def stepper(model: nn.Module, x: Any, graph: Any, data: Graph) -> Call:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    y, mask = data.y, data.train_mask
    model.train()

    def step() -> tuple[()]:
        optimizer.zero_grad()
        F.cross_entropy(model(x, graph)[mask], y[mask]).backward()
        optimizer.step()
        return ()  # dropout differs: the weights are compared before the first step

    return step


def case(name: str, data: Graph, s: Structures) -> Case:
    x, sizes = models.dense(data.x), (data.num_features, int(data.y.max()) + 1)
    first = models.OURS[name](*sizes)
    with torch.no_grad():
        logits = first.eval()(data.x, data)

    def ours(features: Any) -> Call:
        model = models.OURS[name](*sizes)
        model.load_state_dict(first.state_dict())
        return stepper(model, features, data, data)

    def peer(side: str) -> Call:
        model, graph = models.peer(name, first, side, s)
        with torch.no_grad():
            error = float((model.eval()(x, graph) - logits).abs().max())
        if not error <= 1e-4 * float(logits.abs().max()):
            raise Differs(f"logits by up to {error:.2g}")
        if side.endswith("compiled"):
            model.compile()
        return stepper(model, x, graph, data)

    sides: dict[str, Prepare] = {
        OURS: lambda: ours(data.x),
        f"{OURS}, dense x": lambda: ours(x),
        **{side: partial(peer, side) for side in models.sides(name)},
    }
    return Case(f"{name} step", "full batch", BOTH, sides)


def run(settings: Settings) -> None:
    data = models.data(settings.graphs)
    name = "tiny" if data.num_nodes == 60 else "Cora"

    def cases(s: Structures) -> Iterator[Case]:
        for model in models.OURS:
            yield case(model, data, s)

    edges = Edges(name, data.edge_index, data.num_nodes)
    suite.run("training", f"A training step on {name}, {report.device()}", settings, [edges], cases)
