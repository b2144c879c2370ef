"""Half-hot: half of the nodes of a regular graph, whichever."""

from collections.abc import Callable, Sequence

import torch

from ..graph import Graph
from . import _random_graphs
from ._dataset import Dataset
from ._generated import CAPABILITIES, LICENCE, as_count, graph_masks, seeded


class HalfHot(Dataset):
    """Regular graphs; a model is right if it marks half of the nodes, whichever.

    In a regular graph all nodes have the same number of neighbors. With equal labels no GNN can
    tell one from another: it computes the same for all of them and can never be right. With random
    labels it can. A loss has to look at whole graphs: with outputs o_n in [−1, 1], for example

        loss = Σ_graphs (Σ_n o_n)² + Σ_n (1 − o_n²)²,

    which is 0 if half of the outputs are 1 and the others −1.

    `graph_y` [1] is the number of nodes to mark, N / 2. `x` [N, F] is a vector of random integers,
    or of ones. Masks are as those of `SubgraphMatching`. There are no classes.

    From the paper: the task, regular graphs with an even number of nodes, equal or random labels.
    Our choices: that loss, and all of the numbers.

    Args:
        max_nodes: the number of nodes is drawn from 4, 6, … max_nodes.
        max_degree: neighbors of each node are drawn from 3, 4, … max_degree, below the nodes.
        num_graphs: graphs to train, validate and test on.
        num_features: F.
        max_label: labels are integers in [0, max_label]; None: all are 1.
        seed: draws everything.
        transform: applied once to each graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: max_nodes below 4, max_degree below 3.

    Reference:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "Computational capabilities of graph
        neural networks", IEEE Transactions on Neural Networks 20(1), 2009.

    Example:
        >>> from gnnlib.datasets import HalfHot
        >>> dataset = HalfHot(num_graphs=(10, 5, 5))
        >>> dataset
        HalfHot('half_hot', num_graphs=20, num_features=1, num_classes=0)
        >>> graph = dataset[0]
        >>> bool(graph.graph_y == graph.num_nodes / 2)
        True
    """

    def __init__(
        self,
        max_nodes: int = 10,
        max_degree: int = 5,
        num_graphs: Sequence[int] = (300, 100, 100),
        *,
        num_features: int = 1,
        max_label: int | None = 10,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("max_nodes", max_nodes, least=4)
        as_count("max_degree", max_degree, least=3)
        as_count("num_features", num_features)
        low, high = (1, 1) if max_label is None else (0, as_count("max_label", max_label, least=0))
        generator = seeded(seed)

        def draw(least: int, most: int) -> int:
            return int(torch.randint(least, most + 1, (), generator=generator))

        graphs = []
        for masks in graph_masks(num_graphs, 1):
            num_nodes = 2 * draw(2, max_nodes // 2)
            degree = draw(3, min(max_degree, num_nodes - 1))
            joined = _random_graphs.regular(num_nodes, degree, generator)
            x = torch.randint(low, high + 1, (num_nodes, num_features), generator=generator)
            graphs.append(
                Graph(
                    _random_graphs.edge_index_of(joined),
                    x=x.float(),
                    graph_y=torch.tensor([num_nodes / 2]),
                    **{name: mask.expand(num_nodes).clone() for name, mask in masks.items()},
                )
            )
        super().__init__(
            "half_hot",
            graphs,
            num_classes=0,
            licence=LICENCE,
            citation=CAPABILITIES,
            transform=transform,
        )
