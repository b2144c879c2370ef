"""The full-batch training loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import metrics
from ..graph import Graph
from ._checks import MASKS, check_device, check_labels, check_trainable
from .config import TrainConfig
from .early_stopping import EarlyStopping


class Epoch(NamedTuple):
    """One line of a history; all but `train_loss` are measured after the epoch's step.

    `train_loss` is the loss that was stepped on, with dropout; the rest is without.
    """

    epoch: int  # counts from 1
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class TrainResult:
    """What one run gave; `val` and `test` hold the metrics of the best epoch's weights."""

    history: list[Epoch]
    best_epoch: int
    val: dict[str, float]
    test: dict[str, float]
    seconds: float  # of the whole loop, validation included


class Trainer:
    """Trains a model to classify the nodes of one graph.

    Each epoch takes one Adam step on the cross-entropy of the nodes in `train_mask` and then
    measures the nodes in `val_mask`. `EarlyStopping` says which epoch is the best; its weights are
    in the model afterwards. `test_mask` is looked at once, at the end.

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

    def fit(self) -> TrainResult:
        """Trains and leaves the model in evaluation mode with its best weights.

        Raises:
            FloatingPointError: the loss became NaN or infinite.
        """
        config = self.config
        check_labels(self._logits(), self.graph)
        optimizer = torch.optim.Adam(self._parameter_groups(), lr=config.lr)
        stopping = EarlyStopping(self.model, config.patience)
        history: list[Epoch] = []
        start = time.perf_counter()
        for number in range(1, config.epochs + 1):
            epoch = self._epoch(number, optimizer)
            history.append(epoch)
            stopping.update(number, epoch.val_accuracy, epoch.val_loss)
            if self.on_epoch is not None:
                self.on_epoch(epoch)
            if stopping.exhausted:
                break
        seconds = time.perf_counter() - start
        stopping.restore()
        logits = self._logits()
        val, test = (self._metrics(logits, mask) for mask in ("val_mask", "test_mask"))
        return TrainResult(history, stopping.best_epoch, val, test, seconds)

    def _epoch(self, number: int, optimizer: torch.optim.Optimizer) -> Epoch:
        self.model.train()
        optimizer.zero_grad()
        loss = self._loss(self.model(self.graph.x, self.graph), "train_mask")
        loss.backward()
        optimizer.step()
        logits = self._logits()
        train_loss, val_loss = loss.item(), self._loss(logits, "val_mask").item()
        if not (abs(train_loss) < float("inf") and abs(val_loss) < float("inf")):
            raise FloatingPointError(
                f"training diverged: at epoch {number} the training loss is {train_loss} and the "
                f"validation loss {val_loss}; try a smaller lr than {self.config.lr}"
            )
        train_accuracy = self._accuracy(logits, "train_mask")
        val_accuracy = self._accuracy(logits, "val_mask")
        return Epoch(number, train_loss, train_accuracy, val_loss, val_accuracy)

    @torch.no_grad()
    def _logits(self) -> Tensor:
        self.model.eval()
        return self.model(self.graph.x, self.graph)

    def _loss(self, logits: Tensor, mask: str) -> Tensor:
        return F.cross_entropy(logits[self._nodes[mask]], self._labels[mask])

    def _accuracy(self, logits: Tensor, mask: str) -> float:
        return metrics.accuracy(logits[self._nodes[mask]], self._labels[mask])

    def _metrics(self, logits: Tensor, mask: str) -> dict[str, float]:
        scores, y = logits[self._nodes[mask]], self._labels[mask]
        return {
            "accuracy": metrics.accuracy(scores, y),
            "f1_macro": metrics.f1_macro(scores, y, scores.shape[1]),
        }

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters with weight decay and those without."""
        layers = self.config.decay_layers
        if layers is None:
            decayed = list(self.model.parameters())
        elif isinstance(convs := getattr(self.model, "convs", None), nn.ModuleList):
            decayed = list(convs[:layers].parameters())
        else:
            raise ValueError("decay_layers needs a model with its layers in `model.convs`")
        chosen = set(map(id, decayed))
        rest = [p for p in self.model.parameters() if id(p) not in chosen]
        return [
            {"params": decayed, "weight_decay": self.config.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]


def train_seed(
    build: Callable[[], nn.Module],
    graph: Graph,
    config: TrainConfig,
    seed: int,
    on_epoch: Callable[[Epoch], Any] | None = None,
) -> tuple[nn.Module, TrainResult]:
    """Builds a model and trains it, its first weights and its dropout drawn from one seed.

    The caller's random state, on the CPU and on the graph's device, stays as it was.

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
        return model, Trainer(model, graph, config, on_epoch=on_epoch).fit()
