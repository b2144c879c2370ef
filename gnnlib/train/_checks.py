"""What a graph must have before a model is trained on it."""

import torch
from torch import Tensor, nn

from ..features import SparseFeatures
from ..graph import Graph

MASKS = ("train_mask", "val_mask", "test_mask")


def check_trainable(graph: Graph) -> None:
    """Raises a ValueError or TypeError that names the first thing that stands in the way."""
    if graph.num_nodes == 0:
        raise ValueError("graph must have nodes to be trained on, got num_nodes=0")
    missing = [name for name in ("x", "y", *MASKS) if name not in graph]
    if missing:
        there = ", ".join(["edge_index", *graph.keys()])
        hint = "; gnnlib.transforms.RandomNodeSplit makes masks" if missing[0] in MASKS else ""
        raise ValueError(f"training needs graph.{missing[0]}; the graph has {there}{hint}")
    for name in MASKS:
        _check_mask(name, graph[name])
    if graph.y.ndim != 1 or graph.y.dtype != torch.int64:
        raise TypeError(
            "y must hold one int64 class number per node, "
            f"got {graph.y.dtype} of shape {tuple(graph.y.shape)}"
        )
    for name in ("x", "edge_weight", "edge_attr"):
        if name in graph:
            check_finite(name, graph[name])


def _check_mask(name: str, mask: Tensor) -> None:
    if mask.dtype != torch.bool or mask.ndim != 1:
        raise TypeError(
            f"{name} must be one bool per node, got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    if not mask.any():
        raise ValueError(f"{name} must select at least one node, got none of {len(mask)}")


def check_finite(name: str, x: Tensor | SparseFeatures) -> None:
    values = x.values if isinstance(x, SparseFeatures) else x
    if not values.is_floating_point():
        raise TypeError(f"{name} must be floating point to be trained on, got {values.dtype}")
    bad = ~values.isfinite()
    if not bad.any():
        return
    rows = x.structure.row[bad] if isinstance(x, SparseFeatures) else bad.nonzero()[:, 0]
    raise ValueError(
        f"{name} must be finite where a model is trained: "
        f"{len(rows)} of its {values.numel()} values are NaN or infinite, "
        f"the first of them at {'edge' if name.startswith('edge') else 'node'} {rows.min().item()}"
    )


def check_device(model: nn.Module, graph: Graph) -> None:
    """Raises a ValueError unless the model is where the graph is."""
    for name, parameter in model.named_parameters():
        if parameter.device != graph.device:
            raise ValueError(
                f"model must be on the graph's device: graph is on {graph.device}, "
                f"got {name} on {parameter.device}"
            )


def check_labels(logits: Tensor, graph: Graph) -> int:
    """The number of classes C; a ValueError unless `logits` is [N, C] and labels are in [0, C).

    Labels outside the masks are not looked at.
    """
    if logits.ndim != 2 or len(logits) != graph.num_nodes:
        raise ValueError(
            f"the model must give one row of class scores per node: graph has "
            f"num_nodes={graph.num_nodes}, got an output of shape {tuple(logits.shape)}"
        )
    num_classes = logits.shape[1]
    for name in MASKS:
        bad = graph[name] & ((graph.y < 0) | (graph.y >= num_classes))
        if bad.any():
            node = int(bad.nonzero()[0])
            raise ValueError(
                f"y must be in [0, {num_classes}) under {name}, the model's number of classes: "
                f"node {node} has {graph.y[node].item()}"
            )
    return num_classes
