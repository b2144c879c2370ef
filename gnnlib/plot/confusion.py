"""Which classes are taken for which."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .. import metrics
from ._style import INK, VALIDATION, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES_WITH_NUMBERS = 20


def confusion(
    prediction: Tensor,
    y: Tensor,
    num_classes: int,
    title: str = "",
    path: str | Path | None = None,
) -> "Figure":
    """The confusion matrix: a row per true class, a column per predicted class.

    A cell's colour is its share of the row, the number in it a count of nodes (for up to 20
    classes).

    Args:
        prediction: class numbers [N], or scores [N, C].
        y: true class numbers [N].
        num_classes: C.
        title: stands above the picture.
        path: where to save it, as PNG, SVG or PDF by the ending; None does not save.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: the lengths differ, or there is no label.

    Example:
        >>> import torch
        >>> figure = confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2)
        >>> figure.axes[0].get_title("left")
        '2 of 3 nodes are right'
    """
    import numpy as np

    counts = np.asarray(metrics.confusion_matrix(prediction, y, num_classes))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    side = 2.2 + 0.5 * min(num_classes, MOST_CLASSES_WITH_NUMBERS)
    figure = new_figure(title, max(side, 4.5) + 0.8, max(side, 4.5))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=_shades(), vmin=0, vmax=1)
    if num_classes <= MOST_CLASSES_WITH_NUMBERS:
        axes.set_xticks(range(num_classes))
        axes.set_yticks(range(num_classes))
        for (true, predicted), count in np.ndenumerate(counts):
            color = "white" if shares[true, predicted] > 0.5 else INK
            axes.text(predicted, true, str(count), ha="center", va="center", color=color)
    dress(axes, f"{counts.trace()} of {counts.sum()} nodes are right")
    axes.set_xlabel("predicted class", color=INK)
    axes.set_ylabel("true class", color=INK)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return save(figure, path)


def _shades():
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("gnnlib", ["white", VALIDATION])
