"""The settings of one training run."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, NamedTuple

from .._errors import unknown_choice
from .loss import LOSSES

SCHEDULERS = ("cosine", "step", "plateau")
PRECISIONS = ("bf16",)
TASKS = ("classification", "multilabel", "regression")


class Metric(NamedTuple):
    """How a metric is spoken of."""

    title: str
    more_is_better: bool = True
    is_fraction: bool = True  # shown in percent

    def score(self, value: float) -> float:
        """The value turned so that more is better."""
        return value if self.more_is_better else -value


METRICS = {
    "accuracy": Metric("accuracy"),
    "f1_micro": Metric("micro F1"),
    "f1_macro": Metric("macro F1"),
    "roc_auc": Metric("ROC-AUC"),
    "average_precision": Metric("average precision"),
    "rmse": Metric("RMSE", more_is_better=False, is_fraction=False),
    "mae": Metric("MAE", more_is_better=False, is_fraction=False),
}


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: Adam, stopped early on the validation part.

    `dataclasses.asdict` gives what JSON can hold, and `TrainConfig(**settings)` takes it back.

    Args:
        epochs: the most epochs to run.
        lr: Adam's learning rate at the start.
        transition_lr: what `lr` is multiplied by for the parameters in the model's
            `transition_parameters()`, if it has such a method: those inside a fixed point, where
            a small step moves the result far. 0 leaves them as they are.
        weight_decay: L2 penalty, added to the gradient.
        decay_layers: apply it to the first so many layers of `model.convs` only, as the GCN paper
            does with 1; None applies it to every parameter.
        patience: stop after so many epochs in which neither the validation metric nor the
            validation loss was the best so far; None runs all epochs.
        batch_size: graphs in a mini-batch, at most; the graphs are spread evenly over as few
            mini-batches as there can be. A single graph is always one batch.
        scheduler: how the learning rate changes. "cosine": along a half cosine to 0 at `epochs`
            (Loshchilov and Hutter, ICLR 2017, without restarts); "step": times `scheduler_factor`
            every `scheduler_epochs`; "plateau": times `scheduler_factor` when the validation loss
            has not fallen for more than `scheduler_epochs`; None: it stays.
        scheduler_epochs: see `scheduler`.
        scheduler_factor: see `scheduler`.
        grad_clip: scale the gradient of all parameters together down to this 2-norm; None: never.
        loss: "cross_entropy", or "mse": the quadratic loss Σ (t − o)² over the classes, its target
            t 1 for the true class and 0 for the others, of "The Graph Neural Network Model"
            (Scarselli et al., IEEE TNN 2009). Of several labels, the cross-entropy of each one's
            sigmoid, or the square of what it misses. Of numbers, "mse", or "mae": the absolute
            error, both divided by the (squared) standard deviation of the training labels. All are
            averaged. None: "mse" for numbers, "cross_entropy" for the rest.
        class_weights: the weight of each class in the loss. "balanced": n / (C·n_c), with
            n training labels of C classes, n_c of them of class c (taken as 1 where it is 0); or C
            numbers; None: all weigh the same. Of several labels, the weight of each one's ones
            against its zeros; "balanced": how many more zeros than ones it has.
        task: "classification" (a class each), "multilabel" (several labels each) or "regression"
            (numbers); None: what the labels look like, as `Task.of` has it.
        metric: what the best epoch has most of (or least, of an error): "accuracy", "f1_micro",
            "f1_macro", "roc_auc" or "average_precision" of classes and labels, "rmse" or "mae" of
            numbers. None:
            accuracy of classes, micro F1 of nodes' labels, ROC-AUC of graphs' labels, RMSE.
        amp: "bf16" runs the model under bfloat16 autocast; None in the dtype of x.
        check_finite: look at every layer's output and gradient, and raise an error that names the
            first layer and node that is NaN or infinite. It costs time: for finding a cause.

    Raises:
        ValueError: a setting out of its range.
        TypeError: a setting of a wrong kind.

    Example:
        >>> TrainConfig(epochs=100).patience is None
        True
        >>> TrainConfig(epochs=0)
        Traceback (most recent call last):
        ValueError: epochs must be at least 1, got 0
    """

    epochs: int = 200
    lr: float = 0.01
    transition_lr: float = 0.1
    weight_decay: float = 5e-4
    decay_layers: int | None = None
    patience: int | None = None
    batch_size: int = 32
    scheduler: Literal["cosine", "step", "plateau"] | None = None
    scheduler_epochs: int = 50
    scheduler_factor: float = 0.5
    grad_clip: float | None = None
    loss: Literal["cross_entropy", "mse", "mae"] | None = None
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    task: Literal["classification", "multilabel", "regression"] | None = None
    metric: str | None = None
    amp: Literal["bf16"] | None = None
    check_finite: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "decay_layers", "patience", "batch_size", "scheduler_epochs"):
            value = getattr(self, name)
            if value is None and name in ("decay_layers", "patience"):
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("lr", "transition_lr", "weight_decay", "scheduler_factor", "grad_clip"):
            value = getattr(self, name)
            if not (value is None and name == "grad_clip"):
                _check_number(name, value)
        if self.lr <= 0:
            raise ValueError(f"lr must be positive and finite, got {self.lr}")
        for name in ("transition_lr", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 < self.scheduler_factor < 1:
            raise ValueError(
                f"scheduler_factor must be between 0 and 1, got {self.scheduler_factor}"
            )
        if self.grad_clip is not None and self.grad_clip <= 0:
            raise ValueError(f"grad_clip must be positive, got {self.grad_clip}")
        named = {"scheduler": SCHEDULERS, "amp": PRECISIONS, "loss": LOSSES}
        named |= {"task": TASKS, "metric": METRICS}
        for name, choices in named.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise unknown_choice(name, value, choices)
        if not isinstance(self.check_finite, bool):
            raise TypeError(f"check_finite must be a bool, got {self.check_finite!r}")
        if self.class_weights is not None:
            object.__setattr__(self, "class_weights", _as_class_weights(self.class_weights))


def _check_number(name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def _as_class_weights(value: Any) -> Literal["balanced"] | tuple[float, ...]:
    if isinstance(value, str):
        if value != "balanced":
            raise unknown_choice("class_weights", value, ["balanced"])
        return "balanced"
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"class_weights must be 'balanced' or one number a class, got {value!r}")
    for number, weight in enumerate(value):
        _check_number(f"class_weights[{number}]", weight)
        if weight < 0:
            raise ValueError(f"class_weights must not be negative, got {weight} at {number}")
    if not any(value):
        raise ValueError(f"class_weights must have a positive entry, got {list(value)}")
    return tuple(float(weight) for weight in value)
