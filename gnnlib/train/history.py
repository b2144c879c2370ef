"""What a training leaves in numbers: one line per epoch, and the result."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Epoch(NamedTuple):
    """One line of a history. The two metrics are the accuracy, or what else chooses the best epoch.

    `train_loss` is the loss that was stepped on, with dropout; of mini-batches their mean. `val_*`
    are measured after the epoch's last step, without dropout. So is `train_metric` on one graph; of
    mini-batches it is that of the outputs that were stepped on. `lr` is the learning rate.

    The last four are of models with fixed-point layers, and None for others. The numbers are the
    largest of all layers and graphs, in the training pass; `residual` is None when not finite.
    """

    epoch: int  # counts from 1
    train_loss: float
    train_metric: float
    val_loss: float
    val_metric: float
    lr: float
    iterations: int | None = None  # forward
    backward_iterations: int | None = None  # of the adjoint; None too when it is not solved
    residual: float | None = None  # forward
    converged: bool | None = None  # all solves: forward and backward in training, validation


@dataclass(frozen=True)
class Run:
    """One training of several: its seed and, where the data is split in several ways, its fold."""

    seed: int
    fold: int | None = None

    @property
    def name(self) -> str:
        return f"seed {self.seed}" if self.fold is None else f"fold {self.fold}, seed {self.seed}"

    def to_dict(self) -> dict[str, int]:
        """Without a fold where there are none."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class TrainResult:
    """What one run gave; `val` and `test` hold the metrics of the best epoch's weights.

    `metric` names the one that chose the epoch.

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
    metric: str = "accuracy"

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings, lists and dicts, for JSON."""
        return {**vars(self), "history": [epoch._asdict() for epoch in self.history]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "TrainResult":
        """The result that `to_dict` was called on, bit by bit."""
        return cls(**{**content, "history": [Epoch(**epoch) for epoch in content["history"]]})


OF_FIXED_POINTS = ("iterations", "backward_iterations", "residual", "converged")


def history_csv(runs: Sequence[Run], results: Sequence[TrainResult]) -> str:
    """A table with a head and one line per run and epoch.

    It has a column for the fold if there are any, and columns for convergence if the model has
    fixed points. The columns of the metric have its name.

    Example:
        >>> result = TrainResult([Epoch(1, 1.9, 0.2, 1.8, 0.25, lr=0.01)], 1, {}, {}, 0.5)
        >>> print(history_csv([Run(seed=7)], [result]), end="")
        seed,epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr
        7,1,1.9,0.2,1.8,0.25,0.01
    """
    text = io.StringIO()
    rows = _rows(runs, results)
    columns = rows[0] if rows else ("seed", *Epoch._fields)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def history_json(runs: Sequence[Run], results: Sequence[TrainResult]) -> str:
    """The same lines as a JSON list of objects.

    Example:
        >>> result = TrainResult([Epoch(1, 1.9, 0.2, 1.8, 0.25, lr=0.01)], 1, {}, {}, 0.5)
        >>> json.loads(history_json([Run(seed=7)], [result]))[0]["val_loss"]
        1.8
    """
    rows = [json.dumps(row, allow_nan=False) for row in _rows(runs, results)]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def read_history(rows: list[dict[str, Any]], metric: str) -> dict[Run, list[Epoch]]:
    """The epochs of each run, of what `history_json` wrote."""
    histories: dict[Run, list[Epoch]] = {}
    for row in rows:
        run = Run(row.pop("seed"), row.pop("fold", None))
        for part in ("train", "val"):
            row[f"{part}_metric"] = row.pop(f"{part}_{metric}")
        histories.setdefault(run, []).append(Epoch(**row))
    return histories


def _rows(runs: Sequence[Run], results: Sequence[TrainResult]) -> list[dict[str, Any]]:
    metric = results[0].metric if results else "accuracy"
    names = {f"{part}_metric": f"{part}_{metric}" for part in ("train", "val")}
    rows = [
        {**run.to_dict(), **{names.get(k, k): v for k, v in epoch._asdict().items()}}
        for run, result in zip(runs, results, strict=True)
        for epoch in result.history
    ]
    if all(row["converged"] is None for row in rows):
        rows = [{k: v for k, v in row.items() if k not in OF_FIXED_POINTS} for row in rows]
    return rows
