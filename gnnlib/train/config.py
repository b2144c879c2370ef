"""The settings of one training run."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from .._errors import unknown_choice
from .loss import LOSSES

SCHEDULERS = ("cosine", "step", "plateau")
PRECISIONS = ("bf16",)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: full-batch Adam, stopped early on the validation nodes.

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
        patience: stop after so many epochs in which neither the validation accuracy nor the
            validation loss was the best so far; None runs all epochs.
        scheduler: how the learning rate changes. "cosine": along a half cosine to 0 at `epochs`
            (Loshchilov and Hutter, ICLR 2017, without restarts); "step": times `scheduler_factor`
            every `scheduler_epochs`; "plateau": times `scheduler_factor` when the validation loss
            has not fallen for more than `scheduler_epochs`; None: it stays.
        scheduler_epochs: see `scheduler`.
        scheduler_factor: see `scheduler`.
        grad_clip: scale the gradient of all parameters together down to this 2-norm; None: never.
        loss: "cross_entropy", or "mse": the quadratic loss Σ (t − o)² over the classes, its target
            t 1 for the node's class and 0 for the others, of "The Graph Neural Network Model"
            (Scarselli et al., IEEE TNN 2009). Both are averaged over the nodes.
        class_weights: the weight of each class's nodes in the loss. "balanced": n / (C·n_c), with
            n training nodes in C classes, n_c of them in class c (taken as 1 where it is 0); or C
            numbers; None: all nodes weigh the same.
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
    scheduler: Literal["cosine", "step", "plateau"] | None = None
    scheduler_epochs: int = 50
    scheduler_factor: float = 0.5
    grad_clip: float | None = None
    loss: Literal["cross_entropy", "mse"] = "cross_entropy"
    class_weights: Literal["balanced"] | tuple[float, ...] | None = None
    amp: Literal["bf16"] | None = None
    check_finite: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "decay_layers", "patience", "scheduler_epochs"):
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
        for name, choices in (("scheduler", SCHEDULERS), ("amp", PRECISIONS), ("loss", LOSSES)):
            value = getattr(self, name)
            if value not in choices and (value is not None or name == "loss"):
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
