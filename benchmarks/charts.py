"""Pictures of the results, as PNG. Without matplotlib one line says so."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def figure(width: float, height: float) -> Any:
    """A figure, or None where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print("no pictures: they need matplotlib: pip install 'gnnlib[plot]'", file=sys.stderr)
        return None
    return Figure(figsize=(width, height), layout="constrained")


def bars(path: Path, title: str, summary: Sequence[Mapping[str, Any]]) -> None:
    """A bar for each case and peer, as `gates.by_peer` has them; a mark where its gate is.

    Large graphs where there are any, else the small ones.
    """
    shown = [line for line in summary if line["large graphs"] or line["small graphs"]]
    if not shown or (picture := figure(9, 1.2 + 0.19 * len(shown))) is None:
        return
    axes = picture.add_subplot()
    sides = list(dict.fromkeys(line["against"] for line in shown))
    for at, line in enumerate(shown):
        value = line["large graphs"] or line["small graphs"]
        side = sides.index(line["against"])
        axes.barh(at, value - 1, left=1, color=f"C{side % 10}", height=0.8)
        axes.text(value, at, f" {value:.3g}", va="center", fontsize=6)
        if line["gate"]:
            axes.plot([line["gate"]] * 2, [at - 0.45, at + 0.45], color="black", linewidth=1.5)
    axes.set_yticks(range(len(shown)), [_label(line) for line in shown], fontsize=6)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times as long as gnnlib, geometric mean; black: the gate")
    axes.set_title(title, fontsize=9)
    picture.savefig(path, dpi=150)


def _label(line: Mapping[str, Any]) -> str:
    size = "" if line["large graphs"] else ", small graphs"
    return f"{line['case']}, {line['pass']}, {line['against']}{size}"


def scaling(
    path: Path,
    title: str,
    edges: Sequence[int],
    seconds: Mapping[str, Sequence[float | None]],
    caches: Mapping[str, float],
) -> None:
    """Time against edges, log-log; a line at each number of edges whose rows fill a cache."""
    if (picture := figure(7, 5)) is None:
        return
    axes = picture.add_subplot()
    for side, times in seconds.items():
        points = [(e, t) for e, t in zip(edges, times, strict=True) if t is not None]
        axes.loglog(*zip(*points, strict=True), marker="o", markersize=3, label=side)
    for name, at in caches.items():
        axes.axvline(at, color="grey", linewidth=0.8, linestyle="--")
        axes.text(at, axes.get_ylim()[0], f" {name}", fontsize=7, va="bottom", color="grey")
    axes.set_xlabel("edges")
    axes.set_ylabel("seconds")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8)
    picture.savefig(path, dpi=150)
