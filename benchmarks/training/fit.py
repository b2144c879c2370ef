"""The training loop that the synthetic tasks share: Adam, and the weights that validate best."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gnnlib.conv import GNNConv


def fit(
    model: nn.Module,
    loss: Callable[[str], Tensor],
    epochs: int,
    *,
    lr: float = 0.01,
    transition_lr: float = 0.1,
    weight_decay: float = 0.0,
    check_every: int = 5,
) -> int:
    """Train, go back to the weights of the lowest validation loss, and say which epoch had them.

    Args:
        model: has a GNNConv at `model.conv`.
        loss: called loss("train") and loss("val"), the latter every `check_every` epochs.
        transition_lr: times `lr` is the learning rate of `model.conv.transition_parameters()`.
    """
    assert isinstance(model.conv, GNNConv)
    transition = model.conv.transition_parameters()
    rest = [p for p in model.parameters() if all(p is not other for other in transition)]
    groups = [{"params": rest}, {"params": transition, "lr": lr * transition_lr}]
    optimizer = torch.optim.Adam(groups, lr=lr, weight_decay=weight_decay)
    best, best_epoch, weights = float("inf"), 0, model.state_dict()
    for epoch in range(1, epochs + 1):
        model.train()
        optimizer.zero_grad()
        loss("train").backward()
        optimizer.step()
        if epoch % check_every and epoch != epochs:
            continue
        model.eval()
        with torch.no_grad():
            value = float(loss("val"))
        if value < best:
            best, best_epoch, weights = value, epoch, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    model.eval()
    return best_epoch
