"""What a training leaves in numbers: one line per epoch, and the result."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Epoch(NamedTuple):
    """One line of a history; `val_*` and `train_accuracy` are measured after the epoch's step.

    `train_loss` is the loss that was stepped on, with dropout; the rest is without. `lr` is the
    learning rate of the step.

    The last four are of models with fixed-point layers, and None for others. The numbers are the
    largest of all layers and graphs, in the training pass; `residual` is None when not finite.
    """

    epoch: int  # counts from 1
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    iterations: int | None = None  # forward
    backward_iterations: int | None = None  # of the adjoint; None too when it is not solved
    residual: float | None = None  # forward
    converged: bool | None = None  # all solves: forward and backward in training, validation


@dataclass(frozen=True)
class TrainResult:
    """What one run gave; `val` and `test` hold the metrics of the best epoch's weights.

    Example:
        >>> epoch = Epoch(1, 1.9, 0.2, 1.8, 0.25, lr=0.01)
        >>> result = TrainResult([epoch], 1, {"accuracy": 0.25}, {"accuracy": 0.2}, seconds=0.5)
        >>> TrainResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
        True
    """

    history: list[Epoch]
    best_epoch: int
    val: dict[str, float]
    test: dict[str, float]
    seconds: float  # of the whole loop, validation included

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings, lists and dicts, for JSON."""
        return {**vars(self), "history": [epoch._asdict() for epoch in self.history]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "TrainResult":
        """The result that `to_dict` was called on, bit by bit."""
        return cls(**{**content, "history": [Epoch(**epoch) for epoch in content["history"]]})


OF_FIXED_POINTS = ("iterations", "backward_iterations", "residual", "converged")


def history_csv(seeds: Sequence[int], results: Iterable[TrainResult]) -> str:
    """A table with a head and one line per seed and epoch.

    It has columns for convergence if the model has fixed points.

    Example:
        >>> result = TrainResult([Epoch(1, 1.9, 0.2, 1.8, 0.25, lr=0.01)], 1, {}, {}, 0.5)
        >>> print(history_csv([7], [result]), end="")
        seed,epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr
        7,1,1.9,0.2,1.8,0.25,0.01
    """
    text = io.StringIO()
    rows = _rows(seeds, results)
    columns = rows[0] if rows else ("seed", *Epoch._fields)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def history_json(seeds: Sequence[int], results: Iterable[TrainResult]) -> str:
    """The same lines as a JSON list of objects.

    Example:
        >>> result = TrainResult([Epoch(1, 1.9, 0.2, 1.8, 0.25, lr=0.01)], 1, {}, {}, 0.5)
        >>> json.loads(history_json([7], [result]))[0]["val_loss"]
        1.8
    """
    rows = [json.dumps(row, allow_nan=False) for row in _rows(seeds, results)]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _rows(seeds: Sequence[int], results: Iterable[TrainResult]) -> list[dict[str, Any]]:
    rows = [
        {"seed": seed, **epoch._asdict()}
        for seed, result in zip(seeds, results, strict=True)
        for epoch in result.history
    ]
    if all(row["converged"] is None for row in rows):
        rows = [{k: v for k, v in row.items() if k not in OF_FIXED_POINTS} for row in rows]
    return rows
