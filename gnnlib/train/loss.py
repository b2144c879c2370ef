"""What a training makes small."""

import torch
from torch import Tensor
from torch.nn import functional as F

LOSSES = ("cross_entropy", "mse", "mae")


def node_loss(
    scores: Tensor, y: Tensor, kind: str = "cross_entropy", weight: Tensor | None = None
) -> Tensor:
    """The loss of class scores o, averaged over the nodes n with the weights of their classes.

    "cross_entropy" is −log softmax(o_n)[y_n]. "mse" is the quadratic loss Σ_c (t_nc − o_nc)²,
    with t_nc = 1 for c = y_n and 0 for the other classes: the expected loss is least where o_nc is
    the probability of class c. (The targets ±1 of the paper's two-class tasks are 2t − 1: with
    outputs 2o − 1 the same loss, four times as large.)

    Args:
        scores: o, [N, C].
        y: class numbers [N].
        kind: "cross_entropy" or "mse".
        weight: of each class, [C]; None: all weigh the same.

    The quadratic loss is that of "The Graph Neural Network Model" (Scarselli et al., IEEE TNN
    2009).

    Example:
        >>> import torch
        >>> node_loss(torch.tensor([[0.5, 1.0], [1.0, 0.0]]), torch.tensor([1, 0]), "mse")
        tensor(0.1250)
    """
    if kind == "cross_entropy":
        each = F.cross_entropy(scores, y, reduction="none")  # [N]
    else:
        each = (F.one_hot(y, scores.shape[1]).to(scores.dtype) - scores).square().sum(1)
    if weight is None:
        return each.mean()
    weight = weight.to(scores.dtype)[y]
    # A mini-batch may have only nodes of classes that weigh nothing.
    return (weight * each).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def label_loss(
    scores: Tensor, y: Tensor, kind: str = "cross_entropy", weight: Tensor | None = None
) -> Tensor:
    """The loss of scores o of several labels, averaged over the labels y that are there.

    "cross_entropy" is −y log σ(o) − (1 − y) log(1 − σ(o)), "mse" is (y − o)²; the first term of
    the one, and the other where y = 1, is multiplied by the label's weight.

    Args:
        scores: o, [N, L].
        y: 0, 1 or, where the label is missing, NaN, [N, L].
        kind: "cross_entropy" or "mse".
        weight: of the ones of each label, [L]; None: they weigh as much as its zeros.

    Example:
        >>> import torch
        >>> nan = float("nan")
        >>> label_loss(torch.zeros(2, 2), torch.tensor([[1.0, nan], [0.0, nan]]))
        tensor(0.6931)
    """
    there = ~y.isnan()
    y = y.nan_to_num().to(scores.dtype)
    weight = None if weight is None else weight.to(scores.dtype)
    if kind == "cross_entropy":
        each = F.binary_cross_entropy_with_logits(scores, y, pos_weight=weight, reduction="none")
    else:
        each = (y - scores).square() * (1 if weight is None else 1 + y * (weight - 1))
    return _mean(each, there)


def value_loss(
    values: Tensor, y: Tensor, kind: str = "mse", weight: Tensor | None = None
) -> Tensor:
    """The loss of predicted numbers o, averaged over the numbers y that are there.

    "mse" is w (y − o)², "mae" is √w |y − o|.

    Args:
        values: o, [N, T].
        y: [N, T], or [N] if T = 1; NaN where a number is missing.
        kind: "mse" or "mae".
        weight: w, of each number, [T]; None: 1.

    Example:
        >>> import torch
        >>> value_loss(torch.tensor([[1.0], [2.0]]), torch.tensor([3.0, float("nan")]))
        tensor(4.)
    """
    y = y.reshape(values.shape)
    there = ~y.isnan()
    miss = y.nan_to_num().to(values.dtype) - values
    if weight is not None:
        miss = miss * weight.to(values.dtype).sqrt()
    return _mean(miss.square() if kind == "mse" else miss.abs(), there)


def mean_and_deviation(y: Tensor) -> tuple[Tensor, Tensor]:
    """Of each column of y [N, T], or of y [N], that is there; a column without spread has 1.

    Example:
        >>> import torch
        >>> mean_and_deviation(torch.tensor([[1.0, 7.0], [3.0, 7.0], [float("nan"), 7.0]]))
        (tensor([2., 7.]), tensor([1., 1.]))
    """
    y = y.reshape(len(y), -1)
    mean = y.nanmean(0)
    deviation = (y - mean).square().nanmean(0).sqrt()
    # Equal numbers need not have a deviation of 0: their mean is rounded.
    inf = float("inf")
    spread = y.nan_to_num(-inf).amax(0) > y.nan_to_num(inf).amin(0)
    return mean.nan_to_num(), deviation.where(spread & (deviation > 0), 1.0)


def _mean(each: Tensor, there: Tensor) -> Tensor:
    """The mean of what is there; a mini-batch in which nothing is has a loss of 0."""
    return (each * there).sum() / there.sum().clamp(min=1)
