"""The numbers of a run, as one JSON object."""

import statistics
from collections.abc import Sequence
from typing import Any

from .history import TrainResult

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
    seeds: Sequence[int],
    results: Sequence[TrainResult],
    run_dir: str,
) -> dict[str, Any]:
    """The record of one model trained on one dataset with several seeds.

    Accuracies and F1 are fractions. `epochs` is the mean number of epochs that ran, and
    `metrics` are those of the test nodes. `converged` is the fraction of the epochs in which every
    fixed-point solve converged, None for a model without.
    """
    val = [result.val["accuracy"] for result in results]
    test = [result.test["accuracy"] for result in results]
    epochs = sum(len(result.history) for result in results)
    solved = [epoch.converged for result in results for epoch in result.history]
    converged = sum(map(bool, solved)) / epochs if any(c is not None for c in solved) else None
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "model": model,
        "task": "node-classification",
        "seeds": list(seeds),
        "folds": None,
        "metric": "accuracy",
        "val": mean_std(val),
        "test": {**mean_std(test), "per_run": test},
        "metrics": {
            name: mean_std([result.test[name] for result in results]) for name in results[0].test
        },
        "epochs": epochs / len(results),
        "seconds_per_epoch": sum(result.seconds for result in results) / epochs,
        "converged": converged,
        "run_dir": run_dir,
    }
