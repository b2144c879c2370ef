"""Graphs with other edges or fewer nodes; every edge and node tensor follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import ops
from ._errors import chosen_reduce
from ._levels import level_of
from ._validate import INDEX_DTYPES
from .ops.scatter import REDUCES

if TYPE_CHECKING:
    from .graph import Graph


def _sorted_keys(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """destination · N + source of each edge, sorted, and the (stable) order that sorts them."""
    source, destination = edge_index
    return torch.sort(destination * num_nodes + source, stable=True)


def is_undirected(graph: Graph) -> bool:
    forward, _ = _sorted_keys(graph.edge_index, graph.num_nodes)
    backward, _ = _sorted_keys(graph.edge_index.flip(0), graph.num_nodes)
    return torch.equal(forward, backward)


def has_repeated_edges(graph: Graph) -> bool:
    keys, _ = _sorted_keys(graph.edge_index, graph.num_nodes)
    return bool((keys.diff() == 0).any())


def _with_edges(graph: Graph, edge_index: Tensor, edge_tensors: Mapping[str, Tensor]) -> Any:
    tensors = {name: edge_tensors.get(name, value) for name, value in graph.items()}
    return graph._make(edge_index, graph.num_nodes, tensors, graph._graph_ptr)


def _edge_tensors(graph: Graph) -> dict[str, Tensor]:
    return {name: value for name, value in graph.items() if level_of(name) == "edge"}


def add_self_loops(graph: Graph, fill: float | Mapping[str, float | Tensor]) -> Any:
    values = dict(fill) if isinstance(fill, Mapping) else dict.fromkeys(_edge_tensors(graph), fill)
    for name in values:
        if name not in _edge_tensors(graph):
            raise ValueError(
                f"fill names {name!r}, which is no edge tensor of this graph: it has"
                f" {', '.join(_edge_tensors(graph)) or 'none'}"
            )
    source, destination = graph.edge_index
    has_loop = torch.zeros(graph.num_nodes, dtype=torch.bool, device=graph.device)
    has_loop[source[source == destination]] = True
    loops = (~has_loop).nonzero().flatten()

    def extended(name: str, value: Tensor) -> Tensor:
        new = value.new_empty(loops.shape + value.shape[1:])
        row = torch.as_tensor(values.get(name, 1.0), dtype=value.dtype, device=value.device)
        return torch.cat([value, row.expand_as(new)])

    edge_tensors = {name: extended(name, value) for name, value in _edge_tensors(graph).items()}
    edge_index = torch.cat([graph.edge_index, loops.expand(2, -1)], dim=1)
    looped = _with_edges(graph, edge_index, edge_tensors)
    if "adj" in graph._kept:
        looped._kept["adj"] = graph.adj.with_loops()
    return looped


def remove_self_loops(graph: Graph) -> Any:
    keep = graph.edge_index[0] != graph.edge_index[1]
    edge_tensors = {name: value[keep] for name, value in _edge_tensors(graph).items()}
    return _with_edges(graph, graph.edge_index[:, keep], edge_tensors)


def coalesce(graph: Graph, reduce: str) -> Any:
    return _coalesced(graph, graph.edge_index, _edge_tensors(graph), reduce)


def to_undirected(graph: Graph, reduce: str) -> Any:
    mirrored = graph.edge_index[0] != graph.edge_index[1]
    edge_index = torch.cat([graph.edge_index, graph.edge_index[:, mirrored].flip(0)], dim=1)
    doubled = {
        name: torch.cat([value, value[mirrored]]) for name, value in _edge_tensors(graph).items()
    }
    return _coalesced(graph, edge_index, doubled, reduce)


def _coalesced(
    graph: Graph, edge_index: Tensor, edge_tensors: Mapping[str, Tensor], reduce: str
) -> Any:
    reduce = chosen_reduce("reduce", reduce, REDUCES)
    keys, order = _sorted_keys(edge_index, graph.num_nodes)
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys.diff() != 0
    chosen = edge_index.index_select(1, order[first])
    reduced = {
        name: _reduce_runs(value, order, first, reduce) for name, value in edge_tensors.items()
    }
    return _with_edges(graph, chosen, reduced)


def _reduce_runs(value: Tensor, order: Tensor, first: Tensor, reduce: str) -> Tensor:
    """Rows of `value` in `order`, each run that begins where `first` is true reduced to one."""
    begin = first.nonzero().flatten()
    if value.dtype.is_floating_point:
        ptr = torch.cat([begin, begin.new_tensor([first.shape[0]])]).to(order.dtype)
        return ops.segment_reduce(ptr, value, eid=order, reduce=reduce)
    if value.dtype == torch.bool:
        how = "min" if reduce in ("min", "mul") else "max"
        return _reduce_runs(value.byte(), order, first, how).bool()
    how = {"max": "amax", "min": "amin", "mul": "prod"}.get(reduce, reduce)
    run = first.cumsum(0) - 1
    rows = value[order]
    index = run.reshape((-1,) + (1,) * (rows.dim() - 1)).expand_as(rows)
    out = rows.new_zeros(begin.shape + rows.shape[1:])
    return out.scatter_reduce(0, index, rows, how, include_self=False)


def subgraph(graph: Graph, nodes: Any) -> Any:
    index = _node_ids(nodes, graph.num_nodes, graph.device)
    new_id = torch.full((graph.num_nodes,), -1, device=graph.device)
    new_id[index] = torch.arange(index.shape[0], device=graph.device)
    if index.shape[0] != int((new_id >= 0).sum()):
        raise ValueError("nodes must not repeat a node")

    edge_index = new_id[graph.edge_index]
    inside = (edge_index >= 0).all(0)
    tensors = {}
    for name, value in graph.items():
        chosen = {"node": index, "edge": inside, "graph": slice(None)}[level_of(name)]
        tensors[name] = value[chosen]
    graph_ptr = None if graph._graph_ptr is None else _regrouped(graph, index)
    return graph._make(edge_index[:, inside], index.shape[0], tensors, graph_ptr)


def _node_ids(nodes: Any, num_nodes: int, device: torch.device) -> Tensor:
    nodes = torch.as_tensor(nodes, device=device)
    if nodes.numel() == 0 and nodes.dtype != torch.bool:
        return torch.empty(0, dtype=torch.long, device=device)
    if nodes.dim() != 1:
        raise ValueError(f"nodes must have one dimension, got shape {tuple(nodes.shape)}")
    if nodes.dtype == torch.bool:
        if nodes.shape[0] != num_nodes:
            raise ValueError(
                f"a mask of nodes must have one entry per node: graph has num_nodes={num_nodes},"
                f" got shape {tuple(nodes.shape)}"
            )
        return nodes.nonzero().flatten()
    if nodes.dtype not in INDEX_DTYPES:
        raise TypeError(f"nodes must be a bool mask or integer ids, got {nodes.dtype}")
    bad = (nodes < 0) | (nodes >= num_nodes)
    if bad.any():
        at = int(bad.nonzero()[0])
        raise ValueError(
            f"nodes must hold node ids below num_nodes={num_nodes}: nodes[{at}] is {int(nodes[at])}"
        )
    return nodes.long()


def _regrouped(graph: Graph, index: Tensor) -> Tensor:
    """graph_ptr of the chosen nodes of a Batch."""
    group = graph.batch[index]
    if bool((group.diff() < 0).any()):
        raise ValueError("nodes of a Batch must be chosen graph by graph, in the order of graphs")
    ptr = graph.graph_ptr.new_zeros(graph.num_graphs + 1)
    ptr[1:] = torch.bincount(group, minlength=graph.num_graphs).cumsum(0)
    return ptr


def largest_components(graph: Graph, num_components: int = 1, connection: str = "weak") -> Graph:
    """The nodes of the largest connected components; of two of one size, the one with the smallest
    node number comes first."""
    from scipy.sparse.csgraph import connected_components

    count, labels = connected_components(graph.adj.to_scipy(), connection=connection)
    if count <= num_components:
        return graph
    component = torch.from_numpy(labels).long()
    nodes = torch.arange(graph.num_nodes)
    first = nodes.new_full((count,), graph.num_nodes)
    first.scatter_reduce_(0, component, nodes, "amin")
    # By size, then by smallest node: no two ranks are equal.
    rank = torch.bincount(component, minlength=count) * graph.num_nodes - first
    kept = torch.zeros(count, dtype=torch.bool)
    kept[rank.topk(num_components).indices] = True
    return graph.subgraph(kept[component].to(graph.device))
