"""Breast tumours as a graph of those that look alike: no download either."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..graph import Graph
from ._dataset import Dataset
from ._generated import as_count
from ._nearest import joined
from ._splits import per_class

DIAGNOSES = ("malignant", "benign")
LICENCE = "CC BY 4.0 (UCI Machine Learning Repository)"
CITATION = (
    "W. Wolberg, O. Mangasarian, N. Street, W. Street. Breast cancer Wisconsin (diagnostic). "
    "UCI Machine Learning Repository, 1993. doi:10.24432/C5DW2B."
)


class BreastCancer(Dataset):
    """The breast tumours that come with scikit-learn; each is joined to those most like it.

    One graph of 569 nodes: `x` [N, 30] are measurements of the cell nuclei in an image, each
    column scaled to mean 0 and standard deviation 1, and `y` [N] is the diagnosis, 0 malignant
    (212) and 1 benign (357). i and j are joined, in both directions, if ‖x_i − x_j‖ is among the
    `k` smallest of i or of j (of equal ones, the node that comes first). 20 nodes of each class
    are in `train_mask`, 30 others in `val_mask`, the remaining 469 in `test_mask`, drawn by `seed`.

    Args:
        k: neighbours that each node chooses.
        seed: draws the split.
        transform: applied once to the graph.

    Raises:
        TypeError: k is no int.
        ValueError: k is not in [1, 568].

    Reference:
        Street, Wolberg and Mangasarian, "Nuclear feature extraction for breast tumor diagnosis",
        SPIE 1905, 1993.

    Example:
        >>> from gnnlib.datasets import BreastCancer
        >>> dataset = BreastCancer()
        >>> dataset
        BreastCancer('breast-cancer', num_graphs=1, num_features=30, num_classes=2)
        >>> dataset[0].y.bincount()
        tensor([212, 357])
    """

    def __init__(
        self,
        k: int = 8,
        *,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        from sklearn.datasets import load_breast_cancer

        x, y = map(torch.as_tensor, load_breast_cancer(return_X_y=True))
        as_count("k", k, most=len(y) - 1)
        x = (x - x.mean(0)) / x.std(0, correction=0)
        graph = Graph(
            _nearest(x, k),
            x=x.float(),
            y=y.long(),
            num_nodes=len(y),
            **per_class(y, seed=seed),
        )
        super().__init__(
            "breast-cancer",
            [graph],
            num_classes=len(DIAGNOSES),
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def _nearest(points: Tensor, k: int) -> Tensor:
    """edge_index [2, E] between each of the points [N, F] and its k nearest."""
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    near = distances.fill_diagonal_(torch.inf).argsort(dim=1, stable=True)
    return joined(near[:, :k])
