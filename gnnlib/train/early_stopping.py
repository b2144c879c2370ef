"""Which epoch was the best, and when to give up on a better one."""

from torch import Tensor, nn


class EarlyStopping:
    """Keeps a model's weights of its best epoch.

    The best epoch has the highest validation accuracy; among equals, the lowest validation loss.
    Accuracy is what is reported, and its ties, frequent on small validation sets, are decided by
    the loss, which still falls while accuracy rests.

    Args:
        model: the model whose weights are kept.
        patience: `exhausted` after so many epochs without a better one; None is never.
    """

    def __init__(self, model: nn.Module, patience: int | None):
        self.model = model
        self.patience = patience
        self.best_epoch = 0
        self.epochs_since = 0
        self._best = (float("-inf"), float("-inf"))
        self._weights: dict[str, Tensor] = {}

    def update(self, epoch: int, val_accuracy: float, val_loss: float) -> None:
        """Weighs one epoch; the model must hold the weights it was validated with."""
        score = (val_accuracy, -val_loss)
        if score > self._best:
            self._best, self.best_epoch, self.epochs_since = score, epoch, 0
            self._weights = {
                name: value.detach().clone() for name, value in self.model.state_dict().items()
            }
        else:
            self.epochs_since += 1

    @property
    def exhausted(self) -> bool:
        return self.patience is not None and self.epochs_since >= self.patience

    def restore(self) -> None:
        """Gives the model back its best weights."""
        self.model.load_state_dict(self._weights)
