"""How much a node attends to each of its neighbours."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ._style import FAINT, INK, VALIDATION, class_color, dress, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NEIGHBOURS = 24


def attention(
    edge_index: Tensor,
    alpha: Tensor,
    node: int,
    y: Tensor | None = None,
    title: str = "",
    path: str | Path | None = None,
) -> "Figure":
    """A node among the neighbours it attends to, and the weights of each head.

    On the left, the mean over the heads: the wider an edge, the more weight it has. On the right,
    one column per head. Of more than 24 edges, the 24 with most weight are drawn.

    Args:
        edge_index: edges [2, E], as a GATConv returns them with return_attention_weights=True.
        alpha: weights [E, H] of these edges.
        node: the node whose incoming edges are drawn.
        y: class numbers [N], for the colours of the nodes.
        title: stands above the picture.
        path: where to save it, as PNG, SVG or PDF by the ending; None does not save.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: alpha does not fit edge_index, or no edge ends in the node.

    Example:
        >>> import torch
        >>> edges = torch.tensor([[0, 1, 2], [2, 2, 2]])
        >>> figure = attention(edges, torch.tensor([[0.5], [0.2], [0.3]]), node=2)
        >>> figure.axes[0].get_title("left")
        'Attention of 1 head, 3 edges into node 2'
    """
    if alpha.ndim != 2 or len(alpha) != edge_index.shape[1]:
        raise ValueError(
            f"alpha must have one row per edge and one column per head: edge_index has "
            f"{edge_index.shape[1]} edges, got alpha of shape {tuple(alpha.shape)}"
        )
    incoming = (edge_index[1] == node).nonzero().squeeze(1)
    if len(incoming) == 0:
        raise ValueError(f"node must have an incoming edge to attend to, got node {node}")
    weights = alpha[incoming].detach().float().cpu()  # [D, H]
    order = weights.mean(1).argsort(descending=True, stable=True)[:MOST_NEIGHBOURS]
    sources = edge_index[0, incoming].cpu()[order].tolist()
    drawn = weights[order]
    labels = {n: class_color(-1 if y is None else int(y[n])) for n in [node, *sources]}

    figure = new_figure(title, 11, 5.5)
    star, heads = figure.subplots(1, 2, width_ratios=[1.2, 1])
    _star(star, node, sources, drawn.mean(1).tolist(), labels)
    count = f"{len(sources)} of " if len(sources) < len(incoming) else ""
    of = "1 head" if alpha.shape[1] == 1 else f"{alpha.shape[1]} heads (mean)"
    dress(star, f"Attention of {of}, {count}{len(incoming)} edges into node {node}")
    image = heads.imshow(drawn.numpy(), aspect="auto", cmap="GnBu", vmin=0)
    dress(heads, "Weight by head")
    heads.set_yticks(range(len(sources)), [_name(source, node) for source in sources])
    heads.set_xticks(range(alpha.shape[1]))
    heads.set_xlabel("head", color=INK)
    heads.set_ylabel("source node", color=INK)
    figure.colorbar(image, ax=heads).outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return save(figure, path)


def _name(source: int, node: int) -> str:
    return f"{source} (itself)" if source == node else str(source)


def _star(
    axes: "Axes", node: int, sources: list[int], weights: list[float], colors: dict[int, str]
) -> None:
    """The node in the middle of its sources, clockwise from the one with most weight."""
    dot = {"s": 520, "edgecolors": "white", "linewidths": 1.5, "zorder": 3}
    text = {"ha": "center", "va": "center", "fontsize": 7.5, "zorder": 4}
    others = [(source, weight) for source, weight in zip(sources, weights) if source != node]
    strongest = max(weights)
    for place, (source, weight) in enumerate(others):
        angle = math.pi / 2 - 2 * math.pi * place / len(others)
        x, y = math.cos(angle), math.sin(angle)
        width = 0.5 + 7 * weight / strongest if strongest > 0 else 0.5
        axes.plot([0, x], [0, y], color=VALIDATION, linewidth=width, alpha=0.55, zorder=1)
        axes.scatter(x, y, color=colors[source], **dot)
        axes.text(x, y, str(source), color=_ink_on(colors[source]), **text)
        axes.text(1.22 * x, 1.22 * y, f"{weight:.2f}", color=INK, **text)
    axes.scatter(0, 0, color=colors[node], **{**dot, "s": 720, "edgecolors": INK})
    own = [f"\n{weight:.2f}" for source, weight in zip(sources, weights) if source == node]
    axes.text(0, 0, f"{node}{''.join(own[:1])}", color=_ink_on(colors[node]), **text)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), xticks=[], yticks=[], aspect="equal")


def _ink_on(color: str) -> str:
    return INK if color == FAINT else "white"
