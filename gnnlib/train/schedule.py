"""How the learning rate changes from epoch to epoch."""

from typing import Any

from torch.optim import Optimizer, lr_scheduler

from .config import TrainConfig


class Schedule:
    """The learning rate of an optimizer, led by `config.scheduler`."""

    def __init__(self, optimizer: Optimizer, config: TrainConfig):
        self._optimizer = optimizer
        self._plateau: lr_scheduler.ReduceLROnPlateau | None = None
        self._steps: lr_scheduler.LRScheduler | None = None
        epochs, factor = config.scheduler_epochs, config.scheduler_factor
        if config.scheduler == "cosine":
            self._steps = lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.epochs)
        elif config.scheduler == "step":
            self._steps = lr_scheduler.StepLR(optimizer, epochs, gamma=factor)
        elif config.scheduler == "plateau":
            self._plateau = lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=factor, patience=epochs, threshold=0.0
            )

    @property
    def lr(self) -> float:
        return self._optimizer.param_groups[0]["lr"]

    def step(self, val_loss: float) -> None:
        """To be called at the end of each epoch."""
        if self._plateau is not None:
            self._plateau.step(val_loss)
        elif self._steps is not None:
            self._steps.step()

    def state_dict(self) -> dict[str, Any]:
        used = self._plateau or self._steps
        return {} if used is None else used.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        used = self._plateau or self._steps
        if used is not None:
            used.load_state_dict(state)
