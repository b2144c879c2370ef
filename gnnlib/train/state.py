"""All that changes while a model trains, and what a checkpoint of it must fit."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from ..batch import Batch
from ..features import SparseFeatures
from ..graph import Graph
from .config import TrainConfig
from .early_stopping import EarlyStopping
from .history import Epoch
from .schedule import Schedule
from .task import Task

FORMAT = 2


class TrainState:
    """Model, optimizer, learning rate, best weights, history, random numbers and time of a run."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        graphs: Mapping[str, Graph],
        task: Task,
        config: TrainConfig,
    ):
        self.model = model
        self.optimizer = optimizer
        self.graphs = graphs
        self.device = next(iter(graphs.values())).device
        self.task = task
        self.config = config
        self.schedule = Schedule(optimizer, config)
        self.stopping = EarlyStopping(model, config.patience)
        self.history: list[Epoch] = []
        self.seconds = 0.0
        self._graph_digests: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        return len(self.history) >= self.config.epochs or self.stopping.exhausted

    def state_dict(self) -> dict[str, Any]:
        """Everything, as `save_checkpoint` takes it."""
        return {
            "format": FORMAT,
            "fingerprint": self._fingerprint(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "stopping": self.stopping.state_dict(),
            "history": [list(epoch) for epoch in self.history],
            "seconds": self.seconds,
            "random": random_state(self.device),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a saved state; the random numbers go on from it too.

        Raises:
            ValueError: it is of another model, graph or config, or of another format.
        """
        if state.get("format") != FORMAT:
            raise ValueError(f"it must have format {FORMAT}, got {state.get('format')!r}")
        _check_same(state["fingerprint"], self._fingerprint())
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.stopping.load_state_dict(state["stopping"])
        self.history = [Epoch(*values) for values in state["history"]]
        self.seconds = state["seconds"]
        set_random_state(state["random"], self.device)

    def _fingerprint(self) -> dict[str, Any]:
        if not self._graph_digests:  # the graphs stay the same
            self._graph_digests = {
                name: {
                    "num_nodes": graph.num_nodes,
                    "num_edges": graph.num_edges,
                    "content": digest(graph),
                }
                for name, graph in self.graphs.items()
            }
        return {
            "config": asdict(self.config),
            "task": self.task.to_dict(),
            "model": {
                name: f"{value.dtype} {tuple(value.shape)}"
                for name, value in self.model.state_dict().items()
            },
            **self._graph_digests,
        }


def _check_same(saved: dict[str, Any], given: dict[str, Any]) -> None:
    if missing := given.keys() ^ saved.keys():
        raise ValueError(f"it is of another training: one of the two has no {min(missing)}")
    for part, values in given.items():
        for name in sorted(values.keys() | saved[part].keys()):
            was, now = saved[part].get(name), values.get(name)
            if was != now:
                raise ValueError(f"it is of another {part}: {name} was {was}, got {now}")


def digest(graph: Graph) -> str:
    """A hash of all tensors of a graph or a Batch, their names, kinds and shapes.

    Example:
        >>> a, b = (Graph(torch.tensor([[0], [1]]), y=torch.tensor([0, y])) for y in (1, 2))
        >>> digest(a) == digest(a), digest(a) == digest(b)
        (True, False)
    """
    sha = hashlib.sha256()
    tensors: list[tuple[str, Tensor]] = [("edge_index", graph.edge_index)]
    if isinstance(graph, Batch):
        tensors.append(("graph_ptr", graph.graph_ptr))
    for name, value in graph.items():
        if isinstance(value, SparseFeatures):
            parts = (value.structure.ptr, value.structure.col, value.values)
            tensors += [(f"{name}.{number}", part) for number, part in enumerate(parts)]
        else:
            tensors.append((name, value))
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where torch's random numbers are, on the CPU and on `device`."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Goes on with the random numbers from a state."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        if "cuda" not in state:
            raise ValueError(f"it is of a training on the CPU, got a graph on {device}")
        torch.cuda.set_rng_state(state["cuda"], device)
