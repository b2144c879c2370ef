"""Tree depth: how far each node is from the root."""

from collections.abc import Callable

import torch

from ..graph import Graph
from ._dataset import Dataset
from ._generated import CAPABILITIES, LICENCE, as_count, node_masks, seeded


class TreeDepth(Dataset):
    """A random tree, edges from parents to children, and the depth of each node.

    The tree grows level by level: each node in turn gets 1 to `max_children` children, drawn
    evenly, until there are N nodes. `y` [N] is the number of edges from the root. `x` [N, 1] is 1
    for all nodes, numbered at random. As y is a number, the dataset has no classes. Depths that
    are rare in training, or a deeper tree of another seed, show whether a model has learnt to
    count.

    From the paper: the task, and a tree that grows level by level. Our choices: all of the
    numbers, and labels that are all 1.

    Args:
        num_nodes: N.
        max_children: of each node.
        num_train, num_val: nodes to train and to validate on; the rest are test nodes.
        seed: draws everything.
        transform: applied once to the graph.

    Raises:
        TypeError: a number of something that is no int.
        ValueError: one below 1, too few nodes for the split.

    Reference:
        Scarselli, Gori, Tsoi, Hagenbuchner and Monfardini, "Computational capabilities of graph
        neural networks", IEEE Transactions on Neural Networks 20(1), 2009.

    Example:
        >>> from gnnlib.datasets import TreeDepth
        >>> graph = TreeDepth(1000)[0]
        >>> source, destination = graph.edge_index
        >>> bool((graph.y[destination] == graph.y[source] + 1).all())
        True
    """

    def __init__(
        self,
        num_nodes: int = 1000,
        max_children: int = 3,
        *,
        num_train: int = 200,
        num_val: int = 200,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        as_count("num_nodes", num_nodes)
        as_count("max_children", max_children)
        generator = seeded(seed)
        children = torch.randint(1, max_children + 1, (num_nodes,), generator=generator)
        parent = torch.arange(num_nodes).repeat_interleave(children)[: num_nodes - 1]
        depth = [0]
        for node in parent.tolist():  # node k + 1 is the k-th child
            depth.append(depth[node] + 1)
        name = torch.randperm(num_nodes, generator=generator)
        order = torch.randperm(num_nodes, generator=generator)
        graph = Graph(
            torch.stack([name[parent], name[1:]]),
            x=torch.ones(num_nodes, 1),
            y=torch.tensor(depth).float()[name.argsort()],
            **node_masks(num_nodes, num_train, num_val, order),
        )
        super().__init__(
            "tree_depth",
            [graph],
            num_classes=0,
            licence=LICENCE,
            citation=CAPABILITIES,
            transform=transform,
        )
