"""The settings of one training run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: full-batch Adam, stopped early on the validation nodes.

    Args:
        epochs: the most epochs to run.
        lr: Adam's learning rate.
        weight_decay: L2 penalty, added to the gradient.
        decay_layers: apply it to the first so many layers of `model.convs` only, as the GCN paper
            does with 1; None applies it to every parameter.
        patience: stop after so many epochs in which neither the validation accuracy nor the
            validation loss was the best so far; None runs all epochs.

    Raises:
        ValueError: a setting out of its range.

    Example:
        >>> TrainConfig(epochs=100).patience is None
        True
        >>> TrainConfig(epochs=0)
        Traceback (most recent call last):
        ValueError: epochs must be at least 1, got 0
    """

    epochs: int = 200
    lr: float = 0.01
    weight_decay: float = 5e-4
    decay_layers: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "decay_layers", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be positive and finite, got {self.lr}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(
                f"weight_decay must be finite and not negative, got {self.weight_decay}"
            )
