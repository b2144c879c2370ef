"""GNNConv on the small tasks of the 2009 papers (Scarselli et al., IEEE TNN 20(1), both articles).

    python -m benchmarks.training.synthetic
    python -m benchmarks.training.synthetic tree_depth      # one of them

Each trains one GNNConv and a readout that sees states and features. The column "trivial" has what
an answer that ignores the graph reaches: the most frequent class, or the mean of the targets. For
numbers, the error is Σ|o − y| / Σ|y| over the test nodes.
"""

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.report import table, write
from benchmarks.training.fit import fit
from gnnlib import Batch, Graph, ops
from gnnlib.conv import GNNConv
from gnnlib.datasets import (
    CliqueDetection,
    HalfHot,
    NeighborCount,
    Parity,
    TreeDepth,
    WebPageRanking,
)
from gnnlib.fixed_point import Contraction

Row = dict[str, object]


class Model(nn.Module):
    """A readout of states and features: a line, or a network with one hidden layer."""

    def __init__(
        self, features: int, outputs: int, states: int = 16, hidden: int = 32, **conv: Any
    ):
        super().__init__()
        self.conv = GNNConv(features, states, **conv)
        width = states + features
        self.readout: nn.Module = nn.Linear(width, outputs)
        if hidden:
            layers = nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, outputs)
            self.readout = nn.Sequential(*layers)

    def forward(self, graph: Graph) -> Tensor:
        return self.readout(torch.cat([self.conv(graph.x, graph), graph.x], dim=1))


def classify(graph: Graph, model: Model, epochs: int) -> tuple[float, float]:
    """Error on the test nodes, in percent: ours and that of the most frequent class."""

    def loss(part: str) -> Tensor:
        mask = graph[f"{part}_mask"]
        return F.cross_entropy(model(graph)[mask], graph.y[mask])

    fit(model, loss, epochs)
    test, common = graph.test_mask, graph.y[graph.train_mask].mode().values
    with torch.no_grad():
        wrong = (model(graph).argmax(1) != graph.y)[test]
    trivial = (graph.y != common)[test]
    return 100 * float(wrong.double().mean()), 100 * float(trivial.double().mean())


def regress(graph: Graph, model: Model, epochs: int, lr: float = 0.01) -> tuple[float, float]:
    """Σ|o − y| / Σ|y| on the test nodes, in percent: ours and that of the mean."""

    def loss(part: str) -> Tensor:
        mask = graph[f"{part}_mask"]
        return F.mse_loss(model(graph).squeeze(1)[mask], graph.y[mask])

    fit(model, loss, epochs, lr=lr)
    y, mean = graph.y[graph.test_mask], graph.y[graph.train_mask].mean()
    with torch.no_grad():
        out = model(graph).squeeze(1)[graph.test_mask]
    return tuple(100 * float((o - y).abs().sum() / y.abs().sum()) for o in (out, mean))  # pyright: ignore[reportReturnType]


def clique_detection() -> tuple[float, float]:
    graph = _joined(CliqueDetection())
    graph = graph.replace(x=graph.x / 10)
    conv = {"aggr": "sum", "transition": "mlp", "neighbor_features": True}
    return classify(graph, Model(1, 2, contraction=Contraction(0.7), **conv), epochs=300)


def parity() -> tuple[float, float]:
    return classify(Parity()[0], Model(4, 2), epochs=500)


def neighbor_count(order: int = 1) -> tuple[float, float]:
    graph = NeighborCount(order=order)[0]
    conv = {"aggr": "sum", "neighbor_features": True, "contraction": Contraction(0.5)}
    return regress(graph, Model(1, 1, hidden=0, **conv), epochs=500, lr=0.05)


def tree_depth() -> tuple[float, float]:
    # A tree has no cycle: W starts at I, and can count to any depth.
    model = Model(1, 1, hidden=0, aggr="mean", contraction=None)
    return regress(TreeDepth()[0], model, epochs=300)


def web_page_ranking() -> tuple[float, float]:
    graph = WebPageRanking()[0]
    source = graph.edge_index[0]
    share = 1 / torch.bincount(source, minlength=graph.num_nodes)[source]
    model = Model(2, 1, aggr="sum", contraction=None)
    return regress(graph.replace(edge_weight=share.float()), model, epochs=500)


def half_hot() -> tuple[float, float]:
    """Graphs without as many marks as they should have, in percent: with random labels, equal."""
    return _half_hot(_joined(HalfHot(num_features=4))), _half_hot(_joined(HalfHot(max_label=None)))


def _half_hot(graph: Batch) -> float:
    graph = graph.replace(x=graph.x / 10)
    conv = {"aggr": "sum", "transition": "mlp", "neighbor_features": True}
    model = Model(graph.num_features, 1, contraction=Contraction(0.5), **conv)

    def marks() -> Tensor:
        return model(graph).squeeze(1).tanh()

    def total(values: Tensor) -> Tensor:
        return ops.segment_reduce(graph.graph_ptr, values)

    def loss(part: str) -> Tensor:
        inside = graph[f"{part}_mask"].float()
        out = marks()
        terms = total(out * inside).square().sum() + ((1 - out.square()).square() * inside).sum()
        return terms / inside.sum()

    fit(model, loss, epochs=150)
    with torch.no_grad():
        hot = total((marks() > 0).float())
    tested = total(graph.test_mask.float()) > 0
    return 100 * float((hot != graph.graph_y)[tested].double().mean())


def _joined(dataset: Iterable[Graph]) -> Batch:
    return Batch.from_graphs(dataset)


TASKS: dict[str, tuple[Callable[[], tuple[float, float]], str]] = {
    "clique_detection": (clique_detection, "nodes, %"),
    "parity": (parity, "nodes, %"),
    "neighbor_count": (neighbor_count, "relative, %"),
    "second_neighbor_count": (partial(neighbor_count, order=2), "relative, %"),
    "tree_depth": (tree_depth, "relative, %"),
    "web_page_ranking": (web_page_ranking, "relative, %"),
    "half_hot": (half_hot, "graphs, %; trivial: equal labels"),
}


def main(names: Iterable[str] = TASKS) -> None:
    rows: list[Row] = []
    for name in names:
        torch.manual_seed(0)
        task, unit = TASKS[name]
        ours, trivial = task()
        rows.append({"task": name, "error of": unit, "GNNConv": ours, "trivial": trivial})
        print(rows[-1], file=sys.stderr)
    if list(names) == list(TASKS):
        command = "python -m benchmarks.training.synthetic"
        write("synthetic", "GNNConv on the small tasks of the 2009 papers", command, rows)
    else:  # the results hold the whole table
        print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:] or TASKS)
