"""Pictures of training runs; needs the extra `gnnlib[plot]`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .train import TrainResult

TRAIN, VALIDATION, ACCENT = "#8a94a6", "#0a6e8a", "#d1495b"
INK, FAINT = "#222833", "#e3e7ed"


def curves(
    results: "Sequence[TrainResult]", title: str, path: str | Path | None = None
) -> "Figure":
    """Loss and accuracy over the epochs, of the training and the validation nodes.

    With several runs a line is their mean and its band one standard deviation to each side, over
    the runs that reached the epoch. A dot on the validation curve marks each run's best epoch.

    Args:
        results: the runs of one model, one per seed.
        title: stands above the picture.
        path: where to save it, as PNG, SVG or PDF by the ending; None does not save.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'gnnlib[plot]'") from error
    figure = Figure(figsize=(10, 4.2))
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.1, wspace=0.03)
    loss, accuracy = figure.subplots(1, 2)
    for axes, quantity, scale in ((loss, "loss", 1), (accuracy, "accuracy", 100)):
        _curve(axes, results, f"train_{quantity}", scale, TRAIN, "training")
        _curve(axes, results, f"val_{quantity}", scale, VALIDATION, "validation")
        _best_epochs(axes, results, f"val_{quantity}", scale)
        _dress(axes)
    loss.set_title("Loss (cross-entropy)", loc="left", fontsize=11, color=INK)
    loss.set_ylim(bottom=0)
    accuracy.set_title("Accuracy (percent)", loc="left", fontsize=11, color=INK)
    accuracy.set_ylim(0, 102)
    accuracy.legend(frameon=False, loc="best", labelcolor=INK)
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    if path is not None:
        figure.savefig(path, dpi=160)
    return figure


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
    axes.plot(epochs, mean, color=color, linewidth=1.8, label=label, zorder=2)
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


def _dress(axes: "Axes") -> None:
    axes.set_xlabel("epoch", color=INK)
    axes.tick_params(colors=INK, length=0)
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set(visible=True, color=FAINT)
