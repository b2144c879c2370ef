import sys
from pathlib import Path

import pytest

from gnnlib.models import GCN
from gnnlib.train import Epoch, TensorBoard, TrainConfig, Trainer


def read(folder: Path, tag: str) -> tuple[list[int], list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    scalars = events.Scalars(tag)
    return [event.step for event in scalars], [event.value for event in scalars]


def test_every_epoch_is_written(graph, tmp_path):
    pytest.importorskip("tensorboard")
    for epochs in (3, 5):  # the second time replaces the first
        with TensorBoard(tmp_path) as board:
            config = TrainConfig(epochs=epochs, scheduler="cosine")
            result = Trainer(GCN(5, 8, 2), graph, config, on_epoch=board).fit()
    for tag, name in {
        "loss/train": "train_loss",
        "loss/validation": "val_loss",
        "accuracy/train": "train_metric",
        "accuracy/validation": "val_metric",
        "lr": "lr",
    }.items():
        steps, values = read(tmp_path, tag)
        assert steps == [1, 2, 3, 4, 5]
        assert values == pytest.approx([getattr(epoch, name) for epoch in result.history])


def test_the_convergence_of_fixed_points_is_written(tmp_path):
    pytest.importorskip("tensorboard")
    with TensorBoard(tmp_path) as board:
        for number in (1, 2):
            board(Epoch(number, 1.0, 0.5, 1.0, 0.5, 0.01, 20 + number, None, 1e-7, True))
    assert read(tmp_path, "fixed_point/iterations") == ([1, 2], [21, 22])
    assert read(tmp_path, "fixed_point/converged") == ([1, 2], [1, 1])
    with pytest.raises(KeyError):
        read(tmp_path, "fixed_point/backward_iterations")


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gnnlib\[tensorboard\]'"):
        TensorBoard(tmp_path)
