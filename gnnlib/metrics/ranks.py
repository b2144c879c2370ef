"""How well scores put what is true before what is not; computed by scikit-learn."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ._checks import check_classes, check_range, measured_labels


def roc_auc(scores: Tensor, y: Tensor) -> float:
    """The area under the ROC curve: how often a row of a class has a higher score than another.

    With C > 2 classes it is the mean over them, each against the rest. With several labels a row
    it is, as MoleculeNet has it, the mean over the columns whose known labels are of both kinds.

    Args:
        scores: [N], of class 1, or class scores [N, C] (logits or probabilities). For several
            labels a row, [N, L].
        y: true class numbers [N]; or labels [N, L], 0 or 1, NaN where it is not known.

    Raises:
        ValueError: the lengths differ, a score is NaN, a class has no row or all of them, or no
            column has labels of both kinds.
        TypeError: y [N] is not of whole numbers.

    Paper: Wu et al., "MoleculeNet: a benchmark for molecular machine learning", Chem. Sci. 2018.

    Example:
        >>> import torch
        >>> roc_auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
        0.75
        >>> roc_auc(torch.tensor([[0.1, 3.0], [0.4, 2.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
        1.0
    """
    from sklearn import metrics

    return _mean_of_columns(metrics.roc_auc_score, scores, y)


def average_precision(scores: Tensor, y: Tensor) -> float:
    """The area under precision over recall, as steps: Σₖ (Rₖ − Rₖ₋₁) · Pₖ over the thresholds.

    With C > 2 classes it is the mean over them, each against the rest. With several labels a row
    it is the mean over the columns whose known labels are of both kinds.

    Args:
        scores: [N], of class 1, or class scores [N, C] (logits or probabilities). For several
            labels a row, [N, L].
        y: true class numbers [N]; or labels [N, L], 0 or 1, NaN where it is not known.

    Raises:
        ValueError: the lengths differ, a score is NaN, a class has no row or all of them, or no
            column has labels of both kinds.
        TypeError: y [N] is not of whole numbers.

    Example:
        >>> import torch
        >>> scores, y = torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])
        >>> round(average_precision(scores, y), 3)
        0.833
    """
    from sklearn import metrics

    return _mean_of_columns(metrics.average_precision_score, scores, y)


def _mean_of_columns(metric: Callable[..., Any], scores: Tensor, y: Tensor) -> float:
    columns = _columns_of_labels(scores, y) if y.ndim == 2 else _columns_of_classes(scores, y)
    each = [
        metric(labels.cpu().numpy(), values.detach().cpu().double().numpy())
        for labels, values in columns
    ]
    return float(sum(each) / len(each))


def _columns_of_classes(scores: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each class, which rows are of it and their scores; of two classes, the second alone."""
    check_classes(scores, y)
    if scores.isnan().any():
        raise ValueError(f"scores must not be NaN, got {scores.isnan().sum().item()} of them")
    if scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1] - scores[:, 0]
    num_classes = 2 if scores.ndim == 1 else scores.shape[1]
    check_range("y", y, num_classes)
    missing = (y.long().bincount(minlength=num_classes) == 0).nonzero()
    if len(missing):
        raise ValueError(
            f"y must hold each of {num_classes} classes, got none of {missing[0].item()}"
        )
    if scores.ndim == 1:
        return [(y == 1, scores)]
    return [(y == label, scores[:, label]) for label in range(num_classes)]


def _columns_of_labels(scores: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The known labels and their scores, of the columns that have both 0 and 1."""
    known = measured_labels(scores, y)
    both = ((known & (y == 0)).any(0) & (known & (y == 1)).any(0)).nonzero().flatten()
    if not len(both):
        raise ValueError(f"y must have a column with both 0 and 1, got none of {y.shape[1]}")
    chosen = [(known[:, column], column) for column in both.tolist()]
    return [(y[rows, column] == 1, scores[rows, column]) for rows, column in chosen]
