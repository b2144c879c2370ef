"""The full-batch training loop."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import metrics
from ..fixed_point import FixedPointDivergence, FixedPointWarning
from ..graph import Graph
from ._checks import MASKS, check_device, check_labels, check_trainable
from .checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .convergence import convergence_of
from .finite import finite_checked
from .history import Epoch, TrainResult
from .interrupt import deferred_interrupt
from .loss import node_loss
from .state import TrainState
from .warned_once import warned_once


class Trainer:
    """Trains a model to classify the nodes of one graph.

    Each epoch takes one Adam step on the loss of the nodes in `train_mask` and then measures the
    nodes in `val_mask`. `EarlyStopping` says which epoch is the best; its weights are in the model
    afterwards. `test_mask` is looked at once, at the end.

    Of a model it uses, if they are there: `convs`, for `decay_layers`; `transition_parameters()`,
    for `transition_lr`; `penalty(graph)`, which is added to the training loss unless it is None;
    and the `last_report` of its fixed-point layers, for the history.

    Args:
        model: called as `model(graph.x, graph)`, gives class scores [N, C].
        graph: has x, y [N] int64, and train_mask, val_mask, test_mask [N] bool. Labels outside
            the masks are not looked at.
        config: the settings; the defaults of `TrainConfig` when left out.
        on_epoch: called with each `Epoch` as it ends.

    Raises:
        ValueError: an empty graph or mask, something missing, NaN or infinite x, a label that the
            model has no class for, a model on another device than the graph.
        TypeError: y or a mask of a wrong kind.

    Example:
        >>> from gnnlib import Graph
        >>> from gnnlib.models import GCN
        >>> ring = torch.arange(6)
        >>> masks = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]) > 0
        >>> graph = Graph(
        ...     torch.stack([ring, ring.roll(1)]), x=torch.eye(6), y=ring % 2,
        ...     train_mask=masks[0], val_mask=masks[1], test_mask=masks[2],
        ... )
        >>> result = Trainer(GCN(6, 4, 2), graph, TrainConfig(epochs=5)).fit()
        >>> len(result.history), sorted(result.test)
        (5, ['accuracy', 'f1_macro'])
    """

    def __init__(
        self,
        model: nn.Module,
        graph: Graph,
        config: TrainConfig | None = None,
        *,
        on_epoch: Callable[[Epoch], Any] | None = None,
    ):
        check_trainable(graph)
        check_device(model, graph)
        self.model = model
        self.graph = graph
        self.config = config or TrainConfig()
        self.on_epoch = on_epoch
        self._nodes = {mask: graph[mask].nonzero().squeeze(1) for mask in MASKS}
        self._labels = {mask: graph.y[nodes] for mask, nodes in self._nodes.items()}

    @warned_once(FixedPointWarning)
    def fit(
        self,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        checkpoint_seconds: float = 30,
    ) -> TrainResult:
        """Trains and leaves the model in evaluation mode with its best weights.

        The first Ctrl-C lets the epoch come to its end and saves the checkpoint before it is a
        KeyboardInterrupt; the second interrupts at once. A FixedPointWarning is shown once, not in
        each epoch.

        Args:
            checkpoint: a file that the whole state is saved to: model, optimizer, learning rate,
                best weights, history, random numbers. It is written when `checkpoint_seconds` have
                passed since it was, on Ctrl-C and at the end, and stays there. None saves nothing.
            resume: go on from the checkpoint if the file exists. On the CPU the result is bit by
                bit that of a training that was never interrupted. `on_epoch` is first called
                with the epochs that the checkpoint has.
            checkpoint_seconds: 0 saves after each epoch.

        Raises:
            FloatingPointError: the loss became NaN or infinite, or with `config.check_finite`
                something before it.
            FixedPointDivergence: a fixed-point layer does not converge; it says at which epoch.
            ValueError: the checkpoint to resume from is of another model, graph or config, or is
                damaged (a CheckpointError).
            KeyboardInterrupt: Ctrl-C.
        """
        if checkpoint is None and resume:
            raise ValueError("resume=True needs a checkpoint to go on from, got checkpoint=None")
        if not checkpoint_seconds >= 0:
            raise ValueError(f"checkpoint_seconds must not be negative, got {checkpoint_seconds}")
        self._loss_weight = self._class_weight(check_labels(self._logits(), self.graph))
        optimizer = torch.optim.Adam(self._parameter_groups(), lr=self.config.lr)
        state = TrainState(self.model, optimizer, self.graph, self.config)
        if resume and checkpoint is not None and Path(checkpoint).exists():
            self._load(state, checkpoint)
        with deferred_interrupt() as interrupted:
            self._train(state, checkpoint, checkpoint_seconds, interrupted)
        state.stopping.restore()
        logits = self._logits()
        val, test = (self._metrics(logits, mask) for mask in ("val_mask", "test_mask"))
        return TrainResult(state.history, state.stopping.best_epoch, val, test, state.seconds)

    def _load(self, state: TrainState, checkpoint: str | os.PathLike[str]) -> None:
        content = load_checkpoint(checkpoint)
        try:
            state.load_state_dict(content)
        except (KeyError, TypeError, AttributeError):
            raise CheckpointError(f"{checkpoint} is no checkpoint of a training") from None
        except ValueError as error:
            raise ValueError(f"cannot resume from {checkpoint}: {error}") from None
        if self.on_epoch is not None:
            for epoch in state.history:
                self.on_epoch(epoch)

    def _train(
        self,
        state: TrainState,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_seconds: float,
        interrupted: Callable[[], bool],
    ) -> None:
        saved = time.perf_counter()
        started = saved - state.seconds
        while not state.finished:
            epoch = self._epoch(len(state.history) + 1, state)
            state.history.append(epoch)
            state.stopping.update(epoch.epoch, epoch.val_accuracy, epoch.val_loss)
            state.schedule.step(epoch.val_loss)
            if self.on_epoch is not None:
                self.on_epoch(epoch)
            now = time.perf_counter()
            state.seconds = now - started
            stop = interrupted()  # asked once: a Ctrl-C during the save is for the next epoch
            due = now - saved >= checkpoint_seconds or state.finished or stop
            if checkpoint is not None and due:
                save_checkpoint(checkpoint, state.state_dict())
                saved = time.perf_counter()
            if stop:
                return

    def _epoch(self, number: int, state: TrainState) -> Epoch:
        optimizer = state.optimizer
        self.model.train()
        optimizer.zero_grad()
        with self._checks(number):
            loss = self._penalised(self._loss(self._forward(), "train_mask"))
            loss.backward()
        trained = convergence_of(self.model)
        if self.config.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        optimizer.step()
        with self._checks(number):
            logits = self._logits()
        validated = convergence_of(self.model)
        train_loss, val_loss = loss.item(), self._loss(logits, "val_mask").item()
        if not (abs(train_loss) < float("inf") and abs(val_loss) < float("inf")):
            raise FloatingPointError(
                f"training diverged: at epoch {number} the training loss is {train_loss} and the "
                f"validation loss {val_loss}; try a smaller lr than {self.config.lr}, or "
                "check_finite to see where it begins"
            )
        train_accuracy = self._accuracy(logits, "train_mask")
        val_accuracy = self._accuracy(logits, "val_mask")
        epoch = Epoch(number, train_loss, train_accuracy, val_loss, val_accuracy, state.schedule.lr)
        if trained is None or validated is None:
            return epoch
        converged = trained.converged and validated.converged
        return epoch._replace(**trained._replace(converged=converged)._asdict())

    @contextmanager
    def _checks(self, number: int) -> Iterator[None]:
        try:
            with finite_checked(self.model) if self.config.check_finite else nullcontext():
                yield
        except (FloatingPointError, FixedPointDivergence) as error:
            error.args = (f"at epoch {number}: {error}",)  # it stays what it is, with its report
            raise

    def _forward(self) -> Tensor:
        if self.config.amp is None:
            return self.model(self.graph.x, self.graph)
        with torch.autocast(self.graph.device.type, torch.bfloat16):
            logits = self.model(self.graph.x, self.graph)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    @torch.no_grad()
    def _logits(self) -> Tensor:
        self.model.eval()
        return self._forward()

    def _loss(self, logits: Tensor, mask: str) -> Tensor:
        scores, y = logits[self._nodes[mask]], self._labels[mask]
        return node_loss(scores, y, self.config.loss, self._loss_weight)

    def _penalised(self, loss: Tensor) -> Tensor:
        penalty: Callable[[Graph], Tensor | None] | None = getattr(self.model, "penalty", None)
        term = None if penalty is None else penalty(self.graph)
        return loss if term is None else loss + term

    def _class_weight(self, num_classes: int) -> Tensor | None:
        chosen = self.config.class_weights
        if chosen is None:
            return None
        if chosen == "balanced":
            count = self._labels["train_mask"].bincount(minlength=num_classes)
            return count.sum() / (num_classes * count.clamp(min=1))
        if len(chosen) != num_classes:
            raise ValueError(
                f"class_weights must have one number per class: the model has {num_classes}, "
                f"got {len(chosen)}"
            )
        weight = torch.tensor(chosen, device=self.graph.device)
        for mask in ("train_mask", "val_mask"):
            if not weight[self._labels[mask]].any():
                raise ValueError(f"class_weights {list(chosen)} give every node in {mask} weight 0")
        return weight

    def _accuracy(self, logits: Tensor, mask: str) -> float:
        return metrics.accuracy(logits[self._nodes[mask]], self._labels[mask])

    def _metrics(self, logits: Tensor, mask: str) -> dict[str, float]:
        scores, y = logits[self._nodes[mask]], self._labels[mask]
        return {
            "accuracy": metrics.accuracy(scores, y),
            "f1_macro": metrics.f1_macro(scores, y, scores.shape[1]),
        }

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters with weight decay and those without, and both kinds of the transition."""
        layers, convs = self.config.decay_layers, getattr(self.model, "convs", None)
        if layers is None:
            decayed = set(self.model.parameters())
        elif isinstance(convs, nn.ModuleList):
            decayed = set(convs[:layers].parameters())
        else:
            raise ValueError("decay_layers needs a model with its layers in `model.convs`")
        inside = set(getattr(self.model, "transition_parameters", list)())
        decay, slow = self.config.weight_decay, self.config.lr * self.config.transition_lr
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": weight_decay, "lr": lr}
            for lr in ([self.config.lr, slow] if inside else [self.config.lr])
            for weight_decay in (decay, 0.0)
        ]
        for parameter in self.model.parameters():
            group = 2 * (parameter in inside) + (parameter not in decayed)
            groups[group]["params"].append(parameter)
        return groups


def train_seed(
    build: Callable[[], nn.Module],
    graph: Graph,
    config: TrainConfig,
    seed: int,
    on_epoch: Callable[[Epoch], Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30,
) -> tuple[nn.Module, TrainResult]:
    """Builds a model and trains it, its first weights and its dropout drawn from one seed.

    The caller's random state, on the CPU and on the graph's device, stays as it was. The last
    three arguments are those of `Trainer.fit`.

    Example:
        >>> from gnnlib.datasets import Digits
        >>> from gnnlib.models import GCN
        >>> dataset = Digits()
        >>> model, result = train_seed(
        ...     lambda: GCN(dataset.num_features, 16, dataset.num_classes),
        ...     dataset[0], TrainConfig(epochs=2), seed=0,
        ... )
        >>> result.best_epoch in (1, 2)
        True
    """
    with torch.random.fork_rng([graph.device] if graph.device.type == "cuda" else []):
        torch.manual_seed(seed)
        model = build().to(graph.device)
        trainer = Trainer(model, graph, config, on_epoch=on_epoch)
        return model, trainer.fit(checkpoint, resume=resume, checkpoint_seconds=checkpoint_seconds)
