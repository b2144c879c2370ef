"""Handwritten digits as a graph: the dataset that needs no download."""

from collections.abc import Callable

import torch

from ..graph import Graph
from ._dataset import Dataset
from ._nearest import joined

LICENCE = "CC BY 4.0 (UCI Machine Learning Repository)"
CITATION = (
    "E. Alpaydin, C. Kaynak. Optical recognition of handwritten digits. "
    "UCI Machine Learning Repository, 1998. doi:10.24432/C50P49."
)
_NUM_TRAIN_PER_CLASS = 20
_NUM_VALIDATION = 500


class Digits(Dataset):
    """The handwritten digits that come with scikit-learn; each image is joined to its nearest.

    One graph of 1797 nodes: `x` [N, 64] holds the 8 × 8 pixels scaled to [0, 1], `y` [N] the digit.
    i and j are joined, in both directions, if ‖x_i − x_j‖ is among the `k` smallest of i or of j
    (of equal ones, the node that comes first). 20 nodes of each class are in `train_mask`, 500
    others in `val_mask`, the remaining 1097 in `test_mask`, drawn by `seed`.

    Args:
        k: neighbours that each node chooses.
        seed: draws the split.
        transform: applied once to the graph.

    Raises:
        TypeError: k is no int.
        ValueError: k is not in [1, 1796].

    Reference:
        Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning
        Repository, 1998.

    Example:
        >>> from gnnlib.datasets import Digits
        >>> dataset = Digits()
        >>> dataset
        Digits('digits', num_graphs=1, num_features=64, num_classes=10)
        >>> int(dataset[0].train_mask.sum())
        200
    """

    def __init__(
        self,
        k: int = 8,
        *,
        seed: int = 0,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        if isinstance(k, bool) or not isinstance(k, int):
            raise TypeError(f"k must be an int, got {type(k).__name__}")
        from sklearn.datasets import load_digits

        pixels, y = map(torch.as_tensor, load_digits(return_X_y=True))
        if not 1 <= k < len(y):
            raise ValueError(f"k must be in [1, {len(y) - 1}], one less than the nodes; got {k}")
        graph = Graph(
            _nearest(pixels.long(), k),
            x=(pixels / 16).float(),
            y=y.long(),
            num_nodes=len(y),
            **_split(y, seed),
        )
        super().__init__(
            "digits",
            [graph],
            num_classes=10,
            licence=LICENCE,
            citation=CITATION,
            transform=transform,
        )


def _nearest(points: torch.Tensor, k: int) -> torch.Tensor:
    """edge_index [2, E] between each of the whole-numbered `points` [N, F] and its k nearest."""
    n = len(points)
    norms = points.square().sum(1)
    distances = norms[:, None] + norms - 2 * (points @ points.T)  # [N, N], exact
    distances.fill_diagonal_(int(distances.max()) + 1)
    # No two ranks of a row are equal, so the choice does not depend on how topk breaks ties.
    ranks = distances * n + torch.arange(n)
    return joined(ranks.topk(k, largest=False).indices)


def _split(y: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y), generator=generator)
    drawn = y[order][:, None] == torch.arange(int(y.max()) + 1)  # [N, C]
    train = (drawn & (drawn.cumsum(0) <= _NUM_TRAIN_PER_CLASS)).any(1)
    rest = order[~train]
    parts = {
        "train_mask": order[train],
        "val_mask": rest[:_NUM_VALIDATION],
        "test_mask": rest[_NUM_VALIDATION:],
    }
    masks = {}
    for name, nodes in parts.items():
        masks[name] = torch.zeros(len(y), dtype=torch.bool)
        masks[name][nodes] = True
    return masks
