"""The folder that a run leaves behind."""

import csv
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .trainer import Epoch, TrainResult


class RunFolder:
    """A new folder with a run's settings, history, numbers and weights.

    Files: config.json, history.csv (one line per seed and epoch), result.json, model.pt (a
    state_dict, loadable with `torch.load(weights_only=True)`) and, from `plot.py`, curves.png.

    Args:
        path: a folder that does not exist yet, or is empty.

    Raises:
        FileExistsError: there is something in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     folder = RunFolder.numbered(parent, "cora-gcn")
        ...     folder.path.name
        'cora-gcn-1'
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()):
            raise FileExistsError(f"run folder {self.path} is not empty")

    @classmethod
    def numbered(cls, parent: str | Path, name: str) -> "RunFolder":
        """The first of `parent/name-1`, `parent/name-2`, … that does not exist yet."""
        parent = Path(parent)
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            path = parent / f"{name}-{number}"
            try:
                path.mkdir()  # fails for all but one of two runs that start at once
            except FileExistsError:
                continue
            return cls(path)
        raise AssertionError("unreachable")

    def discard(self) -> None:
        """Removes what a run without a result has left."""
        (self.path / "config.json").unlink(missing_ok=True)
        with suppress(OSError):  # something else has been put there: it stays
            self.path.rmdir()

    def write_config(self, config: dict[str, Any]) -> None:
        self._write_json("config.json", config)

    def write_result(self, result: dict[str, Any]) -> None:
        self._write_json("result.json", result)

    def write_history(self, seeds: Sequence[int], results: Iterable[TrainResult]) -> None:
        with open(self.path / "history.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("seed", *Epoch._fields))
            for seed, result in zip(seeds, results, strict=True):
                writer.writerows((seed, *epoch) for epoch in result.history)

    def write_model(self, state_dict: dict[str, Tensor]) -> None:
        torch.save(state_dict, self.path / "model.pt")

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, allow_nan=False)
        (self.path / name).write_text(text + "\n", encoding="utf-8")
