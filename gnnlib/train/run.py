"""One run: a model trained with several seeds, which goes on where it was stopped."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from ..fixed_point import FixedPointWarning
from ..graph import Graph
from .checkpoint import load_checkpoint, save_checkpoint
from .config import TrainConfig
from .history import Epoch, TrainResult
from .run_folder import RunFolder
from .state import digest
from .trainer import train_seed
from .warned_once import warned_once


@dataclass(frozen=True)
class Outcome:
    """The result of each seed; the best one by validation accuracy, and its model's state_dict."""

    results: list[TrainResult]
    best_seed: int
    weights: dict[str, Tensor]


@warned_once(FixedPointWarning)
def train_seeds(
    build: Callable[[], nn.Module],
    graph: Graph,
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
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be distinct and at least one, got {list(seeds)}")
    progress = _Progress(folder, graph, config, seeds)
    for seed in seeds:
        if on_begin is not None:
            on_begin(seed)
        result = progress.results.get(seed)
        if result is None:
            model, result = train_seed(
                build,
                graph,
                config,
                seed,
                on_epoch=on_epoch,
                checkpoint=progress.checkpoint(seed),
                resume=True,
                checkpoint_seconds=checkpoint_seconds,
            )
            progress.record(seed, result, model)
        if on_end is not None:
            on_end(result)
    results = [progress.results[seed] for seed in seeds]
    best_seed = _best(dict(zip(seeds, results)))
    return Outcome(results, best_seed, load_checkpoint(progress.weights(best_seed)))


def _best(results: dict[int, TrainResult]) -> int:
    return max(results, key=lambda seed: results[seed].val["accuracy"])  # the first among equals


class _Progress:
    """What is on the disk of a run that is not complete.

    `seeds.json` holds the results so far, `best-N.pt` the weights of the best seed N among them,
    `seed-N.ckpt` the checkpoint of the seed that runs. The weights are written before the results
    that point to them, and what is no longer needed is removed after: there is no moment at which
    the process cannot be killed.
    """

    def __init__(self, folder: RunFolder, graph: Graph, config: TrainConfig, seeds: Sequence[int]):
        self._folder = folder
        self._of = {
            "seeds": list(seeds),
            "config": _as_json(asdict(config)),
            "graph": digest(graph),
        }
        self.results: dict[int, TrainResult] = {}
        folder.progress.mkdir(exist_ok=True)
        if not (folder.progress / "seeds.json").is_file():
            return
        saved = folder.read_json("progress/seeds.json")
        for name, value in self._of.items():
            if saved.get(name) != value:
                raise ValueError(
                    f"the run in {folder.path} must have the same {name}: "
                    f"it has {saved.get(name)}, got {value}"
                )
        self.results = {
            int(seed): TrainResult.from_dict(result) for seed, result in saved["results"].items()
        }

    def checkpoint(self, seed: int) -> os.PathLike[str]:
        return self._folder.progress / f"seed-{seed}.ckpt"

    def weights(self, seed: int) -> os.PathLike[str]:
        return self._folder.progress / f"best-{seed}.pt"

    def record(self, seed: int, result: TrainResult, model: nn.Module) -> None:
        """Keeps what a finished seed gave, and its weights if they are the best so far."""
        self.results[seed] = result
        best = _best(self.results)
        if best == seed:
            save_checkpoint(self.weights(seed), model.state_dict())
        results = {str(number): result.to_dict() for number, result in self.results.items()}
        self._folder.write_json("progress/seeds.json", {**self._of, "results": results})
        for path in self._folder.progress.iterdir():
            if path.name not in ("seeds.json", f"best-{best}.pt"):
                path.unlink()


def _as_json(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()
    }
