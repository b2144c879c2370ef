"""How well predicted classes meet the true ones, counted on the tensors' own device."""

import torch
from torch import Tensor


def _as_classes(prediction: Tensor, y: Tensor) -> Tensor:
    if prediction.ndim == 2:
        prediction = prediction.argmax(dim=1)
    if prediction.shape != y.shape:
        raise ValueError(
            "prediction must have one row per label: "
            f"got {prediction.shape[0]} rows for y of shape {tuple(y.shape)}"
        )
    if y.numel() == 0:
        raise ValueError("y must hold at least one label, got none")
    return prediction


def accuracy(prediction: Tensor, y: Tensor) -> float:
    """The fraction of labels that are predicted.

    Args:
        prediction: class numbers [N], or scores [N, C] whose largest entry is the prediction.
        y: true class numbers [N].

    Raises:
        ValueError: the lengths differ, or there is no label.

    Example:
        >>> accuracy(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
        0.75
    """
    return (_as_classes(prediction, y) == y).sum().item() / y.numel()


def confusion_matrix(prediction: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Counts [C, C]: entry (i, j) says how often class i was predicted as class j.

    Args:
        prediction: class numbers [N], or scores [N, C].
        y: true class numbers [N].
        num_classes: C.

    Raises:
        ValueError: the lengths differ, or there is no label.

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    cell = y * num_classes + _as_classes(prediction, y)
    return torch.bincount(cell, minlength=num_classes**2).view(num_classes, num_classes)


def f1_macro(prediction: Tensor, y: Tensor, num_classes: int) -> float:
    """The mean over classes of F1 = 2·TP / (2·TP + FP + FN).

    A class that is neither true nor predicted anywhere is left out of the mean, as in
    scikit-learn's `f1_score(average="macro")`.

    Args:
        prediction: class numbers [N], or scores [N, C].
        y: true class numbers [N].
        num_classes: C.

    Raises:
        ValueError: the lengths differ, or there is no label.

    Example:
        >>> round(f1_macro(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2), 3)
        0.667
    """
    counts = confusion_matrix(prediction, y, num_classes).double()
    marginals = counts.sum(0) + counts.sum(1)  # 2·TP + FP + FN
    seen = marginals > 0
    return (2 * counts.diagonal()[seen] / marginals[seen]).mean().item()
