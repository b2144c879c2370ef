"""The folder that a run leaves behind, and works in while it runs."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .atomic import atomic_write
from .checkpoint import save_checkpoint
from .history import Run, TrainResult, history_csv, history_json

if TYPE_CHECKING:
    from .run import Outcome


class RunFolder:
    """A folder with a run's settings, history, numbers and weights.

    Files: config.json, history.csv and history.json (one line per run and epoch), result.json,
    model.pt (the best run's state_dict, loadable with `torch.load(weights_only=True)`) and, from
    the plots, curves.png. While a run is not complete, the folder `progress` in it holds what
    going on needs: checkpoints, and the results of the runs that have finished. Every file is
    written in one step: it is whole, or is not there.

    Args:
        path: a folder that does not exist yet, or is empty; for others there is `open`.

    Raises:
        FileExistsError: there is something in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     folder = RunFolder.numbered(parent, "cora-gcn")
        ...     folder.write_config({"model": "gcn"})
        ...     RunFolder.open(folder.path).config(), folder.is_complete, folder.path.name
        ({'model': 'gcn'}, False, 'cora-gcn-1')
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

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """The folder of an earlier run, complete or not.

        Raises:
            FileNotFoundError: there is no such folder, or no config.json in it.
        """
        path = Path(path)
        if not path.is_dir():
            raise FileNotFoundError(f"there is no run folder {path}")
        if not (path / "config.json").is_file():
            raise FileNotFoundError(f"{path} is no run folder: it has no config.json")
        folder = cls.__new__(cls)
        folder.path = path
        return folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from running in this folder.

        Raises:
            RuntimeError: another one does so now.
        """
        from filelock import FileLock, Timeout

        path = self.path / ".lock"
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RuntimeError(f"another process is running in {self.path}") from None
        try:
            yield
        finally:
            lock.release()

    @property
    def progress(self) -> Path:
        """The folder with what an unfinished run needs to go on."""
        return self.path / "progress"

    @property
    def is_complete(self) -> bool:
        return (self.path / "result.json").is_file()

    def config(self) -> dict[str, Any]:
        """What `write_config` was given.

        Raises:
            ValueError: the file is damaged.
        """
        return self.read_json("config.json")

    def result(self) -> dict[str, Any]:
        """What `write_result` was given.

        Raises:
            FileNotFoundError: the run is not complete.
            ValueError: the file is damaged.
        """
        if not self.is_complete:
            raise FileNotFoundError(f"the run in {self.path} is not complete: no result.json")
        return self.read_json("result.json")

    def finish(self, record: dict[str, Any], outcome: "Outcome") -> None:
        """Writes history, weights and, last, the result; the run is complete then."""
        self.write_history(outcome.runs, outcome.results)
        self.write_model(outcome.weights)
        self.write_result(record)
        shutil.rmtree(self.progress, ignore_errors=True)

    def discard(self) -> None:
        """Removes what a run without a result has left."""
        for folder in (self.progress, self.path / "tensorboard"):
            shutil.rmtree(folder, ignore_errors=True)
        for name in ("config.json", ".lock"):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else has been put there: it stays
            self.path.rmdir()

    def write_config(self, config: dict[str, Any]) -> None:
        self.write_json("config.json", config)

    def write_result(self, result: dict[str, Any]) -> None:
        self.write_json("result.json", result)

    def write_history(self, runs: Sequence[Run], results: Sequence[TrainResult]) -> None:
        self._write_text("history.csv", history_csv(runs, results))
        self._write_text("history.json", history_json(runs, results))

    def write_model(self, state_dict: dict[str, Tensor]) -> None:
        save_checkpoint(self.path / "model.pt", state_dict)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        self._write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if not isinstance(content, dict):
            raise ValueError(f"{path} is damaged: it must hold an object")
        return content

    def _write_text(self, name: str, text: str) -> None:
        with atomic_write(self.path / name) as file:
            file.write(text.encode())
