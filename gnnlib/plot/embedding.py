"""Nodes in the plane, near each other where the model sees them alike."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._style import INK, class_color, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("tsne", "pca")
MOST_NODES = 5000  # t-SNE of more takes minutes, and the dots hide each other


def embedding(
    h: Tensor,
    y: Tensor | None = None,
    method: str = "tsne",
    title: str = "",
    path: str | Path | None = None,
) -> "Figure":
    """A dot per node where t-SNE or PCA puts its features, in the colour of its class.

    Of more than 5000 nodes, 5000 are drawn, chosen by a fixed seed.

    Args:
        h: features of the nodes [N, F], such as a model's last hidden layer.
        y: class numbers [N]; negative ones, and None, are drawn in grey.
        method: "tsne" keeps neighbours together, "pca" the two widest directions.
        title: stands above the picture.
        path: where to save it, as PNG, SVG or PDF by the ending; None does not save.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: an unknown method, fewer than 3 nodes, y of another length than h, or NaN or
            infinite features.

    Paper: "Visualizing data using t-SNE" (van der Maaten and Hinton, JMLR 2008).

    Example:
        >>> figure = embedding(torch.randn(10, 4), torch.arange(10) % 2, method="pca")
        >>> figure.axes[0].get_title("left")
        'PCA'
    """
    if method not in METHODS:
        raise unknown_choice("method", method, METHODS)
    if h.ndim != 2 or len(h) < 3:
        raise ValueError(f"h must be [N, F] with at least 3 nodes, got shape {tuple(h.shape)}")
    if y is not None and y.shape != h.shape[:1]:
        raise ValueError(f"y must have one class per row of h, {len(h)}; got {tuple(y.shape)}")
    if not h.isfinite().all():
        raise ValueError("h must be finite, got NaN or infinite features")
    labels = torch.full((len(h),), -1) if y is None else y.detach().cpu()
    h = h.detach().float().cpu()
    shown = ""
    if len(h) > MOST_NODES:
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randperm(len(h), generator=generator)[:MOST_NODES]
        shown = f", {MOST_NODES} of {len(h)} nodes"
        h, labels = h[drawn], labels[drawn]

    figure = new_figure(title, 7, 6)
    axes = figure.subplots()
    points = _project(h, method)
    for label in labels.unique().tolist():
        chosen = points[labels == label]
        style = {"s": 12, "linewidths": 0, "alpha": 0.85, "color": class_color(label)}
        name = str(label) if label >= 0 else "no label"
        axes.scatter(chosen[:, 0], chosen[:, 1], label=name, **style)
    dress(axes, {"tsne": "t-SNE", "pca": "PCA"}[method] + shown)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    if y is not None:
        legend = {"frameon": False, "labelcolor": INK, "markerscale": 2}
        axes.legend(title="class", loc="center left", bbox_to_anchor=(1, 0.5), **legend)
    return save(figure, path)


def _project(h: Tensor, method: str) -> Tensor:
    """[N, 2]"""
    if h.shape[1] < 2:
        h = torch.nn.functional.pad(h, (0, 2 - h.shape[1]))
    h = h - h.mean(0)
    spread = h.abs().max()
    if spread == 0:
        return torch.zeros(len(h), 2)  # all alike: there is no direction to choose
    h = h / spread
    if method == "pca":
        from sklearn.decomposition import PCA

        return torch.from_numpy(PCA(2, svd_solver="full").fit_transform(h.numpy()))
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(h) - 1) / 3)
    tsne = TSNE(init="pca", perplexity=perplexity, random_state=0)
    return torch.from_numpy(tsne.fit_transform(h.numpy()))
