"""Zachary's karate club, the smallest of the well-known social networks."""

from collections.abc import Callable

import torch

from ..graph import Graph
from ._dataset import Dataset

CLUBS = ("Mr. Hi", "Officer")
LICENCE = "BSD-3-Clause (networkx, which the graph comes with)"
CITATION = (
    "W. W. Zachary. An information flow model for conflict and fission in small groups. "
    "Journal of Anthropological Research 33(4), 1977."
)
_NUM_VALIDATION = 10


class Karate(Dataset):
    """The 34 members of a karate club that split in two, and the 78 pairs who met outside it.

    As networkx has it: `y` [34] is the club that the member joined, 0 for that of the instructor
    ("Mr. Hi"), 1 for that of the president ("Officer"). Each pair is an edge in both directions.
    The members have no features, so `x` is the identity [34, 34].

    One member of each club is in `train_mask`: the instructor, node 0, and the president, node 33
    (Kipf and Welling, appendix A, label one node of each class too, of four classes found by
    clustering). `seed` draws 10 of the others for `val_mask`; the remaining 22 are in `test_mask`.

    Args:
        weighted: let the graph have `edge_weight` [156], the number of settings in which the two
            met. A conv uses the weights of a graph that has them.
        seed: draws the nodes for validation.
        transform: applied once to the graph.

    References:
        Zachary, "An information flow model for conflict and fission in small groups", Journal of
        Anthropological Research 33(4), 1977. Kipf and Welling, "Semi-supervised classification
        with graph convolutional networks", ICLR 2017.

    Example:
        >>> from gnnlib.datasets import Karate
        >>> Karate()
        Karate('karate', num_graphs=1, num_features=34, num_classes=2)
        >>> Karate(weighted=True)[0].edge_weight.sum()
        tensor(462.)
    """

    def __init__(
        self,
        *,
        weighted: bool = False,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        import networkx

        club = networkx.karate_club_graph()
        y = torch.tensor([CLUBS.index(name) for _, name in club.nodes(data="club")])
        graph = Graph.from_networkx(club, node_attrs=[]).coalesce()  # which sorts the edges
        graph = graph.replace(x=torch.eye(len(y)), y=y, **_split(len(y), seed))
        super().__init__(
            "karate",
            [graph if weighted else graph.replace(edge_weight=None)],
            num_classes=len(CLUBS),
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def _split(num_nodes: int, seed: int) -> dict[str, torch.Tensor]:
    order = torch.randperm(num_nodes - 2, generator=torch.Generator().manual_seed(seed)) + 1
    parts = {
        "train_mask": torch.tensor([0, num_nodes - 1]),
        "val_mask": order[:_NUM_VALIDATION],
        "test_mask": order[_NUM_VALIDATION:],
    }
    empty = torch.zeros(num_nodes, dtype=torch.bool)
    return {name: empty.index_fill(0, nodes, True) for name, nodes in parts.items()}
