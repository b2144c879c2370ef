"""What all metrics ask of a prediction and the truth."""

import torch
from torch import Tensor


def check_classes(prediction: Tensor, y: Tensor) -> None:
    """One label a row: y [N] of class numbers, prediction [N] or [N, C]."""
    if y.ndim != 1 or prediction.ndim not in (1, 2) or len(prediction) != len(y):
        raise ValueError(
            "prediction must have one row per label: "
            f"got shape {tuple(prediction.shape)} for y of shape {tuple(y.shape)}"
        )
    if y.is_floating_point():
        raise TypeError(f"y of shape [N] must hold class numbers, got {y.dtype}; labels are [N, L]")
    if y.numel() == 0:
        raise ValueError("y must hold at least one label, got none")


def check_range(name: str, labels: Tensor, num_classes: int | None) -> None:
    """Class numbers lie in [0, C); None is the largest C there is."""
    bound = torch.iinfo(torch.int64).max if num_classes is None else num_classes
    bad = (labels < 0) | (labels >= bound)
    if bad.any():
        rule = "not be negative" if num_classes is None else f"be in [0, {num_classes})"
        raise ValueError(
            f"{name} must {rule}, got {labels[bad][0].item()} at row {int(bad.nonzero()[0])}"
        )


def measured(prediction: Tensor, y: Tensor) -> Tensor:
    """The mask [N, …] of what is known of y: all that is not NaN.

    Raises:
        ValueError: the shapes differ, nothing is known, or a prediction of what is known is NaN.
    """
    if prediction.shape != y.shape:
        raise ValueError(
            "prediction must have the shape of y: "
            f"got {tuple(prediction.shape)} for y of shape {tuple(y.shape)}"
        )
    known = ~y.isnan()
    if not known.any():
        raise ValueError(f"y must hold at least one value, got none in shape {tuple(y.shape)}")
    missing = (prediction.isnan() & known).sum().item()
    if missing:
        raise ValueError(f"prediction must not be NaN, got {missing} of them")
    return known


def measured_labels(prediction: Tensor, y: Tensor, num_classes: int | None = None) -> Tensor:
    """The mask [N, L] of the labels that are known, all of them 0 or 1."""
    known = measured(prediction, y)
    if num_classes not in (None, y.shape[1]):
        raise ValueError(f"y must have num_classes={num_classes} columns, got {y.shape[1]}")
    bad = known & (y != 0) & (y != 1)
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        raise ValueError(
            f"y of shape [N, L] must be 0, 1 or NaN, got {y[bad][0].item()} at row {row}, "
            f"column {column}"
        )
    return known
