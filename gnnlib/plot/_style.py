"""What all pictures share: one palette, one kind of figure, one way to save it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VALIDATION, ACCENT = "#8a94a6", "#0a6e8a", "#d1495b"
INK, FAINT = "#222833", "#e3e7ed"
CLASSES = (
    *("#0a6e8a", "#d1495b", "#edae49", "#66a182", "#6c5b9e"),
    *("#8d5a2b", "#e28bb5", "#5c6675", "#a3bf45", "#4fb6d8"),
)


def new_figure(title: str, width: float, height: float) -> "Figure":
    """An empty figure with a title, `width` × `height` inches.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'gnnlib[plot]'") from error
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.1, wspace=0.03)
    figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def dress(axes: "Axes", title: str) -> None:
    """Title, axes and grid as all pictures have them."""
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.tick_params(colors=INK, length=0)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def save(figure: "Figure", path: str | Path | None) -> "Figure":
    """Writes the picture, if there is a path; the same picture gives the same bytes."""
    if path is None:
        return figure
    import matplotlib

    metadata = {"Date": None} if Path(path).suffix == ".svg" else None
    with matplotlib.rc_context({"svg.hashsalt": "gnnlib"}):
        figure.savefig(path, dpi=160, metadata=metadata)
    return figure


def class_color(label: int) -> str:
    """The colour of a class; after ten classes they repeat."""
    return CLASSES[label % len(CLASSES)] if label >= 0 else FAINT
