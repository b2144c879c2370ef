"""Which epoch was the best, and when to give up on a better one."""

from typing import Any

from torch import Tensor, nn

_GIVEN = ("model", "patience")


class EarlyStopping:
    """Keeps a model's weights of its best epoch, and counts the epochs that brought nothing new.

    The best epoch has the highest validation score; among equals, the lowest validation loss. The
    score, the accuracy of classes for example, is what is reported; its ties, frequent with few
    validation nodes, are decided by the loss. As in "Graph Attention Networks" (Veličković et al.,
    ICLR 2018), patience runs out only when neither of the two gets better: the score often rests
    while the loss still falls.

    Args:
        model: the model whose weights are kept.
        patience: `exhausted` after so many epochs with no new highest score and no new lowest
            loss; None: never.
    """

    def __init__(self, model: nn.Module, patience: int | None):
        self.model = model
        self.patience = patience
        self.best_epoch = 0
        self._score, self._loss = float("-inf"), float("inf")  # of the best epoch
        self._lowest_loss = float("inf")  # of any epoch
        self._epochs_without_news = 0
        self._weights: dict[str, Tensor] = {}

    def update(self, epoch: int, score: float, loss: float) -> None:
        """Weighs one epoch; the model must hold the weights it was validated with."""
        news = score > self._score or loss < self._lowest_loss
        self._epochs_without_news = 0 if news else self._epochs_without_news + 1
        if (score, -loss) > (self._score, -self._loss):
            self.best_epoch, self._score, self._loss = epoch, score, loss
            self._weights = {
                name: value.detach().clone() for name, value in self.model.state_dict().items()
            }
        self._lowest_loss = min(loss, self._lowest_loss)

    @property
    def exhausted(self) -> bool:
        return self.patience is not None and self._epochs_without_news >= self.patience

    def restore(self) -> None:
        """Gives the model back its best weights."""
        self.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model and its patience."""
        return {name: value for name, value in vars(self).items() if name not in _GIVEN}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
