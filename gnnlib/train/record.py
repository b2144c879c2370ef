"""The numbers of a run, as one JSON object."""

import statistics
from collections.abc import Sequence
from typing import Any

from .history import Run, TrainResult

SCHEMA = 1


def mean_std(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation (ddof = 1), which is 0 for one value.

    Example:
        >>> mean_std([1.0, 3.0])
        {'mean': 2.0, 'std': 1.4142135623730951}
    """
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": std}


def make_record(
    dataset: str,
    model: str,
    task: str,
    runs: Sequence[Run],
    results: Sequence[TrainResult],
    run_dir: str,
) -> dict[str, Any]:
    """The record of one model trained on one dataset with several seeds, and in several folds.

    Accuracies, F1 and AUC are fractions. `val`, `test` and `metrics` are mean and standard
    deviation over the seeds or, where there are folds, over the folds' means over the seeds.
    `epochs` is the mean number of epochs that ran, and `metrics` are those of the test part.
    `converged` is the fraction of the epochs in which every fixed-point solve converged, None for a
    model without.
    """
    metric = results[0].metric
    epochs = sum(len(result.history) for result in results)
    solved = [epoch.converged for result in results for epoch in result.history]
    converged = sum(map(bool, solved)) / epochs if any(c is not None for c in solved) else None
    folds = {run.fold for run in runs}

    def spread(values: Sequence[float]) -> dict[str, float]:
        if len(folds) == 1:
            return mean_std(values)
        by_fold: dict[int | None, list[float]] = {}
        for run, value in zip(runs, values, strict=True):
            by_fold.setdefault(run.fold, []).append(value)
        return mean_std([statistics.fmean(of_fold) for of_fold in by_fold.values()])

    test = [result.test[metric] for result in results]
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "model": model,
        "task": task,
        "seeds": list(dict.fromkeys(run.seed for run in runs)),
        "folds": None if folds == {None} else len(folds),
        "metric": metric,
        "val": spread([result.val[metric] for result in results]),
        "test": {**spread(test), "per_run": test},
        "metrics": {
            name: spread([result.test[name] for result in results]) for name in results[0].test
        },
        "epochs": epochs / len(results),
        "seconds_per_epoch": sum(result.seconds for result in results) / epochs,
        "converged": converged,
        "run_dir": run_dir,
    }
