"""One Trainer on three sequences of graphs."""

import math
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gnnlib import Batch, Graph
from gnnlib.datasets import Dataset
from gnnlib.models import GCN, GIN, Readout, Rescaled
from gnnlib.train import GRAPH_RECIPES, Epoch, GraphSplit, TrainConfig, Trainer, train_seed
from gnnlib.train.loss import mean_and_deviation
from tests.train.many_graphs import (
    Parts,
    ends,
    gin,
    graphs,
    is_ring,
    length,
    parts,
    ring_and_large,
)

SHORT = TrainConfig(epochs=4, batch_size=10, weight_decay=0.0)
LONG = replace(SHORT, epochs=15, lr=0.03)


def test_graphs_are_classified():
    split = parts(is_ring)
    model, result = train_seed(lambda: gin(2), split, LONG, 0)
    assert result.history[-1].train_loss < result.history[0].train_loss / 2
    assert result.test["accuracy"] == result.val["accuracy"] == 1
    assert sorted(result.test) == ["accuracy", "f1_macro"]
    batch = Batch.from_graphs(split[2])
    assert torch.equal(model(batch.x, batch).argmax(1), batch.graph_y)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_numbers_are_predicted_alike_in_any_unit(loss):
    """1000 y + 50000 in place of y: the same history but for the unit of the errors."""
    histories = {}
    for unit, offset in ((1.0, 0.0), (1000.0, 5e4)):

        def build(unit: float = unit, offset: float = offset) -> nn.Module:
            y = torch.cat([graph.graph_y for graph in parts(length)[0]])
            return Rescaled(gin(1).double(), *mean_and_deviation(unit * y.double() + offset))

        data: Any = tuple(
            [g.replace(x=g.x.double(), graph_y=unit * g.graph_y.double() + offset) for g in part]
            for part in parts(length)
        )
        result = train_seed(build, data, replace(SHORT, loss=loss, lr=0.02, epochs=8), 0)[1]
        assert sorted(result.test) == ["mae", "rmse"]
        assert result.metric == "rmse"
        best = min(epoch.val_metric for epoch in result.history)
        assert best == result.val["rmse"] == result.history[result.best_epoch - 1].val_metric
        histories[unit] = [
            (epoch.train_loss, epoch.val_loss, epoch.train_metric / unit, epoch.val_metric / unit)
            for epoch in result.history
        ]
    torch.testing.assert_close(
        torch.tensor(histories[1.0]), torch.tensor(histories[1000.0]), rtol=1e-5, atol=1e-6
    )
    assert histories[1.0][-1][0] < histories[1.0][0][0]


def test_several_labels_some_of_them_missing():
    split = parts(ring_and_large)
    assert all(any(graph.graph_y.isnan().any() for graph in part) for part in split)
    result = train_seed(lambda: gin(2), split, replace(LONG, class_weights="balanced"), 0)[1]
    assert result.metric == "roc_auc"
    assert sorted(result.test) == ["f1_macro", "f1_micro", "roc_auc"]
    assert result.test["roc_auc"] > 0.75


def test_nodes_of_many_graphs():
    split = parts(ends, name="y")
    model, result = train_seed(lambda: GIN(2, 16, 2, dropout=0.0), split, LONG, 0)
    assert result.test["accuracy"] == 1
    batch = Batch.from_graphs(split[1])
    right = (model(batch.x, batch).argmax(1) == batch.y).float().mean().item()
    assert result.val["accuracy"] == pytest.approx(right)


def test_the_labels_of_graphs_go_before_those_of_nodes():
    both = [graph.replace(y=ends(True, graph.num_nodes)) for graph in graphs(9, is_ring)]
    trainer = Trainer(gin(2), (both[:3], both[3:6], both[6:]))
    assert trainer.task.name == "graph-classification"


class Watching(nn.Module):
    """Notes the sizes of the graphs of each mini-batch it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(2, 2)
        self.steps: list[list[int]] = []

    def forward(self, x: Tensor, graph: Batch) -> Tensor:
        if self.training:
            self.steps.append(graph.graph_ptr.diff().tolist())
        return self.lin(x[graph.graph_ptr[:-1]])


@pytest.mark.parametrize(
    ("batch_size", "steps"), [(10, [8, 8, 8]), (7, [6] * 4), (23, [12, 12]), (24, [24]), (99, [24])]
)
def test_the_graphs_are_spread_evenly_over_few_mini_batches(batch_size, steps):
    model = Watching()
    Trainer(model, parts(is_ring), replace(SHORT, batch_size=batch_size, epochs=2)).fit()
    assert [len(step) for step in model.steps] == steps * 2


def test_each_epoch_sees_each_graph_once_in_a_new_order_that_the_seed_gives():
    def sizes(seed: int) -> list[list[int]]:
        data = parts(is_ring)
        model, _ = train_seed(Watching, data, replace(SHORT, epochs=3), seed)
        assert isinstance(model, Watching)
        return [[*chain(*model.steps[3 * n : 3 * n + 3])] for n in range(3)]

    first, again, other = sizes(0), sizes(0), sizes(1)
    expected = Counter(graph.num_nodes for graph in parts(is_ring)[0])
    assert all(Counter(epoch) == expected for epoch in first)
    assert first[0] != first[1] != first[2]
    assert first == again != other


def test_an_epoch_says_what_its_steps_gave_and_what_the_validation_then_is():
    split = parts(is_ring)
    model = Readout(GCN(2, 8, 2, dropout=0.0), "mean")
    seen: list[tuple[float, float]] = []

    def look(epoch: Epoch) -> None:
        batch = Batch.from_graphs(split[1])
        out = model(batch.x, batch)
        loss = nn.functional.cross_entropy(out, batch.graph_y).item()
        seen.append(((out.argmax(1) == batch.graph_y).float().mean().item(), loss))

    config = replace(SHORT, lr=1e-30, batch_size=10)  # so that all steps have the same weights
    history = Trainer(model, split, config, on_epoch=look).fit().history
    assert [epoch.val_metric for epoch in history] == pytest.approx([metric for metric, _ in seen])
    assert [epoch.val_loss for epoch in history] == pytest.approx([loss for _, loss in seen])
    batch = Batch.from_graphs(split[0])
    with torch.no_grad():
        out = model.train()(batch.x, batch)
    loss = nn.functional.cross_entropy(out, batch.graph_y).item()
    for epoch in history:
        assert epoch.train_loss == pytest.approx(loss, rel=1e-5)
        accuracy = (out.argmax(1) == batch.graph_y).float().mean().item()
        assert epoch.train_metric == pytest.approx(accuracy)


def test_lists_batches_and_datasets_are_the_same_data():
    lists = parts(is_ring)
    batches = GraphSplit(*map(Batch.from_graphs, lists))
    datasets = tuple(
        Dataset("rings", part, num_classes=2, licence="", citation="") for part in lists
    )
    histories = [train_seed(lambda: gin(2), d, SHORT, 0)[1].history for d in (lists, batches)]
    mixed = (datasets[0], batches[1], lists[2])
    histories.append(train_seed(lambda: gin(2), mixed, SHORT, 0)[1].history)
    assert histories[0] == histories[1] == histories[2]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("label", [is_ring, length, ring_and_large])
def test_resumed_is_uninterrupted(label, tmp_path):
    split, path = parts(label), tmp_path / "a.ckpt"
    config = replace(SHORT, epochs=7, scheduler="step", scheduler_epochs=2)

    outputs = 1 if label is length else 2

    def build() -> nn.Module:
        return Readout(GIN(2, 8, outputs, dropout=0.5), "sum")

    def kill(epoch: Epoch) -> None:
        if epoch.epoch in stops:
            stops.remove(epoch.epoch)
            raise Killed

    model, whole = train_seed(build, split, config, 1)
    stops = {2, 5}
    while stops:
        with pytest.raises(Killed):
            train_seed(build, split, config, 1, kill, path, True, 0)
    again, resumed = train_seed(build, split, config, 1, None, path, True, 0)
    assert {**resumed.to_dict(), "seconds": 0} == {**whole.to_dict(), "seconds": 0}
    weights, expected = again.state_dict(), model.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_checkpoint_of_other_graphs_is_refused(tmp_path):
    path, split = tmp_path / "a.ckpt", parts(is_ring)
    train_seed(lambda: gin(2), split, SHORT, 0, None, path)
    for part, name in enumerate(("train", "val", "test")):
        other: Any = list(split)
        other[part] = split[part][::-1]
        with pytest.raises(ValueError, match=f"another graph: {name} content was"):
            train_seed(lambda: gin(2), GraphSplit(*other), SHORT, 0, None, path, True)


def test_solves_are_counted_over_all_mini_batches(monkeypatch):
    monkeypatch.setattr("gnnlib.train.examples.WITHOUT_GRADIENT", 1)
    split = parts(is_ring)
    model = GRAPH_RECIPES["gnn"].override(hidden_channels=8, state_channels=4).build(2, 2)
    result = Trainer(model, split, replace(SHORT, batch_size=5)).fit()
    for epoch in result.history:
        assert epoch.converged and epoch.residual is not None and epoch.residual < 1e-2
        assert (epoch.iterations or 0) > 1 and (epoch.backward_iterations or 0) > 0


class Reporting(Watching):
    """Its solve fails for the mini-batch that begins with the first validation graph."""

    def __init__(self, first: Graph, report: type) -> None:
        super().__init__()
        self.first, self.report, self.last_report = first.num_nodes, report, None

    def forward(self, x: Tensor, graph: Batch) -> Tensor:
        bad = not self.training and int(graph.graph_ptr[1]) == self.first
        self.last_report = self.report(not bad)
        return super().forward(x, graph)


def test_a_solve_that_fails_in_one_mini_batch_of_the_validation_is_told(monkeypatch):
    class Solve:
        backward = None

        def __init__(self, converged: bool) -> None:
            self.iterations, self.residual = torch.tensor([3]), torch.tensor([0.5])
            self.converged = torch.tensor([converged])

    monkeypatch.setattr("gnnlib.train.examples.WITHOUT_GRADIENT", 1)
    split = parts(is_ring)
    alike = [g for g in split[1][1:] if g.num_nodes != split[1][0].num_nodes]
    split = split[0], [split[1][0], *alike], split[2]
    model = Reporting(split[1][0], Solve)
    result = Trainer(model, split, replace(SHORT, batch_size=5)).fit()
    assert [epoch.converged for epoch in result.history] == [False] * 4


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_part_must_have_graphs(part):
    verb = {"train": "train", "val": "validate", "test": "test"}[part]
    split = GraphSplit(*parts(is_ring))._replace(**{part: []})
    with pytest.raises(ValueError, match=f"the graphs to {verb}: it must have at least one graph"):
        Trainer(gin(2), split)
    for what in (None, split.train + [None], (g for g in split.train)):
        with pytest.raises(TypeError, match=f"the graphs to {verb}: "):
            Trainer(gin(2), split._replace(**{part: what}))


@pytest.mark.parametrize("data", [None, [], ([], [])], ids=str)
def test_three_sequences_are_asked_for(data):
    with pytest.raises(TypeError, match="must be a Graph with masks, or a tuple of three"):
        Trainer(gin(2), data)


def test_graphs_must_be_alike():
    split = parts(is_ring)
    odd = split[0][0].replace(x=torch.ones(split[0][0].num_nodes, 3))
    with pytest.raises(ValueError, match="the graphs to validate: x must be alike in all graphs"):
        Trainer(gin(2), (split[0], [*split[1], odd], split[2]))


def changed(split: Parts, part: int, **tensors: Tensor | None) -> Parts:
    batches = list(map(Batch.from_graphs, split))
    batches[part] = batches[part].replace(**tensors)
    return tuple(batches)  # pyright: ignore[reportReturnType]


NODES = [sum(graph.num_nodes for graph in part) for part in parts(is_ring)]


@pytest.mark.parametrize(
    ("part", "tensors", "error", "message"),
    [
        (0, {"graph_y": None}, ValueError, "training needs y; the graphs of train have edge_index"),
        (2, {"graph_y": None}, ValueError, "training needs graph_y; the graphs of test have"),
        (1, {"x": None}, ValueError, "training needs x; the graphs of val have"),
        (1, {"x": torch.ones(NODES[1], 3)}, ValueError, "in all parts: 2 to train, 3 in .* of val"),
        (
            0,
            {"x": torch.ones(NODES[0], 2).long()},
            TypeError,
            r"x of the graphs of train must be floating .* torch\.int64",
        ),
        (
            2,
            {"x": torch.full((NODES[2], 2), math.nan)},
            ValueError,
            r"x of the graphs of test must be finite .*, the first of them at node 0$",
        ),
        (
            1,
            {"graph_y": torch.rand(12)},
            TypeError,
            r"graph_y .* alike .*int64 of .* torch\.float32 .* val",
        ),
        (
            1,
            {"graph_y": torch.full((12,), 2)},
            ValueError,
            r"in \[0, 2\).* of val.*: graph 0 has 2",
        ),
        (2, {"graph_y": torch.full((12,), -1)}, ValueError, "of test, .*: graph 0 has -1"),
    ],
)
def test_what_stands_in_the_way_is_named(part, tensors, error, message):
    with pytest.raises(error, match=message):
        Trainer(gin(2), changed(parts(is_ring), part, **tensors)).fit()


def test_labels_must_be_there_in_each_part():
    split = changed(parts(length), 1, graph_y=torch.full((12,), math.nan))
    with pytest.raises(ValueError, match="graph_y must have a label under the graphs of val, got"):
        Trainer(gin(1), split).fit()
    split = changed(parts(length), 1, graph_y=torch.full((12,), math.inf))
    with pytest.raises(ValueError, match="graph_y must be finite.* of val: graph 0 has inf"):
        Trainer(gin(1), split).fit()


def test_a_model_of_nodes_needs_a_readout():
    message = r"per graph: graph has num_graphs=24, .*gnnlib\.models\.Readout makes one row"
    with pytest.raises(ValueError, match=message):
        Trainer(GCN(2, 8, 2), parts(is_ring)).fit()
    with pytest.raises(ValueError, match=rf"per node: graph has num_nodes={NODES[0]}, .*\(24, 2\)"):
        Trainer(gin(2), parts(ends, "y")).fit()


@pytest.mark.parametrize(
    ("label", "outputs", "message"),
    [
        (is_ring, 2, "roc_auc of the graphs of val: y must hold each of 2 classes"),
        (ring_and_large, 2, "roc_auc of the graphs of val: y must have a column with both"),
    ],
)
def test_a_metric_may_need_labels_that_are_not_there(label, outputs, message):
    split = parts(label)
    rings = [graph for graph in split[1][::2] if graph.num_nodes > 5]
    with pytest.raises(ValueError, match=message):
        Trainer(gin(outputs), (split[0], rings, split[2]), TrainConfig(metric="roc_auc")).fit()
