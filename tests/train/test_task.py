import math
from typing import Any

import pytest
import torch

from gnnlib.models import GCN
from gnnlib.train import Task, TrainConfig, Trainer

NAN = math.nan
CLASSES = torch.tensor([0, 1, 2, 1])
LABELS = torch.tensor([[1.0, NAN, 0.0], [0.0, 1.0, 0.0]])
NUMBERS = torch.tensor([[0.5, NAN], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (CLASSES, "classification"),
        (LABELS, "multilabel"),
        (LABELS.double(), "multilabel"),
        (torch.full((2, 2), NAN), "multilabel"),
        (NUMBERS, "regression"),
        (torch.tensor([[0.0, 1.0, -1.0]]), "regression"),
        (torch.tensor([0.0, 1.0, NAN]), "regression"),  # one number each, not one label each
    ],
    ids=str,
)
@pytest.mark.parametrize("level", ["node", "graph"])
def test_the_kind_follows_from_the_labels(level, y, kind):
    task = Task.of(level, y)
    assert (task.level, task.kind, task.name) == (level, kind, f"{level}-{kind}")
    assert task.labels == {"node": "y", "graph": "graph_y"}[level]


def test_a_kind_that_is_given_is_taken():
    assert Task.of("node", LABELS, "regression").kind == "regression"
    with pytest.raises(TypeError, match="^y must be floating, a row of 0 and 1 per node, got"):
        Task.of("node", torch.tensor([0.0, 1.0]), "multilabel")
    with pytest.raises(TypeError, match=r"a number or a row per graph, got torch\.int64 of"):
        Task.of("graph", CLASSES, "regression")
    with pytest.raises(TypeError, match=r"graph_y .* int64 class .* got torch\.float32 of shape"):
        Task.of("graph", LABELS, "classification")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (CLASSES.int(), r"one int64 class number per graph, got torch\.int32 of shape \(4,\)"),
        (CLASSES > 0, r"one int64 class number per graph, got torch\.bool"),
        (CLASSES.reshape(2, 2), r"one int64 class number per graph, .* shape \(2, 2\)"),
        (torch.tensor(3), r"one int64 class number per graph, .* shape \(\)"),
        (
            torch.rand(3).to(torch.complex64),
            r"one int64 class number per graph, got torch\.complex64",
        ),
        (torch.rand(2, 3, 4), r"a number or a row per graph, .* shape \(2, 3, 4\)"),
        (torch.tensor(0.5), r"a number or a row per graph, .* shape \(\)"),
    ],
)
def test_labels_of_another_dtype_or_shape_are_refused(y, message):
    with pytest.raises(TypeError, match=rf"^graph_y must .*{message}"):
        Task.of("graph", y)


@pytest.mark.parametrize(
    ("level", "kind", "usual"),
    [
        ("node", "classification", "accuracy"),
        ("graph", "classification", "accuracy"),
        ("node", "multilabel", "f1_micro"),
        ("graph", "multilabel", "roc_auc"),
        ("node", "regression", "rmse"),
        ("graph", "regression", "rmse"),
    ],
)
def test_each_task_has_a_usual_metric_and_another_may_be_chosen(level, kind, usual):
    assert Task(level, kind).metric == usual
    other = "mae" if kind == "regression" else "average_precision"
    assert Task(level, kind, other).metric == other
    assert Task(level, kind, other).score(0.25) == (-0.25 if other == "mae" else 0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("graph", "ranking"), "task must be one of 'classification'.*; got 'ranking'"),
        (("edge", "regression"), "level must be one of 'node', 'graph'; got 'edge'"),
        (
            ("node", "classification", "rmse"),
            "metric of a node-classification must be one of .*'f1",
        ),
        (
            ("graph", "regression", "accuracy"),
            "of a graph-regression must .* 'mae'; got 'accuracy'",
        ),
    ],
)
def test_what_a_task_does_not_have_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Task(*arguments)


def test_a_loss_is_that_of_the_task():
    Task("node", "regression").check_loss("mae")
    Task("node", "multilabel").check_loss(None)
    message = "loss of a graph-regression must be one of 'mse', 'mae'; got 'cross_entropy'"
    with pytest.raises(ValueError, match=message):
        Task("graph", "regression").check_loss("cross_entropy")
    with pytest.raises(ValueError, match="'cross_entropy'; got 'mae'"):
        Task("node", "classification").check_loss("mae")


def test_the_trainer_asks_for_metric_and_loss_at_its_door(graph):
    with pytest.raises(ValueError, match="metric of a node-classification .* got 'mae'"):
        Trainer(GCN(5, 8, 2), graph, TrainConfig(metric="mae"))
    numbers = graph.replace(y=graph.x[:, 0])
    with pytest.raises(ValueError, match="loss of a node-regression .* got 'cross_entropy'"):
        Trainer(GCN(5, 8, 1), numbers, TrainConfig(loss="cross_entropy"))


@pytest.mark.parametrize(
    ("y", "outputs"), [(CLASSES, 3), (LABELS, 3), (NUMBERS, 2), (NUMBERS[:, 0], 1)]
)
def test_the_labels_say_how_many_outputs_there_are(y, outputs):
    assert Task.of("node", y).num_outputs(y) == outputs


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        ("classification", torch.tensor([0, 2, 3]), r"in \[0, 3\) .*: {} has 3$"),
        ("classification", torch.tensor([0, 2, -1]), r"in \[0, 3\) .*: {} has -1$"),
        (
            "multilabel",
            torch.tensor([[0.0, NAN, 1.0], [1.0, 1.0, 1.0], [0.0, 2.0, 0.0]]),
            r"0, 1 or NaN .*: {} has 2\.0$",
        ),
        (
            "regression",
            torch.tensor([[0.0, NAN, 1.0], [1.0, 1.0, 1.0], [0.0, -math.inf, 0.0]]),
            r"finite, or NaN where it is missing, .*: {} has -inf$",
        ),
    ],
)
def test_a_label_that_breaks_the_rules_is_named_with_its_place(kind, y, message):
    out = torch.zeros(3, 3)
    with pytest.raises(ValueError, match="^graph_y must be " + message.format("graph 2")):
        Task("graph", kind).check_labels("the graphs of val", out, y)
    rows = torch.tensor([4, 7, 9])
    with pytest.raises(ValueError, match="^y must be " + message.format("node 9")):
        Task("node", kind).check_labels("val_mask", out, y, rows)


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_labels_must_not_all_be_missing(kind):
    y = torch.full((3, 2), NAN)
    with pytest.raises(ValueError, match="^y must have a label under test_mask, got NaN only$"):
        Task("node", kind).check_labels("test_mask", torch.zeros(3, 2), y)
    y[1, 0] = 1.0
    Task("node", kind).check_labels("test_mask", torch.zeros(3, 2), y)


@pytest.mark.parametrize(
    ("y", "shape", "message"),
    [
        (CLASSES, (4,), r"one row of class scores per node, got an output of shape \(4,\)"),
        (LABELS, (2, 2), r"one row of 3 numbers per node, got an output of shape \(2, 2\)"),
        (NUMBERS[:, 0], (2, 2), r"one row of 1 numbers per node, .* shape \(2, 2\)"),
    ],
)
def test_outputs_must_be_as_wide_as_the_labels(y, shape, message):
    with pytest.raises(ValueError, match=message):
        Task.of("node", y).check_labels("train_mask", torch.zeros(shape), y)


def weight(kind, config, num_outputs, train, val=None) -> Any:
    y = {"train": train, "val": train if val is None else val}
    return Task("graph", kind).weight(TrainConfig(class_weights=config), num_outputs, y)


def test_balanced_classes_weigh_the_same_all_together():
    y = torch.tensor([0, 0, 0, 1, 1, 3])
    assert weight("classification", "balanced", 4, y).tolist() == [6 / 12, 6 / 8, 6 / 4, 6 / 4]
    assert weight("classification", None, 4, y) is None


def test_balanced_labels_weigh_their_ones_as_much_as_their_zeros():
    y = torch.tensor([[1.0, 0.0, NAN], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, NAN, 1.0]])
    assert weight("multilabel", "balanced", 3, y).tolist() == [3.0, 3.0, pytest.approx(1 / 3)]
    assert weight("multilabel", (1, 2, 4), 3, y).tolist() == [1.0, 2.0, 4.0]


def test_numbers_weigh_what_makes_their_variance_one():
    y = torch.tensor([[1.0, 10.0, 5.0], [3.0, NAN, 5.0], [NAN, 30.0, 5.0]])
    assert weight("regression", None, 3, y).tolist() == [1.0, pytest.approx(0.01), 1.0]
    with pytest.raises(ValueError, match="for classes and labels, got a graph-regression"):
        weight("regression", "balanced", 3, y)


def test_there_is_a_weight_for_each_class_or_label():
    with pytest.raises(ValueError, match="one number per class: the model has 3, got 2$"):
        weight("classification", (1, 2), 3, CLASSES)
    with pytest.raises(ValueError, match="one number per label: the model has 3, got 4$"):
        weight("multilabel", (1, 2, 3, 4), 3, LABELS)


def test_weights_must_leave_a_label_in_each_part():
    weight("classification", (0, 1, 0), 3, CLASSES)
    message = r"class_weights \[0\.0, 1\.0, 0\.0\] .* every graph of val weight 0"
    with pytest.raises(ValueError, match=message):
        weight("classification", (0, 1, 0), 3, CLASSES, torch.tensor([0, 2]))
