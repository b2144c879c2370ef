"""What must hold before a model is trained."""

import torch
from torch import Tensor, nn

from ..features import SparseFeatures
from ..graph import Graph
from .examples import MASKS, Data, as_split


def check_trainable(data: Data) -> Data:
    """What was given, three sequences of graphs as Batches.

    Raises:
        ValueError, TypeError: it names the first thing that stands in the way.
    """
    if isinstance(data, Graph):
        _check_graph(data)
        return data
    split = as_split(data)
    label = "graph_y" if "graph_y" in split.train else "y"
    for part, batch in zip(split._fields, split):
        where = f"the graphs of {part}"
        for name in ("x", label):
            if name not in batch:
                raise ValueError(f"training needs {name}; {where} have {_contents(batch)}")
        if batch.x.shape[1:] != split.train.x.shape[1:]:
            raise ValueError(
                f"x must have as many features in all parts: {split.train.x.shape[1]} to train, "
                f"{batch.x.shape[1]} in {where}"
            )
        if batch.device != split.train.device:
            raise ValueError(
                f"the graphs must be on one device: {split.train.device} to train, "
                f"{batch.device} in {where}"
            )
        y, first = batch[label], split.train[label]
        if (y.dtype, y.shape[1:]) != (first.dtype, first.shape[1:]):
            raise TypeError(
                f"{label} must be alike in all parts: {first.dtype} of shape {tuple(first.shape)} "
                f"to train, {y.dtype} of shape {tuple(y.shape)} in {where}"
            )
        _check_inputs(batch, f" of {where}")
    return split


def _check_graph(graph: Graph) -> None:
    if graph.num_nodes == 0:
        raise ValueError("graph must have nodes to be trained on, got num_nodes=0")
    missing = [name for name in ("x", "y", *MASKS) if name not in graph]
    if missing:
        hint = "; gnnlib.transforms.RandomNodeSplit makes masks" if missing[0] in MASKS else ""
        raise ValueError(
            f"training needs graph.{missing[0]}; the graph has {_contents(graph)}{hint}"
        )
    for name in MASKS:
        _check_mask(name, graph[name])
    _check_inputs(graph)


def _contents(graph: Graph) -> str:
    return ", ".join(["edge_index", *graph.keys()])


def _check_inputs(graph: Graph, where: str = "") -> None:
    for name in ("x", "edge_weight", "edge_attr"):
        if name in graph:
            check_finite(name, graph[name], where)


def _check_mask(name: str, mask: Tensor) -> None:
    if mask.dtype != torch.bool or mask.ndim != 1:
        raise TypeError(
            f"{name} must be one bool per node, got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    if not mask.any():
        raise ValueError(f"{name} must select at least one node, got none of {len(mask)}")


def check_finite(name: str, x: Tensor | SparseFeatures, where: str = "") -> None:
    values = x.values if isinstance(x, SparseFeatures) else x
    if not values.is_floating_point():
        raise TypeError(
            f"{name}{where} must be floating point to be trained on, got {values.dtype}"
        )
    bad = ~values.isfinite()
    if not bad.any():
        return
    rows = x.structure.row[bad] if isinstance(x, SparseFeatures) else bad.nonzero()[:, 0]
    raise ValueError(
        f"{name}{where} must be finite where a model is trained: "
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


def check_rows(out: Tensor, graph: Graph, level: str) -> None:
    """Raises a ValueError unless a model's output has a row for each node, or each graph."""
    name = "num_nodes" if level == "node" else "num_graphs"
    if out.ndim != 2 or len(out) != getattr(graph, name):
        hint = "; gnnlib.models.Readout makes one row per graph" if level == "graph" else ""
        raise ValueError(
            f"the model must give one row of scores or numbers per {level}: graph has "
            f"{name}={getattr(graph, name)}, got an output of shape {tuple(out.shape)}{hint}"
        )
