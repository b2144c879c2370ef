"""Several transforms as one."""

from collections.abc import Callable, Iterable

from ..graph import Graph


class Compose:
    """Applies transforms one after the other: Compose([f, g])(graph) = g(f(graph)).

    Args:
        transforms: functions from a Graph to a Graph, in the order in which they are applied.

    Raises:
        TypeError: one of them cannot be called.

    Example:
        >>> from gnnlib import Graph
        >>> from gnnlib.transforms import AddSelfLoops, ToUndirected
        >>> transform = Compose([ToUndirected(), AddSelfLoops()])
        >>> transform
        Compose([ToUndirected(reduce='sum'), AddSelfLoops(attr='edge_weight', fill_value=1.0)])
        >>> transform(Graph([[0], [1]], num_nodes=2)).edge_index.tolist()
        [[1, 0, 0, 1], [0, 1, 0, 1]]
    """

    def __init__(self, transforms: Iterable[Callable[[Graph], Graph]]):
        self.transforms = tuple(transforms)
        for position, transform in enumerate(self.transforms):
            if not callable(transform) or isinstance(transform, type):
                hint = f": write {transform.__name__}(…)" if isinstance(transform, type) else ""
                raise TypeError(
                    f"transforms must be functions from a Graph to a Graph: number {position} is"
                    f" {transform!r}{hint}"
                )

    def __call__(self, graph: Graph) -> Graph:
        for transform in self.transforms:
            graph = transform(graph)
        return graph

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"
