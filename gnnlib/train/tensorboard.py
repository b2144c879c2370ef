"""The history of a training for TensorBoard."""

import os
from typing import Any

from .history import OF_FIXED_POINTS, Epoch


class TensorBoard:
    """Writes each epoch's losses, metrics and learning rate for TensorBoard: an `on_epoch`.

    For models with fixed points also iterations, residual and convergence.

    A folder that was written before is gone on with: from the first epoch on, what is written now
    takes the place of what was there.

    Args:
        folder: where the event files go; one folder for each training.
        metric: what the metric is called.

    Raises:
        ModuleNotFoundError: tensorboard is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TensorBoard(folder) as board:
        ...         board(Epoch(1, 1.9, 0.2, 1.8, 0.25, lr=0.01))
        ...     len(os.listdir(folder))
        1
    """

    def __init__(self, folder: str | os.PathLike[str], metric: str = "accuracy"):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ModuleNotFoundError(
                "TensorBoard needs tensorboard: pip install 'gnnlib[tensorboard]'"
            ) from None
        self._metric = metric
        self._writer = SummaryWriter(os.fspath(folder), purge_step=0)

    def __call__(self, epoch: Epoch) -> None:
        values = {
            "loss/train": epoch.train_loss,
            "loss/validation": epoch.val_loss,
            f"{self._metric}/train": epoch.train_metric,
            f"{self._metric}/validation": epoch.val_metric,
            "lr": epoch.lr,
            **{f"fixed_point/{name}": getattr(epoch, name) for name in OF_FIXED_POINTS},
        }
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, epoch.epoch)

    def close(self) -> None:
        """Writes out what is left."""
        self._writer.close()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
