"""How many predicted labels meet the true ones, counted on the tensors' own device."""

import torch
from torch import Tensor

from ._checks import check_classes, check_range, measured_labels


def accuracy(prediction: Tensor, y: Tensor) -> float:
    """The fraction of labels that are predicted.

    With several labels a row each label counts by itself: a row need not be right as a whole.

    Args:
        prediction: class numbers [N], or scores [N, C] whose largest entry is the prediction. For
            several labels a row, logits [N, L]: what is positive is predicted.
        y: true class numbers [N]; or labels [N, L], 0 or 1, NaN where it is not known.

    Raises:
        ValueError: the lengths differ, there is no label, or a logit is NaN.
        TypeError: y [N] is not of whole numbers.

    Example:
        >>> accuracy(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]))
        0.75
        >>> accuracy(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, float("nan")]]))
        1.0
    """
    if y.ndim == 2:
        known = measured_labels(prediction, y)
        right = ((prediction > 0) == (y == 1)) & known
        return right.sum().item() / known.sum().item()
    return (_as_classes(prediction, y) == y).sum().item() / y.numel()


def confusion_matrix(prediction: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Counts [C, C]: entry (i, j) says how often class i was predicted as class j.

    Args:
        prediction: class numbers [N], or scores [N, C].
        y: true class numbers [N].
        num_classes: C.

    Raises:
        ValueError: the lengths differ, there is no label, or one is not in [0, C).
        TypeError: y [N] is not of whole numbers.

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    prediction = _known_classes(prediction, y, num_classes)
    pairs = y.long() * num_classes + prediction.long()
    counts = pairs.bincount(minlength=num_classes * num_classes)
    return counts.view(num_classes, num_classes).cpu()


def f1_macro(prediction: Tensor, y: Tensor, num_classes: int | None = None) -> float:
    """The mean over classes of F1 = 2·TP / (2·TP + FP + FN).

    A class that is neither true nor predicted anywhere is left out of the mean; if all are, the
    result is 0. With several labels a row, each label is such a class, and an unknown one does not
    count.

    Args:
        prediction: class numbers [N], or scores [N, C]. For several labels a row, logits [N, L]:
            what is positive is predicted.
        y: true class numbers [N]; or labels [N, L], 0 or 1, NaN where it is not known.
        num_classes: C or L; None does without the check.

    Raises:
        ValueError: the lengths differ, there is no label, one is not in [0, C), or a logit is NaN.
        TypeError: y [N] is not of whole numbers.

    Example:
        >>> round(f1_macro(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])), 3)
        0.667
        >>> round(f1_macro(torch.tensor([[2.0, 1.0], [1.0, -1.0]]), torch.eye(2)), 3)
        0.333
    """
    hits, misses = _hits_and_misses(prediction, y, num_classes)
    seen = hits + misses > 0
    if not seen.any():
        return 0.0
    return (2 * hits[seen] / (2 * hits[seen] + misses[seen])).mean().item()


def f1_micro(prediction: Tensor, y: Tensor, num_classes: int | None = None) -> float:
    """F1 = 2·TP / (2·TP + FP + FN) of all classes' counts together.

    With one label a row this is the accuracy. With several, an unknown one does not count, and the
    result is 0 where none is true or predicted.

    Args:
        prediction: class numbers [N], or scores [N, C]. For several labels a row, logits [N, L]:
            what is positive is predicted.
        y: true class numbers [N]; or labels [N, L], 0 or 1, NaN where it is not known.
        num_classes: C or L; None does without the check.

    Raises:
        ValueError: the lengths differ, there is no label, one is not in [0, C), or a logit is NaN.
        TypeError: y [N] is not of whole numbers.

    Example:
        >>> round(f1_micro(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])), 3)
        0.667
        >>> f1_micro(torch.tensor([[2.0, 1.0], [1.0, -1.0]]), torch.eye(2))
        0.4
    """
    hits, misses = (counts.sum().item() for counts in _hits_and_misses(prediction, y, num_classes))
    return 2 * hits / (2 * hits + misses) if hits + misses else 0.0


def _hits_and_misses(
    prediction: Tensor, y: Tensor, num_classes: int | None
) -> tuple[Tensor, Tensor]:
    """TP and FP + FN of each class, as float64."""
    if y.ndim == 2:
        known = measured_labels(prediction, y, num_classes)
        predicted, true = (prediction > 0) & known, (y == 1) & known
        hits, misses = (predicted & true).sum(0), (predicted ^ true).sum(0)
        return hits.double(), misses.double()
    prediction = _known_classes(prediction, y, num_classes)
    size = 1 + int(torch.stack([y.max(), prediction.max()]).max())
    hits = y[prediction == y].bincount(minlength=size)
    marginals = y.bincount(minlength=size) + prediction.bincount(minlength=size)
    return hits.double(), (marginals - 2 * hits).double()


def _known_classes(prediction: Tensor, y: Tensor, num_classes: int | None) -> Tensor:
    """The predicted classes, after they and y were found to be of those that there are."""
    prediction = _as_classes(prediction, y)
    check_range("y", y, num_classes)
    check_range("prediction", prediction, num_classes)
    return prediction


def _as_classes(prediction: Tensor, y: Tensor) -> Tensor:
    check_classes(prediction, y)
    return prediction.argmax(dim=1) if prediction.ndim == 2 else prediction
