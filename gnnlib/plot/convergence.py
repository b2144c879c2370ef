"""How fixed points are approached, iteration by iteration."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..fixed_point import BackwardReport, Report
from ._style import ACCENT, FAINT, INK, TRAIN, VALIDATION, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..train import TrainResult

STYLES = ("-", "--", "-.", ":")  # one layer after the other


def convergence(
    reports: Mapping[str, Report],
    results: "Sequence[TrainResult]" = (),
    title: str = "",
    path: str | Path | None = None,
) -> "Figure":
    """Residual against iteration, and beside it the iterations of each epoch of a training.

    The residual is what the layer's stopping rule looks at, ‖f(z) − z‖ / ‖f(z)‖ by default. It is
    drawn on a logarithmic scale, forward and, where the adjoint was solved, backward, with the
    forward tolerance as a dotted line. Of several graphs the largest residual at each iteration is
    drawn. Layers differ in the style of their lines.

    Args:
        reports: of each layer, by its name.
        results: the runs of one model, one per seed; their mean is drawn. Without, or of models
            without fixed points, there is no second panel.
        title: stands above the picture.
        path: where to save it, as PNG, SVG or PDF by the ending; None does not save.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: there is no report.

    Example:
        >>> import torch
        >>> from gnnlib.fixed_point import solve
        >>> z, report = solve(lambda z: 0.5 * z + 1, torch.zeros(3, 1))
        >>> convergence({"conv": report}).axes[0].get_yscale()
        'log'
    """
    if not reports:
        raise ValueError("reports must hold at least one report of a fixed-point layer, got none")
    with_epochs = any(epoch.iterations is not None for run in results for epoch in run.history)
    figure = new_figure(title, 10 if with_epochs else 6, 4.2)
    residual, *epochs = figure.subplots(1, 1 + with_epochs, squeeze=False)[0]
    for number, (name, report) in enumerate(reports.items()):
        style = STYLES[number % len(STYLES)]
        layer = f", {name}" if len(reports) > 1 else ""
        _residuals(residual, report, VALIDATION, style, f"forward{layer}")
        if report.backward is not None:
            _residuals(residual, report.backward, ACCENT, style, f"backward{layer}")
    residual.set_yscale("log", nonpositive="mask")
    for tol in {report.tol for report in reports.values()}:
        residual.axhline(tol, color=TRAIN, linewidth=1, linestyle=":", label=f"tolerance {tol:.1e}")
    _frame(residual, "Relative residual", "iteration")
    for axes in epochs:
        _iterations(axes, results, "iterations", VALIDATION, "forward")
        _iterations(axes, results, "backward_iterations", ACCENT, "backward")
        axes.set_ylim(0, 1.08 * axes.dataLim.ymax)
        _frame(axes, "Iterations of each epoch", "epoch")
        axes.locator_params("y", integer=True)
    return save(figure, path)


def _residuals(
    axes: "Axes", report: Report | BackwardReport, color: str, style: str, label: str
) -> None:
    import numpy as np

    numbers = [iteration for iteration, _ in report.history]
    worst = np.array([values.max().item() for _, values in report.history], dtype=float)
    worst[worst <= 0] = np.nan  # exact: below every line of a logarithmic scale
    axes.plot(
        numbers, worst, style, color=color, linewidth=1.8, label=label, marker="o", markersize=3
    )


def _iterations(
    axes: "Axes", results: "Sequence[TrainResult]", quantity: str, color: str, label: str
) -> None:
    """The mean over the runs that reached an epoch."""
    import numpy as np

    length = max(len(result.history) for result in results)
    values = np.full((len(results), length), np.nan)
    for row, result in zip(values, results, strict=True):
        counts = [getattr(epoch, quantity) for epoch in result.history]
        row[: len(counts)] = [np.nan if count is None else count for count in counts]
    there = ~np.isnan(values).all(axis=0)
    if there.any():
        numbers = np.arange(1, length + 1)[there]
        mean = np.nanmean(values[:, there], axis=0)
        marker = "o" if length == 1 else None
        axes.plot(numbers, mean, color=color, linewidth=1.8, label=label, marker=marker)


def _frame(axes: "Axes", title: str, below: str) -> None:
    from matplotlib.ticker import MaxNLocator

    dress(axes, title)
    axes.set_xlabel(below, color=INK)
    axes.tick_params(which="minor", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT)
    axes.spines["bottom"].set(visible=True, color=FAINT)
    axes.legend(frameon=False, loc="best", labelcolor=INK)
