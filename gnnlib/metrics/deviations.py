"""How far predicted numbers lie from the true ones."""

import torch
from torch import Tensor

from ._checks import measured


def rmse(prediction: Tensor, y: Tensor) -> float:
    """The root of the mean squared error, √(mean (prediction − y)²).

    With T columns it is the mean of the columns' RMSE. A column without a known value is left out.

    Args:
        prediction: numbers [N] or [N, T].
        y: true numbers of the same shape, NaN where they are not known.

    Raises:
        ValueError: the shapes differ, nothing is known, or a known y or its prediction is not a
            finite number.

    Example:
        >>> round(rmse(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 0.0])), 3)
        1.732
    """
    return _mean_by_column(_errors(prediction, y) ** 2).sqrt().mean().item()


def mae(prediction: Tensor, y: Tensor) -> float:
    """The mean absolute error, mean abs(prediction − y).

    With T columns it is the mean of the columns' MAE. A column without a known value is left out.

    Args:
        prediction: numbers [N] or [N, T].
        y: true numbers of the same shape, NaN where they are not known.

    Raises:
        ValueError: the shapes differ, nothing is known, or a known y or its prediction is not a
            finite number.

    Example:
        >>> mae(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 0.0]))
        1.0
    """
    return _mean_by_column(_errors(prediction, y).abs()).mean().item()


def _errors(prediction: Tensor, y: Tensor) -> Tensor:
    """prediction − y [N, T] as float64, NaN where y is not known."""
    if y.ndim not in (1, 2):
        raise ValueError(f"y must be of shape [N] or [N, T], got {tuple(y.shape)}")
    known = measured(prediction, y)
    for name, values in (("prediction", prediction), ("y", y)):
        infinite = (values.isinf() & known).sum().item()
        if infinite:
            raise ValueError(f"{name} must be finite, got {infinite} infinite of {y.numel()}")
    error = prediction.detach().double() - y.double()
    return error.masked_fill(~known, torch.nan).reshape(len(y), -1)


def _mean_by_column(values: Tensor) -> Tensor:
    means = values.nanmean(dim=0)
    return means[~means.isnan()]
