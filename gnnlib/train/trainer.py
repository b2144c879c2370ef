"""The training loop."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..fixed_point import FixedPointDivergence, FixedPointWarning
from ..graph import Graph
from ._checks import check_device, check_rows, check_trainable
from .checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .convergence import Convergence, convergence_of, worst_of
from .examples import PARTS, Data, device_of, examples_of
from .finite import finite_checked
from .history import Epoch, TrainResult
from .interrupt import deferred_interrupt
from .state import TrainState
from .task import Task
from .warned_once import warned_once


class _Stepped(NamedTuple):
    """What the steps of an epoch gave: the mean loss, outputs, their labels, and all solves."""

    loss: float
    out: Tensor
    y: Tensor
    solves: Convergence | None


class Trainer:
    """Trains a model on the nodes of one graph, or on many graphs.

    The task follows from `config.task` or the labels: classes, several labels, or numbers, of nodes
    (`y`) or of graphs (`graph_y`). On one graph each epoch takes one Adam step on the loss of the
    nodes in `train_mask`; on many it goes through the training graphs in mini-batches, in a new
    order each time. Then it measures the validation part. `EarlyStopping` says which epoch is the
    best; its weights are in the model afterwards. The test part is looked at once, at the end.

    Of a model it uses, if they are there: `convs`, for `decay_layers`; `transition_parameters()`,
    for `transition_lr`; `penalty(graph)`, which is added to the training loss unless it is None;
    and the `last_report` of its fixed-point layers, for the history.

    Args:
        model: called as `model(graph.x, graph)`, gives class scores [N, C] of the nodes, scores of
            labels [N, L] or numbers [N, T]; of graphs [B, C] and so on, as `gnnlib.models.Readout`.
        graph: a Graph with x, y [N] int64 (or [N, L], [N, T] floating), and train_mask, val_mask,
            test_mask [N] bool. Labels outside the masks are not looked at. Or three sequences of
            Graphs in a tuple: those to train, to validate and to test. They have graph_y [1] int64
            (or [1, L], [1, T] floating); those that have none are trained on the y of their nodes.
        config: the settings; the defaults of `TrainConfig` when left out.
        on_epoch: called with each `Epoch` as it ends.

    Raises:
        ValueError: an empty graph, mask or part, something missing, NaN or infinite x, a label that
            the model has no output for, a model on another device than the graph, a loss or a
            metric that the task does not have.
        TypeError: labels or a mask of a wrong kind.

    Example:
        >>> from gnnlib import Graph
        >>> from gnnlib.models import GCN, GIN, Readout
        >>> ring = torch.arange(6)
        >>> masks = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]) > 0
        >>> graph = Graph(
        ...     torch.stack([ring, ring.roll(1)]), x=torch.eye(6), y=ring % 2,
        ...     train_mask=masks[0], val_mask=masks[1], test_mask=masks[2],
        ... )
        >>> result = Trainer(GCN(6, 4, 2), graph, TrainConfig(epochs=5)).fit()
        >>> len(result.history), sorted(result.test)
        (5, ['accuracy', 'f1_macro'])
        >>> molecules = [
        ...     Graph([[0, 1], [1, 0]], x=torch.randn(2, 4), graph_y=torch.tensor([[value]]))
        ...     for value in (0.5, 1.5, 2.5, 3.5)
        ... ]
        >>> split = molecules[:2], molecules[2:3], molecules[3:]
        >>> sorted(Trainer(Readout(GIN(4, 8, 1)), split, TrainConfig(epochs=2)).fit().test)
        ['mae', 'rmse']
    """

    def __init__(
        self,
        model: nn.Module,
        graph: Data,
        config: TrainConfig | None = None,
        *,
        on_epoch: Callable[[Epoch], Any] | None = None,
    ):
        self.config = config or TrainConfig()
        self.examples = examples_of(check_trainable(graph), self.config.batch_size)
        labels = torch.cat([self.examples.y[part] for part in PARTS])
        self.task = Task.of(self.examples.level, labels, self.config.task, self.config.metric)
        self.task.check_loss(self.config.loss)
        check_device(model, self.examples.first)
        self.model = model
        self.on_epoch = on_epoch
        self._loss_weight: Tensor | None = None

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
        num_outputs = self._check_labels(self._outputs(PARTS)[0])
        self._loss_weight = self.task.weight(self.config, num_outputs, self.examples.y)
        optimizer = torch.optim.Adam(self._parameter_groups(), lr=self.config.lr)
        state = TrainState(self.model, optimizer, self.examples.graphs, self.task, self.config)
        if resume and checkpoint is not None and Path(checkpoint).exists():
            self._load(state, checkpoint)
        with deferred_interrupt() as interrupted:
            self._train(state, checkpoint, checkpoint_seconds, interrupted)
        state.stopping.restore()
        out, _ = self._outputs(("val", "test"))
        val, test = (self.task.measures(out[part], self.examples.y[part]) for part in out)
        best, metric = state.stopping.best_epoch, self.task.metric
        return TrainResult(state.history, best, val, test, state.seconds, metric)

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
            score = self.task.score(epoch.val_metric)
            state.stopping.update(epoch.epoch, score, epoch.val_loss)
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
        stepped = self._steps(number, state)
        with self._checks(number):
            out, validated = self._outputs(("val",) if self.examples.many else ("train", "val"))
        y = self.examples.y
        train_loss, val_loss = stepped.loss, self._loss(out["val"], y["val"]).item()
        if not (abs(train_loss) < float("inf") and abs(val_loss) < float("inf")):
            raise FloatingPointError(
                f"training diverged: at epoch {number} the training loss is {train_loss} and the "
                f"validation loss {val_loss}; try a smaller lr than {self.config.lr}, or "
                "check_finite to see where it begins"
            )
        # A pass over all training graphs, only to measure them, would cost a third of the epoch.
        trained = (stepped.out, stepped.y) if self.examples.many else (out["train"], y["train"])
        train, val = self.task.measure(*trained), self.task.measure(out["val"], y["val"])
        epoch = Epoch(number, train_loss, train, val_loss, val, state.schedule.lr)
        if stepped.solves is None or validated is None:
            return epoch
        converged = stepped.solves.converged and validated.converged
        return epoch._replace(**stepped.solves._replace(converged=converged)._asdict())

    def _steps(self, number: int, state: TrainState) -> _Stepped:
        self.model.train()
        losses, outputs, labels, solves = [], [], [], []
        for graph, rows, y in self.examples.steps():
            state.optimizer.zero_grad()
            with self._checks(number):
                out = self._forward(graph)
                out = out if rows is None else out[rows]
                loss = self._penalised(self._loss(out, y), graph)
                loss.backward()
            solves.append(convergence_of(self.model))
            if self.config.grad_clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
            state.optimizer.step()
            losses.append(loss.detach())
            outputs.append(out.detach())
            labels.append(y)
        sums = [a * len(y) for a, y in zip(torch.stack(losses).tolist(), labels)]
        y = torch.cat(labels)
        return _Stepped(sum(sums) / len(y), torch.cat(outputs), y, worst_of(solves))

    @contextmanager
    def _checks(self, number: int) -> Iterator[None]:
        try:
            with finite_checked(self.model) if self.config.check_finite else nullcontext():
                yield
        except (FloatingPointError, FixedPointDivergence) as error:
            error.args = (f"at epoch {number}: {error}",)  # it stays what it is, with its report
            raise

    def _forward(self, graph: Graph) -> Tensor:
        if self.config.amp is None:
            out = self.model(graph.x, graph)
        else:
            with torch.autocast(graph.device.type, torch.bfloat16):
                out = self.model(graph.x, graph)
            out = out.float() if out.dtype == torch.bfloat16 else out
        check_rows(out, graph, self.examples.level)
        return out

    @torch.no_grad()
    def _outputs(self, parts: Sequence[str]) -> tuple[dict[str, Tensor], Convergence | None]:
        """The outputs for each part, and all solves."""
        solves = []

        def run(graph: Graph) -> Tensor:
            out = self._forward(graph)
            solves.append(convergence_of(self.model))
            return out

        self.model.eval()
        return self.examples.outputs(run, parts), worst_of(solves)

    def _check_labels(self, out: Mapping[str, Tensor]) -> int:
        """The number of the model's outputs, which must fit the labels, as these the task."""
        for part, y in self.examples.y.items():
            where = self.examples.where(part)
            self.task.check_labels(where, out[part], y, self.examples.rows[part])
            try:
                self.task.measure(out[part], y)
            except ValueError as error:  # it may need labels that are not there
                raise ValueError(f"{self.task.metric} of {where}: {error}") from None
        return out["train"].shape[1]

    def _loss(self, out: Tensor, y: Tensor) -> Tensor:
        return self.task.loss(out, y, self.config.loss, self._loss_weight)

    def _penalised(self, loss: Tensor, graph: Graph) -> Tensor:
        penalty: Callable[[Graph], Tensor | None] | None = getattr(self.model, "penalty", None)
        term = None if penalty is None else penalty(graph)
        return loss if term is None else loss + term

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
    graph: Data,
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
    data = check_trainable(graph)  # before a model is built for it
    device = device_of(data)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model = build().to(device)
        trainer = Trainer(model, data, config, on_epoch=on_epoch)
        return model, trainer.fit(checkpoint, resume=resume, checkpoint_seconds=checkpoint_seconds)
