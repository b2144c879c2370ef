"""Loss and metric over the epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..train.config import METRICS
from ._style import ACCENT, FAINT, INK, TRAIN, VALIDATION, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..train import TrainResult


def curves(
    results: "Sequence[TrainResult]", title: str = "", path: str | Path | None = None
) -> "Figure":
    """Loss and metric, such as the accuracy, over the epochs, of training and validation part.

    With several runs a line is their mean and its band one standard deviation to each side, over
    the runs that reached the epoch. A dot on the validation curve marks each run's best epoch.

    Args:
        results: the runs of one model, one per seed.
        title: stands above the picture.
        path: where to save it, as PNG, SVG or PDF by the ending; None does not save.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: there is no run, or a run without an epoch.

    Example:
        >>> from gnnlib.train import Epoch, TrainResult
        >>> history = [Epoch(n, 1 / n, 0.9, 2 / n, 0.8, lr=0.01) for n in (1, 2, 3)]
        >>> curves([TrainResult(history, 3, {}, {}, 1.0)], "gcn on cora").get_suptitle()
        'gcn on cora'
    """
    if not results or not all(result.history for result in results):
        raise ValueError("results must hold at least one run, each with at least one epoch")
    figure = new_figure(title, 10, 4.2)
    loss, right = figure.subplots(1, 2)
    metric = METRICS[results[0].metric]
    for axes, quantity in ((loss, "loss"), (right, "metric")):
        scale = 100 if quantity == "metric" and metric.is_fraction else 1
        _curve(axes, results, f"train_{quantity}", scale, TRAIN, "training")
        _curve(axes, results, f"val_{quantity}", scale, VALIDATION, "validation")
        _best_epochs(axes, results, f"val_{quantity}", scale)
        axes.set_xlabel("epoch", color=INK)
        axes.grid(axis="y", color=FAINT)
        axes.margins(x=0.01)
    dress(loss, "Loss")
    loss.set_ylim(bottom=0)
    name = metric.title[0].upper() + metric.title[1:]
    dress(right, f"{name} (percent)" if metric.is_fraction else name)
    if metric.is_fraction:
        right.set_ylim(0, 102)
    else:
        right.set_ylim(bottom=0)
    for axes in (loss, right):
        axes.spines["bottom"].set(visible=True, color=FAINT)
    right.legend(frameon=False, loc="best", labelcolor=INK)
    return save(figure, path)


def _curve(
    axes: "Axes",
    results: "Sequence[TrainResult]",
    quantity: str,
    scale: float,
    color: str,
    label: str,
) -> None:
    import numpy as np

    length = max(len(result.history) for result in results)
    values = np.full((len(results), length), np.nan)  # a run that stopped early ends in NaN
    for row, result in zip(values, results, strict=True):
        row[: len(result.history)] = [scale * getattr(epoch, quantity) for epoch in result.history]
    epochs = np.arange(1, length + 1)
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    marker = "o" if length == 1 else None  # a line through one point would not be seen
    axes.plot(epochs, mean, color=color, linewidth=1.8, label=label, zorder=2, marker=marker)
    if len(results) > 1:
        axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.18, linewidth=0)


def _best_epochs(
    axes: "Axes", results: "Sequence[TrainResult]", quantity: str, scale: float
) -> None:
    best = [result.best_epoch for result in results]
    values = [
        scale * getattr(result.history[result.best_epoch - 1], quantity) for result in results
    ]
    label = "best epoch" if len(results) == 1 else "best epoch of each run"
    style = {"s": 34, "color": ACCENT, "edgecolors": "white", "linewidths": 0.8, "clip_on": False}
    axes.scatter(best, values, label=label, zorder=3, **style)
