"""One run: models trained with several seeds, folds and settings; it goes on where it stopped."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from torch import Tensor, nn

from ..fixed_point import FixedPointWarning
from ..graph import Graph
from .checkpoint import load_checkpoint, save_checkpoint
from .config import METRICS, TrainConfig
from .examples import Data, as_split
from .history import Epoch, Run, TrainResult
from .run_folder import RunFolder
from .state import digest
from .trainer import train_seed
from .warned_once import warned_once


@dataclass(frozen=True)
class Candidate:
    """One of several settings, of which the validation part chooses.

    Args:
        build: makes a model with fresh weights for the data.
        config: how it is trained.
        name: what tells it from the others.
    """

    build: Callable[[Data], nn.Module]
    config: TrainConfig
    name: str = ""


@dataclass(frozen=True)
class Outcome:
    """The result of each run; the best one by the validation metric, and its model's state_dict.

    `chosen` says which candidate each fold was trained with, in the order of the folds.
    """

    runs: list[Run]
    results: list[TrainResult]
    best: Run
    weights: dict[str, Tensor]
    chosen: list[int] = field(default_factory=lambda: [0])

    @property
    def best_seed(self) -> int:
        return self.best.seed


@dataclass(frozen=True)
class _Training:
    """A run and the candidate it is made with."""

    run: Run
    candidate: int

    @property
    def key(self) -> str:
        fold = "" if self.run.fold is None else f"fold-{self.run.fold}-"
        candidate = f"-{self.candidate}" if self.candidate else ""
        return f"{fold}seed-{self.run.seed}{candidate}"


OnBegin: TypeAlias = Callable[[Run, Candidate], Any] | None


def train_seeds(
    build: Callable[[], nn.Module],
    graph: Data,
    config: TrainConfig,
    seeds: Sequence[int],
    folder: RunFolder,
    *,
    checkpoint_seconds: float = 30,
    on_begin: Callable[[int], Any] | None = None,
    on_epoch: Callable[[Epoch], Any] | None = None,
    on_end: Callable[[TrainResult], Any] | None = None,
) -> Outcome:
    """Trains one model per seed, and loses at most some seconds of it, whatever stops the process.

    Called again with the same arguments, it goes on where it was stopped: finished seeds are not
    trained again, the one that was running goes on from its checkpoint. On the CPU the outcome is
    bit by bit that of a call that was never stopped. `folder.finish` removes what that needs.

    Args:
        build: makes a model with fresh weights.
        graph: as for `Trainer`; the models are moved to its device.
        config: the settings.
        seeds: distinct seeds, trained in this order.
        folder: where checkpoints and results of finished seeds are kept, in `folder.progress`.
        checkpoint_seconds: see `Trainer.fit`.
        on_begin: called with each seed, also with those that are already finished.
        on_epoch: called with each epoch; for the seed that goes on from a checkpoint also with the
            epochs before it, one after the other, at once.
        on_end: called with each seed's result, also with those that are already there.

    Raises:
        ValueError: no seed, or one twice; the folder has the progress of another config, graph,
            model or list of seeds.
        KeyboardInterrupt: Ctrl-C; the checkpoint is saved.

    Example:
        >>> import tempfile
        >>> from gnnlib.datasets import Digits
        >>> from gnnlib.models import GCN
        >>> dataset = Digits()
        >>> with tempfile.TemporaryDirectory() as path:
        ...     outcome = train_seeds(
        ...         lambda: GCN(dataset.num_features, 8, dataset.num_classes),
        ...         dataset[0], TrainConfig(epochs=2), [0, 1], RunFolder(path),
        ...     )
        >>> len(outcome.results), outcome.best_seed in (0, 1)
        (2, True)
    """
    return train_folds(
        [Candidate(lambda _: build(), config)],
        [lambda: graph],
        seeds,
        folder,
        checkpoint_seconds=checkpoint_seconds,
        on_begin=None if on_begin is None else lambda run, _: on_begin(run.seed),
        on_epoch=on_epoch,
        on_end=on_end,
    )


@warned_once(FixedPointWarning)
def train_folds(
    candidates: Sequence[Candidate],
    folds: Sequence[Callable[[], Data]],
    seeds: Sequence[int],
    folder: RunFolder,
    *,
    checkpoint_seconds: float = 30,
    on_begin: OnBegin = None,
    on_epoch: Callable[[Epoch], Any] | None = None,
    on_end: Callable[[TrainResult], Any] | None = None,
) -> Outcome:
    """Trains the best of some candidates on each of several splits of the data, with each seed.

    In each fold every candidate is trained with the first seed; the one with the best validation
    metric is trained with the other seeds too, and only its results count: the test part of a
    fold has no say in what is tested on it, which is the protocol of "A Fair Comparison of Graph
    Neural Networks for Graph Classification" (Errica, Podda, Bacciu and Micheli, ICLR 2020).

    It goes on where it was stopped, as `train_seeds`, which also explains the other arguments.

    Args:
        candidates: at least one; the first wins a tie.
        folds: each gives the data of one split, as for `Trainer`. The runs have the number of their
            fold where there are several.
        on_begin: called with each run and its candidate.

    Raises:
        ValueError: no candidate, fold or seed, or a seed twice; the folder has other progress.

    Example:
        >>> import tempfile
        >>> from gnnlib.datasets import Karate
        >>> from gnnlib.models import GCN
        >>> graph = Karate()[0]
        >>> sizes = [
        ...     Candidate(lambda data, size=size: GCN(34, size, 2), TrainConfig(epochs=2))
        ...     for size in (2, 8)
        ... ]
        >>> with tempfile.TemporaryDirectory() as path:
        ...     outcome = train_folds(sizes, [lambda: graph] * 2, [0], RunFolder(path))
        >>> [run.fold for run in outcome.runs], len(outcome.chosen)
        ([0, 1], 2)
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be distinct and at least one, got {list(seeds)}")
    if not candidates or not folds:
        raise ValueError(
            f"there must be a candidate and a fold, got {len(candidates)} and {len(folds)}"
        )
    progress = _Progress(folder, digest_of(folds[0]()), candidates, seeds, len(folds))

    def trained(data: Callable[[], Data], run: Run, number: int) -> TrainResult:
        training, candidate = _Training(run, number), candidates[number]
        if on_begin is not None:
            on_begin(run, candidate)
        result = progress.results.get(training.key)
        if result is None:
            examples = data()
            model, result = train_seed(
                lambda: candidate.build(examples),
                examples,
                candidate.config,
                run.seed,
                on_epoch=on_epoch,
                checkpoint=progress.checkpoint(training),
                resume=True,
                checkpoint_seconds=checkpoint_seconds,
            )
            progress.record(training, result, model)
        if on_end is not None:
            on_end(result)
        return result

    runs: dict[_Training, TrainResult] = {}
    chosen = []
    for fold, data in enumerate(folds):
        tried: dict[_Training, TrainResult] = {}
        for number in range(len(candidates)):
            run = Run(seeds[0], fold if len(folds) > 1 else None)
            tried[_Training(run, number)] = trained(data, run, number)
        best = max(tried, key=lambda training: _score(tried[training]))  # the first among equals
        chosen.append(best.candidate)
        runs[best] = tried[best]
        for seed in seeds[1:]:
            run = Run(seed, best.run.fold)
            runs[_Training(run, best.candidate)] = trained(data, run, best.candidate)
    best = max(runs, key=lambda training: _score(runs[training]))
    return Outcome(
        [training.run for training in runs],
        list(runs.values()),
        best.run,
        load_checkpoint(progress.weights(best.key)),
        chosen,
    )


def _score(result: TrainResult) -> float:
    return METRICS[result.metric].score(result.val[result.metric])


def digest_of(data: Data) -> str:
    """A hash of the graph, or of the graphs of all parts."""
    graphs = [data] if isinstance(data, Graph) else as_split(data)
    return " ".join(digest(graph) for graph in graphs)


class _Progress:
    """What is on the disk of a run that is not complete.

    `runs.json` holds the results so far, `best-KEY.pt` the weights of the best training among them,
    `KEY.ckpt` the checkpoint of the one that runs. The weights are written before the results that
    point to them, and what is no longer needed is removed after: there is no moment at which the
    process cannot be killed.

    The best of all trainings is the best of those that count: a candidate that loses its fold is
    no better than the one that wins it.
    """

    def __init__(
        self,
        folder: RunFolder,
        content: str,
        candidates: Sequence[Candidate],
        seeds: Sequence[int],
        num_folds: int,
    ):
        self._folder = folder
        self._of = {
            "seeds": list(seeds),
            "config": [_as_json(asdict(candidate.config)) for candidate in candidates],
            "candidates": [candidate.name for candidate in candidates],
            "graph": content,
            "folds": num_folds,
        }
        self.results: dict[str, TrainResult] = {}
        folder.progress.mkdir(exist_ok=True)
        if not (folder.progress / "runs.json").is_file():
            return
        saved = folder.read_json("progress/runs.json")
        for name, value in self._of.items():
            if saved.get(name) != value:
                raise ValueError(
                    f"the run in {folder.path} must have the same {name}: "
                    f"it has {saved.get(name)}, got {value}"
                )
        self.results = {
            key: TrainResult.from_dict(result) for key, result in saved["results"].items()
        }

    def checkpoint(self, training: _Training) -> os.PathLike[str]:
        return self._folder.progress / f"{training.key}.ckpt"

    def weights(self, key: str) -> os.PathLike[str]:
        return self._folder.progress / f"best-{key}.pt"

    def record(self, training: _Training, result: TrainResult, model: nn.Module) -> None:
        """Keeps what a finished training gave, and its weights if they are the best so far."""
        self.results[training.key] = result
        best = max(self.results, key=lambda key: _score(self.results[key]))
        if best == training.key:
            save_checkpoint(self.weights(best), model.state_dict())
        results = {key: result.to_dict() for key, result in self.results.items()}
        self._folder.write_json("progress/runs.json", {**self._of, "results": results})
        for path in self._folder.progress.iterdir():
            if path.name not in ("runs.json", f"best-{best}.pt"):
                path.unlink()


def _as_json(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()
    }
