"""Clique detection: which nodes of a graph are all joined to each other."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..graph import Graph
from . import _random_graphs
from ._dataset import Dataset
from ._generated import CAPABILITIES, LICENCE, as_count, as_density, graph_masks, seeded


class CliqueDetection(Dataset):
    """Connected random graphs, in each of which a clique was planted.

    A clique of size k is k nodes that are all joined to each other. `y` [N] is 1 for the nodes of
    each clique of `clique_nodes` nodes, the planted one and others that chance made, and 0 for the
    rest. `x` [N, 1] is a random integer label, which says nothing about cliques but lets a GNN tell
    nodes apart that have the same surroundings, or 1 for all nodes. Masks are as those of
    `SubgraphMatching`: all true or all false in a graph, training graphs first.

    From the paper: the task, 20 nodes, a clique of 5, random or equal labels. Our choices: the
    density, labels in [0, 10], and the number of graphs.

    Args:
        num_nodes: N, nodes of each graph.
        clique_nodes: k.
        num_graphs: graphs to train, validate and test on.
        density: probability of an edge before the clique is planted.
        max_label: labels are integers in [0, max_label]; None: all are 1.
        seed: draws everything.
        transform: applied once to each graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: one below 1, a clique larger than the graph, a probability outside [0, 1].

    Reference:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "Computational capabilities of graph
        neural networks", IEEE Transactions on Neural Networks 20(1), 2009.

    Example:
        >>> from gnnlib.datasets import CliqueDetection
        >>> dataset = CliqueDetection(num_graphs=(10, 5, 5))
        >>> dataset
        CliqueDetection('clique_detection', num_graphs=20, num_features=1, num_classes=2)
        >>> min(int(graph.y.sum()) for graph in dataset)
        5
    """

    def __init__(
        self,
        num_nodes: int = 20,
        clique_nodes: int = 5,
        num_graphs: Sequence[int] = (200, 200, 200),
        *,
        density: float = 0.3,
        max_label: int | None = 10,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("num_nodes", num_nodes)
        as_count("clique_nodes", clique_nodes, most=num_nodes)
        low, high = (1, 1) if max_label is None else (0, as_count("max_label", max_label, least=0))
        density = as_density(density)
        generator = seeded(seed)
        graphs = []
        for masks in graph_masks(num_graphs, num_nodes):
            joined = _random_graphs.connected(num_nodes, density, generator)
            place = torch.randperm(num_nodes, generator=generator)[:clique_nodes]
            joined[place[:, None], place] = True
            joined.fill_diagonal_(False)
            y = torch.zeros(num_nodes, dtype=torch.long)
            y[list(nodes_of_cliques(joined, clique_nodes))] = 1
            x = torch.randint(low, high + 1, (num_nodes, 1), generator=generator).float()
            graphs.append(Graph(_random_graphs.edge_index_of(joined), x=x, y=y, **masks))
        super().__init__(
            "clique_detection",
            graphs,
            num_classes=2,
            licence=LICENCE,
            citation=CAPABILITIES,
            transform=transform,
        )


def nodes_of_cliques(joined: Tensor, size: int) -> set[int]:
    """The nodes of all cliques of `size` nodes.

    Example:
        >>> kite = torch.tensor([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]).bool()
        >>> nodes_of_cliques(kite, 3)
        {0, 1, 2}
    """
    neighbors = [set(row.nonzero().flatten().tolist()) for row in joined]
    found: set[int] = set()

    def extend(chosen: tuple[int, ...], common: set[int]) -> None:
        if len(chosen) == size:
            found.update(chosen)
            return
        for node in common:
            if not chosen or node > chosen[-1]:  # each clique once, in order
                extend((*chosen, node), common & neighbors[node])

    extend((), set(range(len(neighbors))))
    return found
