"""Subgraph matching: which nodes of a graph belong to a copy of a small one."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..graph import Graph
from . import _random_graphs
from ._dataset import Dataset
from ._generated import LICENCE, THE_MODEL, as_count, as_density, graph_masks, seeded


class SubgraphMatching(Dataset):
    """Connected random graphs, in each of which a labelled graph S was planted.

    Each graph has `x` [N, 1], the label of the node with noise, `y` [N], 1 for the nodes of each
    copy of S and 0 for the others, and masks that are all true or all false: a graph is for
    training, for validation or for testing, in this order. So `Batch.from_graphs(dataset)` is a
    graph to train on, and `dataset[:200]` are those for training. `dataset.pattern` is S.

    Made as in the paper: 600 graphs, each pair of nodes joined with probability δ = `density` =
    0.2, random edges added until the graph is connected; one random S for all of them, put in
    place of randomly drawn nodes; integer labels in [0, 10]; all copies of S found by search, with
    the labels before Gaussian noise of standard deviation 0.25 is added. The paper has targets ±1,
    S of 3, 5 and 7 nodes and graphs of 6, 10, 14 and 18. Our choices: edges of S alone between the
    nodes of a copy (an induced subgraph), labels drawn evenly, a third of the graphs for each part.

    Args:
        num_nodes: N, nodes of each graph.
        pattern_nodes: nodes of S, fewer than `num_nodes`.
        num_graphs: graphs to train, validate and test on.
        density: δ.
        max_label: labels are integers in [0, max_label] before the noise.
        noise: its standard deviation.
        seed: draws everything.
        transform: applied once to each graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: one below 1, an S as large as the graph, a probability outside [0, 1], a
            negative noise.

    Reference:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "The graph neural network model", IEEE
        Transactions on Neural Networks 20(1), 2009, section IV-A.

    Example:
        >>> from gnnlib.datasets import SubgraphMatching
        >>> dataset = SubgraphMatching(10, 5, num_graphs=(20, 10, 10))
        >>> dataset
        SubgraphMatching('subgraph_matching', num_graphs=40, num_features=1, num_classes=2)
        >>> dataset.pattern.num_nodes, int(dataset[0].y.sum())
        (5, 5)
    """

    pattern: Graph

    def __init__(
        self,
        num_nodes: int = 10,
        pattern_nodes: int = 5,
        num_graphs: Sequence[int] = (200, 200, 200),
        *,
        density: float = 0.2,
        max_label: int = 10,
        noise: float = 0.25,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("num_nodes", num_nodes, least=2)
        as_count("pattern_nodes", pattern_nodes, most=num_nodes - 1)
        as_count("max_label", max_label, least=0)
        density = as_density(density)
        if not noise >= 0:
            raise ValueError(f"noise must be a standard deviation, 0 or more; got {noise}")
        generator = seeded(seed)

        def labelled(size: int) -> tuple[Tensor, Tensor]:
            joined = _random_graphs.connected(size, density, generator)
            return joined, torch.randint(max_label + 1, (size,), generator=generator)

        pattern, pattern_labels = labelled(pattern_nodes)
        graphs = []
        for masks in graph_masks(num_graphs, num_nodes):
            joined, labels = labelled(num_nodes)
            place = torch.randperm(num_nodes, generator=generator)[:pattern_nodes]
            joined[place[:, None], place] = pattern
            labels[place] = pattern_labels
            y = torch.zeros(num_nodes, dtype=torch.long)
            y[list(nodes_of_copies(joined, labels, pattern, pattern_labels))] = 1
            noisy = labels + noise * torch.randn(num_nodes, generator=generator)
            edges = _random_graphs.edge_index_of(joined)
            graphs.append(Graph(edges, x=noisy[:, None], y=y, **masks))
        super().__init__(
            "subgraph_matching",
            graphs,
            num_classes=2,
            licence=LICENCE,
            citation=THE_MODEL,
            transform=transform,
        )
        self.pattern = Graph(
            _random_graphs.edge_index_of(pattern), x=pattern_labels[:, None].float()
        )


def nodes_of_copies(
    joined: Tensor, labels: Tensor, pattern: Tensor, pattern_labels: Tensor
) -> set[int]:
    """The nodes of all induced subgraphs that are isomorphic to a labelled graph.

    Example:
        >>> path = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).bool()
        >>> edge = torch.tensor([[0, 1], [1, 0]]).bool()
        >>> nodes_of_copies(path, torch.tensor([3, 4, 5]), edge, torch.tensor([4, 3]))
        {0, 1}
    """
    graph, wanted = joined.tolist(), pattern.tolist()
    candidates = (pattern_labels[:, None] == labels).tolist()  # of each node of the pattern
    found: set[int] = set()

    def extend(chosen: tuple[int, ...]) -> None:
        k = len(chosen)
        if k == len(wanted):
            found.update(chosen)
            return
        for node, fits in enumerate(candidates[k]):
            if fits and node not in chosen and [graph[node][c] for c in chosen] == wanted[k][:k]:
                extend((*chosen, node))

    extend(())
    return found
