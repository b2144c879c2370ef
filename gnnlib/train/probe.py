"""Looks at what happens inside a trained model."""

from typing import Any

import torch
from torch import Tensor, nn

from ..fixed_point import Report
from ..graph import Graph
from .convergence import reports_of
from .task import Task


@torch.no_grad()
def predict(model: nn.Module, graph: Graph) -> Tensor:
    """Class probabilities [N, C] of each node.

    Raises:
        ValueError: the graph has no x.
    """
    return outputs(model, graph).softmax(dim=1)


@torch.no_grad()
def outputs(model: nn.Module, graph: Graph) -> Tensor:
    """What the model gives of each node, or of each graph: class scores, scores of labels, numbers.

    Raises:
        ValueError: the graph has no x.
    """
    return _run(model, graph).float()


@torch.no_grad()
def hidden_features(model: nn.Module, graph: Graph) -> Tensor:
    """What enters the last layer of `model.convs`, [N, F].

    For a model of one layer, or without `convs`, its output [N, C].
    """
    convs = _convs(model)
    if len(convs) < 2:
        return _run(model, graph)
    (x, *_), _ = _arguments(model, convs[-1], graph)
    return x


@torch.no_grad()
def attention_weights(model: nn.Module, graph: Graph, layer: int = -1) -> tuple[Tensor, Tensor]:
    """The edges [2, E'] of an attention layer with their weights [E', H], added loops included.

    Args:
        model: has attention layers, such as GATConv, in `model.convs`.
        graph: what the model is applied to.
        layer: which of the layers, as an index of `model.convs`.

    Raises:
        ValueError: there is no such layer, or it has no attention weights.

    Example:
        >>> from gnnlib.models import GAT
        >>> graph = Graph([[0, 1], [1, 2]], x=torch.eye(3))
        >>> edge_index, alpha = attention_weights(GAT(3, 4, 2, heads=8), graph, layer=0)
        >>> edge_index.shape, alpha.shape
        (torch.Size([2, 5]), torch.Size([5, 8]))
    """
    convs = _convs(model)
    if not -len(convs) <= layer < len(convs):
        raise ValueError(f"layer must be one of the model's {len(convs)} layers, got {layer}")
    conv = convs[layer]
    if not hasattr(conv, "heads"):
        raise ValueError(
            f"attention needs a model with attention layers, such as GAT; "
            f"layer {layer} of {type(model).__name__} is a {type(conv).__name__}"
        )
    arguments, keywords = _arguments(model, conv, graph)
    _, (edge_index, alpha) = conv(*arguments, **keywords, return_attention_weights=True)
    return edge_index, alpha


def fixed_point_reports(
    model: nn.Module,
    graph: Graph,
    loss: str | None = None,
    *,
    task: Task | None = None,
    rows: Tensor | None = None,
) -> dict[str, Report]:
    """The report of each fixed-point layer, by its name, of one pass forward and backward.

    The gradient is that of the loss of the training part without dropout; no parameter keeps it.

    Args:
        model: has layers with a `last_report`.
        graph: what the model is applied to; has x and labels.
        loss: as in TrainConfig.
        task: what the labels are for; None: each node has a class.
        rows: the nodes, or graphs, of the training part; None: those in train_mask.

    Raises:
        ValueError: there is no such layer.
    """
    out = _run(model, graph)
    reports = reports_of(model)
    if not reports:
        raise ValueError(
            f"convergence needs a model with fixed-point layers, such as GNN; "
            f"{type(model).__name__} has none"
        )
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    task = task or Task("node", "classification")
    rows = graph.train_mask.nonzero()[:, 0] if rows is None else rows
    value = task.loss(out[rows], graph[task.labels][rows], loss, None)
    torch.autograd.grad(value, parameters, allow_unused=True)
    return reports


def _convs(model: nn.Module) -> list[nn.Module]:
    return list(getattr(model, "convs", []))


def _run(model: nn.Module, graph: Graph) -> Tensor:
    if "x" not in graph:
        raise ValueError("x must be there for a model to run on: the graph has none")
    return model.eval()(graph.x, graph)


def _arguments(
    model: nn.Module, layer: nn.Module, graph: Graph
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `layer` is called with when the model runs on the graph."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hook = layer.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
    )
    try:
        _run(model, graph)
    finally:
        hook.remove()
    return calls[0]
