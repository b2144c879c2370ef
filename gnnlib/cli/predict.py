"""`gnnlib predict`."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import torch
from torch import Tensor

from .. import metrics
from ..graph import Graph
from ..train import probe
from ..train.atomic import atomic_write
from ..train.display import percent
from ..train.saved_run import SavedRun
from ._program import examples
from ._types import FILE, RUN, usable_device


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
    """Predict the class of each node with the model of a RUN's folder.

    Writes a CSV table with a line per node: node, prediction, and the probability p_0, p_1, … of
    each class. Where the graph has labels, it says how many of them are met.
    """
    target = usable_device(device)
    saved = SavedRun(run)
    graph = saved.graph(graph_file).to(target)
    probabilities = probe.predict(saved.model().to(target), graph).cpu()
    accuracies = dict(_accuracies(probabilities, graph.to("cpu")))
    output = output or run / "predictions.csv"
    with atomic_write(output) as file:
        file.write(_csv(probabilities).encode())
    if as_json:
        facts = {"run_dir": str(run), "num_nodes": graph.num_nodes, "output": str(output)}
        click.echo(json.dumps({**facts, "accuracy": accuracies}))
        return
    for nodes, accuracy in accuracies.items():
        click.echo(f"accuracy of the {nodes} nodes: {percent(accuracy)}")
    click.echo(f"{graph.num_nodes} predictions are in {output}")


def _csv(probabilities: Tensor) -> str:
    classes = range(probabilities.shape[1])
    lines = [",".join(["node", "prediction", *(f"p_{label}" for label in classes)])]
    predictions = probabilities.argmax(dim=1).tolist()
    for node, row in enumerate(probabilities.tolist()):
        lines.append(",".join([str(node), str(predictions[node]), *(f"{p:.6f}" for p in row)]))
    return "\n".join(lines) + "\n"


def _accuracies(probabilities: Tensor, graph: Graph) -> Iterator[tuple[str, float]]:
    """For each of the masks, or else for all nodes, that have labels of the model's classes."""
    if "y" not in graph or graph.y.ndim != 1 or graph.y.is_floating_point():
        return
    labelled = (graph.y >= 0) & (graph.y < probabilities.shape[1])
    masks = {
        name: graph[f"{mask}_mask"]
        for name, mask in (("training", "train"), ("validation", "val"), ("test", "test"))
        if f"{mask}_mask" in graph
    }
    for name, mask in (masks or {"labelled": torch.ones_like(labelled)}).items():
        nodes = labelled & mask
        if nodes.any():
            yield name, metrics.accuracy(probabilities[nodes], graph.y[nodes])
