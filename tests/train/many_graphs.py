"""Small graphs to train on, with labels of each kind."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gnnlib import Graph
from gnnlib.models import GIN, Readout

Parts = tuple[list[Graph], list[Graph], list[Graph]]


def ring_or_path(ring: bool, size: int, **labels: Any) -> Graph:
    nodes = torch.arange(size)
    edges = torch.stack([nodes, nodes.roll(-1)])[:, : size if ring else size - 1]
    return Graph(torch.cat([edges, edges.flip(0)], 1), x=torch.ones(size, 2), **labels)


def graphs(number: int, label: Callable[[bool, int], Tensor], name: str = "graph_y") -> list[Graph]:
    """Rings and paths by turns, of 3 to 8 nodes, labelled by what they are and their size."""
    kinds = [(n % 2 == 0, 3 + n * 7 % 6) for n in range(number)]
    return [ring_or_path(ring, size, **{name: label(ring, size)}) for ring, size in kinds]


def parts(label: Callable[[bool, int], Tensor], name: str = "graph_y") -> Parts:
    """24, 12 and 12 graphs."""
    every = graphs(48, label, name)
    return every[:24], every[24:36], every[36:]


def is_ring(ring: bool, size: int) -> Tensor:
    return torch.tensor([int(ring)])


def length(ring: bool, size: int) -> Tensor:
    return torch.tensor([float(size)])


def ring_and_large(ring: bool, size: int) -> Tensor:
    """Two labels; the second is missing of paths of 4 and 6 nodes."""
    missing = not ring and size in (4, 6)
    return torch.tensor([[float(ring), float("nan") if missing else float(size > 5)]])


def ends(ring: bool, size: int) -> Tensor:
    """A class for each node: whether a path ends there."""
    y = torch.zeros(size, dtype=torch.int64)
    if not ring:
        y[[0, -1]] = 1
    return y


def gin(outputs: int) -> nn.Module:
    return Readout(GIN(2, 16, outputs, num_layers=2, dropout=0.0, jk="cat"), "mean")
