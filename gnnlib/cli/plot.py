"""`gnnlib plot`."""

from pathlib import Path

import click
import torch
from torch import Tensor

from .. import plot as pictures
from ..graph import Graph
from ..plot.embedding import METHODS
from ..train import probe
from ..train.display import headline
from ..train.saved_run import SavedRun
from ._program import examples
from ._types import FILE, RUN, Choice

KINDS = ["curves", "convergence", "confusion", "embedding", "attention"]
ENDINGS = (".png", ".svg", ".pdf")


@click.command(
    epilog=examples(
        "gnnlib plot runs/cora-gcn-1",
        "gnnlib plot runs/cora-gcn-1 --kind embedding --method pca --output nodes.svg",
        "gnnlib plot runs/cora-gat-1 --kind attention --node 42",
        "gnnlib plot runs/cora-gnn-1 --kind convergence",
    )
)
@click.argument("run", type=RUN)
@click.option(
    "--kind",
    type=Choice(KINDS),
    help="What to draw.  [default: curves and, for models with fixed points, convergence]",
)
@click.option(
    "--method",
    type=Choice(METHODS),
    default="tsne",
    show_default=True,
    help="How an embedding is laid out.",
)
@click.option(
    "--node",
    type=click.IntRange(min=0),
    metavar="I",
    help="Whose attention to draw.  [default: the first test node]",
)
@click.option(
    "--layer",
    type=int,
    default=0,
    show_default=True,
    metavar="L",
    help="Which layer's attention; -1 is the last.",
)
@click.option(
    "--output",
    "-o",
    type=FILE,
    metavar="FILE",
    help="A PNG, SVG or PDF file.  [default: RUN/KIND.png]",
)
def plot(
    run: Path, kind: str | None, method: str, node: int | None, layer: int, output: Path | None
) -> None:
    """Draw a picture of a RUN.

    \b
    curves       loss and accuracy over the epochs, of all seeds
    convergence  residual against iteration (gnn and its like)
    confusion    which classes are taken for which, on the test nodes
    embedding    the last hidden layer in the plane, by t-SNE or PCA
    attention    the weights of a node's neighbours (gat and its like)

    All but the curves are of the seed that was best on the validation nodes. With
    --output and without --kind, the curves alone are drawn.
    """
    if output is not None and output.suffix not in ENDINGS:
        raise click.UsageError(f"--output must end in {', '.join(ENDINGS)}; got {str(output)!r}")
    saved = SavedRun(run)
    kinds = [kind or "curves"]
    if kind is None and output is None and saved.folder.result()["converged"] is not None:
        kinds.append("convergence")
    for kind in kinds:
        path = output or run / f"{kind}.png"
        _draw(saved, kind, method, node, layer, path)
        click.echo(path)


def _draw(
    saved: SavedRun, kind: str, method: str, node: int | None, layer: int, path: Path
) -> None:
    title = headline(saved.folder.result())
    if kind == "curves":
        pictures.curves(saved.results(), title, path)
        return
    task = saved.task
    if kind == "confusion" and task.kind != "classification":
        raise ValueError(f"confusion needs a run that finds one class, got a {task.name}")
    if kind in ("embedding", "attention") and task.name != "node-classification":
        raise ValueError(f"{kind} needs a run that classifies nodes, got a {task.name}")
    model, graph, split = saved.model(), saved.graph(), saved.split()
    if kind == "convergence":
        loss = saved.config.recipe.config.loss
        reports = probe.fixed_point_reports(model, graph, loss, task=task, rows=split.train)
        pictures.convergence(reports, saved.results(), title, path)
    elif kind == "confusion":
        scores, y = probe.outputs(model, graph)[split.test], graph[task.labels][split.test]
        pictures.confusion(scores, y, saved.config.out_channels, title, path)
    elif kind == "embedding":
        h = probe.hidden_features(model, graph)
        pictures.embedding(_dense(h), graph.y, method, title, path)
    else:
        edges, alpha = probe.attention_weights(model, graph, layer)
        pictures.attention(edges, alpha, _node(node, graph), graph.y, title, path)


def _dense(h) -> Tensor:
    return h if isinstance(h, Tensor) else h.to_dense()


def _node(node: int | None, graph: Graph) -> int:
    if node is None:
        return int(torch.nonzero(graph.test_mask)[0])
    if node >= graph.num_nodes:
        raise ValueError(f"node must be in [0, {graph.num_nodes}), got {node}")
    return node
