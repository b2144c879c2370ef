"""A run that is complete, taken up again: its graph, its model, its history."""

import json
from pathlib import Path

import torch
from torch import nn

from ..graph import Graph
from ._checks import check_finite
from .checkpoint import load_checkpoint
from .config import METRICS
from .graph_file import find_source
from .history import Epoch, TrainResult, read_history
from .run_config import RunConfig
from .run_folder import RunFolder
from .sources import SOURCES
from .splits import Split
from .state import digest
from .task import Task


class SavedRun:
    """What `gnnlib train` has left in a folder.

    Args:
        path: the run's folder.

    Attributes:
        folder: the RunFolder.
        config: the RunConfig.

    Raises:
        FileNotFoundError: no run folder, or one of a run that is not complete.
        ValueError: a damaged or unknown config.
    """

    def __init__(self, path: str | Path):
        self.folder = RunFolder.open(path)
        if not self.folder.is_complete:
            raise FileNotFoundError(
                f"the run in {path} is not complete; `gnnlib train --resume {path}` goes on with it"
            )
        self.config = RunConfig.from_dict(self.folder.config())

    def graph(self, path: str | Path | None = None) -> Graph:
        """The graph that the run was trained on, or the one in a file, as the model wants it.

        Of a run on many graphs it is a Batch of all of them. The run's transforms are applied.

        Raises:
            ValueError: a graph with another number of features than the model takes, without x or
                with NaN in it, or a damaged file; without `path`, a graph that has changed since.
        """
        dataset = self.config.dataset
        transforms = SOURCES[dataset].transforms if dataset in SOURCES else ()
        if (names := [repr(transform) for transform in transforms]) != self.config.transforms:
            raise ValueError(
                f"{dataset} must be prepared as the run did it, by {self.config.transforms}; "
                f"this gnnlib does {names}"
            )
        graph = (
            find_source(dataset, self.config.files).graphs() if path is None else Graph.load(path)
        )
        where = dataset if path is None else path
        for transform in transforms:
            graph = transform(graph)
        if "x" not in graph:
            raise ValueError(f"the graph in {where} has no x, which the model needs")
        if len(graph.x.shape) != 2 or graph.x.shape[1] != self.config.in_channels:
            raise ValueError(
                f"x must have as many features as the run's graph, {self.config.in_channels}; "
                f"got shape {tuple(graph.x.shape)} in {where}"
            )
        check_finite("x", graph.x)
        if path is None and digest(graph) != self.config.graph:
            raise ValueError(
                f"the graph of {dataset} must be the one that the run was trained on, and has "
                "changed since; `gnnlib predict --graph FILE` takes any graph"
            )
        return graph

    @property
    def task(self) -> Task:
        """What it was trained to do."""
        config = self.config
        return Task(config.level, config.kind, self.folder.result()["metric"])

    def split(self) -> Split:
        """The rows that the best run was trained, validated and tested on."""
        config = self.config
        material = find_source(config.dataset, config.files).load(config.folds)
        return material.split(self.folder.result().get("best_fold") or 0)

    def model(self) -> nn.Module:
        """The model of the best run, in evaluation mode."""
        with torch.random.fork_rng([]):  # its first weights are drawn for nothing
            model = self.config.build(self.folder.result().get("best_choice") or {})
        model.load_state_dict(load_checkpoint(self.folder.path / "model.pt"))
        return model.eval()

    def results(self) -> list[TrainResult]:
        """History and best epoch of each run; the metrics stand in `folder.result()`.

        Raises:
            ValueError: history.json is damaged.
        """
        path, metric = self.folder.path / "history.json", self.folder.result()["metric"]
        try:
            histories = read_history(json.loads(path.read_text(encoding="utf-8")), metric)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        return [
            TrainResult(history, _best(history, metric), {}, {}, 0.0, metric)
            for history in histories.values()
        ]


def _best(history: list[Epoch], metric: str) -> int:
    score = METRICS[metric].score
    return max(history, key=lambda epoch: (score(epoch.val_metric), -epoch.val_loss)).epoch
