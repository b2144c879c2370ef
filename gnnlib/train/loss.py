"""What a training makes small."""

from torch import Tensor
from torch.nn import functional as F

LOSSES = ("cross_entropy", "mse")


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
        kind: one of LOSSES.
        weight: of each class, [C]; None: all weigh the same.

    The quadratic loss is that of "The Graph Neural Network Model" (Scarselli et al., IEEE TNN
    2009).

    Example:
        >>> import torch
        >>> node_loss(torch.tensor([[0.5, 1.0], [1.0, 0.0]]), torch.tensor([1, 0]), "mse")
        tensor(0.1250)
    """
    weight = None if weight is None else weight.to(scores.dtype)
    if kind == "cross_entropy":
        return F.cross_entropy(scores, y, weight)
    targets = F.one_hot(y, scores.shape[1]).to(scores.dtype)
    each = (targets - scores).square().sum(1)  # [N]
    if weight is None:
        return each.mean()
    return (weight[y] * each).sum() / weight[y].sum()
