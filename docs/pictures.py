"""Draws the pictures of the README: the live display and the curves of a training.

    python docs/pictures.py [FOLDER]

trains a GCN on Cora with ten seeds and writes live.svg and curves.svg into FOLDER, docs/_static by
default. Both show what `gnnlib train` shows; nothing in them is made up.
"""

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from gnnlib import plot
from gnnlib.train import RECIPES, Epoch, Run, TrainResult, train_seed
from gnnlib.train.display import LiveDisplay, headline
from gnnlib.train.record import make_record
from gnnlib.train.sources import SOURCES

RUNS = [Run(seed) for seed in range(10)]
SEED_SHOWN, EPOCH_SHOWN = 3, 140
# The fonts are the reader's own: a picture that fetches one would not be drawn in a README.
SVG = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    results = train(folder / "live.svg")
    record = make_record("cora", "gcn", "node-classification", RUNS, results, "")
    plot.curves(results, headline(record), folder / "curves.svg")
    for name in ("live.svg", "curves.svg"):
        print(folder / name, f"{(folder / name).stat().st_size / 1000:.0f} kB")


def train(picture: Path) -> list[TrainResult]:
    """The results of all seeds; the display is drawn in the middle of one."""
    material = SOURCES["cora"].load()
    graph = material.whole
    recipe = RECIPES["gcn"]
    console = Console(record=True, width=100, height=30, file=io.StringIO(), force_terminal=True)
    display = LiveDisplay(len(RUNS), recipe.config.epochs, console)
    console.print("[bold]$ gnnlib train --seeds 10[/]\n", highlight=False)

    def on_epoch(epoch: Epoch) -> None:
        display.epoch(epoch)
        if (display.name, epoch.epoch) == (f"seed {SEED_SHOWN}", EPOCH_SHOWN):
            console.print(display.render())
            console.save_svg(str(picture), title="gnnlib train", code_format=SVG, unique_id="live")

    results = []
    for run in RUNS:
        display.begin(run.name)
        _, result = train_seed(
            lambda: recipe.build(graph.num_features, material.num_outputs),
            graph,
            recipe.config,
            run.seed,
            on_epoch=on_epoch,
        )
        display.end(result)
        results.append(result)
    return results


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else Path(__file__).parent / "_static")
