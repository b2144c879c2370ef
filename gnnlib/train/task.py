"""What a model is trained to do: the loss, the numbers that say how well, and which one counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .. import metrics
from .._errors import unknown_choice
from . import loss as losses
from .config import METRICS, TrainConfig

Level = Literal["node", "graph"]
Kind = Literal["classification", "multilabel", "regression"]


class Measures(NamedTuple):
    """What a kind of task is measured by and trained with."""

    usual: dict[Level, str]  # the metric that chooses, unless another is asked for
    reported: tuple[str, ...]  # beside it
    possible: tuple[str, ...]
    losses: tuple[str, ...]  # the first is the usual one


KINDS: Mapping[Kind, Measures] = {
    "classification": Measures(
        {"node": "accuracy", "graph": "accuracy"},
        ("accuracy", "f1_macro"),
        ("accuracy", "f1_macro", "f1_micro", "roc_auc", "average_precision"),
        ("cross_entropy", "mse"),
    ),
    "multilabel": Measures(
        {"node": "f1_micro", "graph": "roc_auc"},
        ("f1_micro", "f1_macro"),
        ("f1_micro", "f1_macro", "roc_auc", "average_precision", "accuracy"),
        ("cross_entropy", "mse"),
    ),
    "regression": Measures(
        {"node": "rmse", "graph": "rmse"}, ("rmse", "mae"), ("rmse", "mae"), ("mse", "mae")
    ),
}

_FUNCTIONS: Mapping[str, Callable[[Tensor, Tensor], float]] = {
    "accuracy": metrics.accuracy,
    "f1_micro": metrics.f1_micro,
    "f1_macro": metrics.f1_macro,
    "roc_auc": metrics.roc_auc,
    "average_precision": metrics.average_precision,
    "rmse": metrics.rmse,
    "mae": metrics.mae,
}

_LOSSES: Mapping[Kind, Callable[[Tensor, Tensor, str, Tensor | None], Tensor]] = {
    "classification": losses.node_loss,
    "multilabel": losses.label_loss,
    "regression": losses.value_loss,
}


@dataclass(frozen=True)
class Task:
    """One of six: nodes or graphs, with a class each, several labels each, or numbers.

    Args:
        level: "node" or "graph".
        kind: "classification": y [N] int64, a class each. "multilabel": y [N, L] floating, 0 or 1
            for each of L labels. "regression": y [N] or [N, T] floating, T numbers each. In the
            last two NaN is a label that is missing: it counts nowhere.
        metric: which number chooses the best epoch; "": accuracy, the micro F1 of nodes' labels,
            the ROC-AUC of graphs' labels, the RMSE.

    Raises:
        ValueError: an unknown level or kind, or a metric that it does not have.

    Example:
        >>> task = Task("graph", "regression")
        >>> task.name, task.metric, task.score(0.5)
        ('graph-regression', 'rmse', -0.5)
    """

    level: Level
    kind: Kind
    metric: str = ""

    def __post_init__(self) -> None:
        if self.level not in ("node", "graph"):
            raise unknown_choice("level", self.level, ("node", "graph"))
        if self.kind not in KINDS:
            raise unknown_choice("task", self.kind, KINDS)
        measures = KINDS[self.kind]
        if not self.metric:
            object.__setattr__(self, "metric", measures.usual[self.level])
        if self.metric not in measures.possible:
            raise unknown_choice(f"metric of a {self.name}", self.metric, measures.possible)

    @classmethod
    def of(cls, level: Level, y: Tensor, kind: Kind | None = None, metric: str | None = None):
        """The task that labels y are for: integers are classes; rows of floating numbers that all
        are 0, 1 or NaN are labels, and others are to be predicted as they are.

        Raises:
            TypeError: labels of another kind or shape.

        Example:
            >>> Task.of("node", torch.tensor([[1.0, 0.0], [0.0, 1.0]])).name
            'node-multilabel'
        """
        if kind is None:
            if not y.is_floating_point():
                kind = "classification"
            else:
                labels = bool(((y == 0) | (y == 1) | y.isnan()).all())
                kind = "multilabel" if y.ndim == 2 and labels else "regression"
        task = cls(level, kind, metric or "")
        task.check_kind(y)
        return task

    @property
    def name(self) -> str:
        return f"{self.level}-{self.kind}"

    @property
    def labels(self) -> str:
        """The name of the graph's tensor that has the labels."""
        return "graph_y" if self.level == "graph" else "y"

    def score(self, value: float) -> float:
        """The metric turned so that more is better."""
        return METRICS[self.metric].score(value)

    def check_kind(self, y: Tensor) -> None:
        """Raises a TypeError unless labels y have the dtype and shape of this kind of task."""
        one = f"per {self.level}"
        if self.kind == "classification":
            if y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.element_size() != 8:
                raise TypeError(
                    f"{self.labels} must hold one int64 class number {one}, "
                    f"got {y.dtype} of shape {tuple(y.shape)}"
                )
        elif not y.is_floating_point() or y.ndim not in ((2,) if self.is_multilabel else (1, 2)):
            wanted = f"a row of 0 and 1 {one}" if self.is_multilabel else f"a number or a row {one}"
            raise TypeError(
                f"{self.labels} must be floating, {wanted}, got {y.dtype} of shape {tuple(y.shape)}"
            )

    @property
    def is_multilabel(self) -> bool:
        return self.kind == "multilabel"

    def check_loss(self, kind: str | None) -> None:
        """Raises a ValueError unless the task has the loss."""
        if kind is not None and kind not in KINDS[self.kind].losses:
            raise unknown_choice(f"loss of a {self.name}", kind, KINDS[self.kind].losses)

    def num_outputs(self, y: Tensor) -> int:
        """How many outputs a model needs for labels y: C, L or T."""
        if self.kind == "classification":
            return int(y.max()) + 1
        return 1 if y.ndim == 1 else y.shape[1]

    def check_labels(self, part: str, out: Tensor, y: Tensor, rows: Tensor | None = None) -> None:
        """Raises a ValueError unless a model's outputs fit labels y, and the labels the rules.

        Args:
            part: what the labels are called in an error, such as "train_mask".
            out: outputs of the model for these labels.
            y: the labels.
            rows: the nodes that they are of; None: y has all of them.
        """
        width = 1 if y.ndim == 1 else y.shape[1]
        if out.ndim != 2 or (self.kind != "classification" and out.shape[1] != width):
            what = "class scores" if self.kind == "classification" else f"{width} numbers"
            raise ValueError(
                f"the model must give one row of {what} per {self.level}, "
                f"got an output of shape {tuple(out.shape)}"
            )
        if self.kind == "classification":
            bad, rule = (y < 0) | (y >= out.shape[1]), f"in [0, {out.shape[1]})"
            rule += f" under {part}, the model's number of classes"
        elif self.is_multilabel:
            bad, rule = ~((y == 0) | (y == 1) | y.isnan()), f"0, 1 or NaN under {part}"
        else:
            bad, rule = y.isinf(), f"finite, or NaN where it is missing, under {part}"
        if bad.any():
            place = bad.nonzero()[0]
            row = place[0] if rows is None else rows[place[0]]
            raise ValueError(
                f"{self.labels} must be {rule}: {self.level} {int(row)} has "
                f"{y[tuple(place)].item()}"
            )
        if y.is_floating_point() and y.isnan().all():
            raise ValueError(f"{self.labels} must have a label under {part}, got NaN only")

    def loss(self, out: Tensor, y: Tensor, kind: str | None, weight: Tensor | None) -> Tensor:
        """What is made small, averaged over the labels that are there."""
        kind = kind or KINDS[self.kind].losses[0]
        return _LOSSES[self.kind](out, y, kind, weight)

    def weight(self, config: TrainConfig, num_outputs: int, y: dict[str, Tensor]) -> Tensor | None:
        """The weight of each class, of each label's ones, or of each number; None: all alike.

        A number's is 1 / its variance among the training labels: so the loss, and with it the
        learning rate, means the same in any unit.

        Args:
            config: says `class_weights`.
            num_outputs: C, L or T.
            y: the labels of "train" and "val".

        Raises:
            ValueError: a wrong number of weights, or weights that leave no label.
        """
        chosen, train = config.class_weights, y["train"]
        if self.kind == "regression":
            if chosen is not None:
                raise ValueError(f"class_weights are for classes and labels, got a {self.name}")
            return losses.mean_and_deviation(train)[1] ** -2
        if chosen is None:
            return None
        if chosen == "balanced":
            if self.is_multilabel:
                ones, zeros = (train == 1).sum(0), (train == 0).sum(0)
                return zeros.clamp(min=1) / ones.clamp(min=1)
            count = train.bincount(minlength=num_outputs)
            return count.sum() / (num_outputs * count.clamp(min=1))
        if len(chosen) != num_outputs:
            what = "label" if self.is_multilabel else "class"
            raise ValueError(
                f"class_weights must have one number per {what}: the model has {num_outputs}, "
                f"got {len(chosen)}"
            )
        weight = torch.tensor(chosen, device=train.device)
        for part in ("train", "val"):
            if not self.is_multilabel and not weight[y[part]].any():
                raise ValueError(
                    f"class_weights {list(chosen)} give every {self.level} of {part} weight 0"
                )
        return weight

    def measure(self, out: Tensor, y: Tensor) -> float:
        """The metric."""
        return _measure(self.metric, out, y)

    def measures(self, out: Tensor, y: Tensor) -> dict[str, float]:
        """The metric and what else is reported of a task of this kind."""
        names = dict.fromkeys((self.metric, *KINDS[self.kind].reported))
        return {name: _measure(name, out, y) for name in names}

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level, "kind": self.kind, "metric": self.metric}


def _measure(name: str, out: Tensor, y: Tensor) -> float:
    if y.is_floating_point() and y.ndim == 1:
        out = out.squeeze(1)
    return _FUNCTIONS[name](out, y)
