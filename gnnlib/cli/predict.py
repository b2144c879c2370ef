"""`gnnlib predict`."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import torch
from torch import Tensor

from ..graph import Graph
from ..named_graph import NamedGraph
from ..train import Task, probe
from ..train.atomic import atomic_write
from ..train.config import METRICS
from ..train.display import shown
from ..train.material import has_masks, split_of
from ..train.saved_run import SavedRun
from ._program import examples
from ._types import FILE, RUN, usable_device

PARTS = ("training", "validation", "test")


@click.command(
    epilog=examples(
        "gnnlib predict runs/cora-gcn-1",
        "gnnlib predict runs/cora-gcn-1 --graph mine.graph --output mine.csv",
    )
)
@click.argument("run", type=RUN)
@click.option(
    "--graph",
    "graph_file",
    type=FILE,
    metavar="FILE",
    help="A graph of your own, written by Graph.save, with the features that the run's graph had."
    "  [default: the graph the run was trained on]",
)
@click.option(
    "--output",
    "-o",
    type=FILE,
    metavar="FILE",
    help="Where to write.  [default: RUN/predictions.csv]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
def predict(
    run: Path, graph_file: Path | None, output: Path | None, device: str, as_json: bool
) -> None:
    """Predict with the model of a RUN's folder: for each node, or each graph, as it was trained.

    Writes a CSV table with a line for each: its number, the prediction, and the probability p_0,
    p_1, … of each class; ids and classes as in your own files, if it was trained on such. Of
    several labels, the prediction lists those that are more likely than not. Of numbers there are
    only the predictions. Where there are labels, it says how well they are met.
    """
    target = usable_device(device)
    saved = SavedRun(run)
    task = saved.task
    level, metric = task.level, task.metric
    graph = saved.graph(graph_file).to(target)
    outputs = probe.outputs(saved.model().to(target), graph).cpu()
    y = graph[task.labels].cpu() if task.labels in graph else None
    parts = _parts(saved, graph_file is None, graph)
    measured = {} if y is None else dict(_measured(task, outputs, y, parts))
    output = output or run / "predictions.csv"
    with atomic_write(output) as file:
        files = saved.config.files if graph_file is None else None
        file.write(_csv(level, task.kind, outputs, files and files.named).encode())
    if as_json:
        count = {f"num_{level}s": len(outputs)}
        facts = {"run_dir": str(run), **count, "output": str(output)}
        click.echo(json.dumps({**facts, metric: measured}))
        return
    for part, value in measured.items():
        click.echo(f"{METRICS[metric].title} of the {part} {level}s: {shown(metric, value)}")
    click.echo(f"{len(outputs)} predictions are in {output}")


def _csv(level: str, kind: str, outputs: Tensor, named: NamedGraph | None) -> str:
    """The table; with the names of a user's own files, where there are any."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    ids = range(len(outputs)) if named is None else named.ids.tolist()
    width = range(outputs.shape[1])
    if kind == "regression":
        names = ["prediction"] if len(width) == 1 else [f"prediction_{k}" for k in width]
        table.writerow([level, *names])
        table.writerows(
            [n, *(f"{value:.6g}" for value in row)] for n, row in zip(ids, outputs.tolist())
        )
        return text.getvalue()
    classes = width if named is None or named.classes is None else named.classes.tolist()
    table.writerow([level, "prediction", *(f"p_{name}" for name in classes)])
    probabilities = outputs.softmax(1) if kind == "classification" else outputs.sigmoid()
    for n, row in zip(ids, probabilities.tolist()):
        if kind == "classification":
            chosen = classes[row.index(max(row))]
        else:
            chosen = " ".join(str(k) for k, p in enumerate(row) if p > 0.5)
        table.writerow([n, chosen, *(f"{p:.6f}" for p in row)])
    return text.getvalue()


def _parts(saved: SavedRun, of_the_run: bool, graph: Graph) -> dict[str, Tensor]:
    """The rows of each part, of the graph's masks or of the run's split; else all of them."""
    if of_the_run:
        return dict(zip(PARTS, saved.split()))
    if saved.config.level == "node" and has_masks(graph):
        return dict(zip(PARTS, split_of(graph)))
    return {}


def _measured(
    task: Task, outputs: Tensor, y: Tensor, parts: dict[str, Tensor]
) -> Iterator[tuple[str, float]]:
    """The metric of each part, of the rows that have labels which the model can meet."""
    try:
        task.check_kind(y)
    except TypeError:
        return
    if task.kind == "classification":
        labelled = (y >= 0) & (y < outputs.shape[1])
    else:
        labelled = ~y.reshape(len(y), -1).isnan().all(1)
    for part, rows in (parts or {"labelled": torch.arange(len(y))}).items():
        rows = rows[labelled[rows]]
        if len(rows):
            with suppress(ValueError):  # a class is missing, of which the metric needs some
                yield part, task.measure(outputs[rows], y[rows])
