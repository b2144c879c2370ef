"""How well predicted classes meet the true ones; all but accuracy are counted by scikit-learn."""

import torch
from torch import Tensor


def accuracy(prediction: Tensor, y: Tensor) -> float:
    """The fraction of labels that are predicted, counted on the tensors' own device.

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
        ValueError: the lengths differ, there is no label, or one is not in [0, C).

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    from sklearn import metrics

    y, prediction = _known_classes(prediction, y, num_classes)
    return torch.from_numpy(metrics.confusion_matrix(y, prediction, labels=range(num_classes)))


def f1_macro(prediction: Tensor, y: Tensor, num_classes: int) -> float:
    """The mean over classes of F1 = 2·TP / (2·TP + FP + FN).

    A class that is neither true nor predicted anywhere is left out of the mean.

    Args:
        prediction: class numbers [N], or scores [N, C].
        y: true class numbers [N].
        num_classes: C.

    Raises:
        ValueError: the lengths differ, there is no label, or one is not in [0, C).

    Example:
        >>> round(f1_macro(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2), 3)
        0.667
    """
    return _f1(prediction, y, num_classes, "macro")


def f1_micro(prediction: Tensor, y: Tensor, num_classes: int) -> float:
    """F1 = 2·TP / (2·TP + FP + FN) of all classes' counts together.

    With one label a node this is the accuracy.

    Args:
        prediction: class numbers [N], or scores [N, C].
        y: true class numbers [N].
        num_classes: C.

    Raises:
        ValueError: the lengths differ, there is no label, or one is not in [0, C).

    Example:
        >>> round(f1_micro(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2), 3)
        0.667
    """
    return _f1(prediction, y, num_classes, "micro")


def roc_auc(scores: Tensor, y: Tensor) -> float:
    """The area under the ROC curve: how often a node of a class has a higher score than another.

    With C > 2 columns it is the mean over the classes, each against the rest.

    Args:
        scores: [N], of class 1, or class scores [N, C] (logits or probabilities).
        y: true class numbers [N].

    Raises:
        ValueError: the lengths differ, a score is NaN, or a class has no node or all of them.

    Example:
        >>> roc_auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]))
        0.75
    """
    from sklearn import metrics

    _check_rows(scores, y)
    if scores.isnan().any():
        raise ValueError(f"scores must not be NaN, got {scores.isnan().sum().item()} of them")
    if scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1] - scores[:, 0]
    num_classes = 2 if scores.ndim == 1 else scores.shape[1]
    _check_labels("y", y, num_classes)
    missing = (y.bincount(minlength=num_classes) == 0).nonzero()
    if len(missing):
        raise ValueError(
            f"y must hold each of {num_classes} classes, got none of {missing[0].item()}"
        )
    labels, values = y.cpu().numpy(), scores.detach().cpu().double().numpy()
    if values.ndim == 1:
        return float(metrics.roc_auc_score(labels, values))
    each = [metrics.roc_auc_score(labels == c, values[:, c]) for c in range(num_classes)]
    return float(sum(each) / num_classes)


def _f1(prediction: Tensor, y: Tensor, num_classes: int, average: str) -> float:
    from sklearn import metrics

    return float(metrics.f1_score(*_known_classes(prediction, y, num_classes), average=average))


def _known_classes(prediction: Tensor, y: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """y and the predicted classes, on the CPU, as scikit-learn takes them."""
    prediction = _as_classes(prediction, y)
    _check_labels("y", y, num_classes)
    _check_labels("prediction", prediction, num_classes)
    return y.cpu(), prediction.cpu()


def _as_classes(prediction: Tensor, y: Tensor) -> Tensor:
    _check_rows(prediction, y)
    return prediction.argmax(dim=1) if prediction.ndim == 2 else prediction


def _check_rows(prediction: Tensor, y: Tensor) -> None:
    if y.ndim != 1 or prediction.ndim not in (1, 2) or len(prediction) != len(y):
        raise ValueError(
            "prediction must have one row per label: "
            f"got shape {tuple(prediction.shape)} for y of shape {tuple(y.shape)}"
        )
    if y.numel() == 0:
        raise ValueError("y must hold at least one label, got none")


def _check_labels(name: str, labels: Tensor, num_classes: int) -> None:
    bad = (labels < 0) | (labels >= num_classes)
    if bad.any():
        raise ValueError(
            f"{name} must be in [0, {num_classes}), got {labels[bad][0].item()} "
            f"at row {int(bad.nonzero()[0])}"
        )
