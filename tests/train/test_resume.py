"""A training that was stopped and goes on ends bit by bit like one that was not."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gnnlib import Graph
from gnnlib.models import GCN
from gnnlib.train import (
    CheckpointError,
    Epoch,
    RunFolder,
    TrainConfig,
    Trainer,
    TrainResult,
    atomic,
    load_checkpoint,
    save_checkpoint,
    train_seed,
    train_seeds,
)
from gnnlib.train.interrupt import deferred_interrupt
from gnnlib.train.state import digest
from tests.train.fixed_point_model import FixedPointModel

CONFIGS = {
    "plain": TrainConfig(epochs=12),
    "cosine": TrainConfig(epochs=12, scheduler="cosine", grad_clip=0.1),
    "step": TrainConfig(epochs=12, scheduler="step", scheduler_epochs=3, class_weights="balanced"),
    "plateau": TrainConfig(epochs=12, lr=0.3, scheduler="plateau", scheduler_epochs=1),
    "patience": TrainConfig(epochs=200, lr=0.3, patience=4),
    "bf16": TrainConfig(epochs=12, amp="bf16", check_finite=True, decay_layers=1),
}


class Killed(BaseException):
    """Stands for the end of the process."""


def build() -> nn.Module:
    return GCN(5, 8, 2, dropout=0.5)


def numbers(result: TrainResult) -> dict[str, Any]:
    """A result without its duration."""
    return {**result.to_dict(), "seconds": None}


def assert_same_weights(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def kill_at(epoch: int) -> Callable[[Epoch], None]:
    def on_epoch(now: Epoch) -> None:
        if now.epoch == epoch:
            raise Killed

    return on_epoch


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("stops", [[2], [3, 5, 9]], ids=str)
def test_resumed_is_uninterrupted(name, stops, graph, tmp_path):
    config, path = CONFIGS[name], tmp_path / "a.ckpt"
    model, whole = train_seed(build, graph, config, 1)
    for stop in stops:
        with pytest.raises(Killed):
            train_seed(build, graph, config, 1, kill_at(stop), path, True, 0)
        assert len(load_checkpoint(path)["history"]) == stop - 1
    resumed_model, resumed = train_seed(build, graph, config, 1, None, path, True, 0)
    assert numbers(resumed) == numbers(whole)
    assert_same_weights(resumed_model.state_dict(), model.state_dict())


@pytest.mark.parametrize("settings", [{}, {"loss": "mse", "scheduler": "cosine"}], ids=str)
def test_a_model_with_fixed_points_is_resumed_bit_by_bit(settings, graph, tmp_path):
    config, path = TrainConfig(epochs=8, transition_lr=0.5, **settings), tmp_path / "a.ckpt"
    start = lambda: FixedPointModel(5, 2, dropout=0.5)  # noqa: E731
    model, whole = train_seed(start, graph, config, 1)
    with pytest.raises(Killed):
        train_seed(start, graph, config, 1, kill_at(5), path, True, 0)
    resumed_model, resumed = train_seed(start, graph, config, 1, None, path, True, 0)
    assert all(epoch.converged and epoch.backward_iterations for epoch in whole.history)
    assert numbers(resumed) == numbers(whole)
    assert_same_weights(resumed_model.state_dict(), model.state_dict())


def test_the_patience_that_ran_out_has_run_out_after_a_resume(graph, tmp_path):
    config, path = CONFIGS["patience"], tmp_path / "a.ckpt"
    _, whole = train_seed(build, graph, config, 1, None, path)
    assert len(whole.history) < config.epochs
    seen: list[Epoch] = []
    _, again = train_seed(build, graph, config, 1, seen.append, path, True)
    assert numbers(again) == numbers(whole)
    assert again.seconds == whole.seconds
    assert seen == whole.history


def test_the_callback_sees_the_earlier_epochs_first(graph, tmp_path):
    path, seen = tmp_path / "a.ckpt", []
    with pytest.raises(Killed):
        train_seed(build, graph, CONFIGS["plain"], 0, kill_at(6), path, False, 0)
    _, result = train_seed(build, graph, CONFIGS["plain"], 0, seen.append, path, True)
    assert [epoch.epoch for epoch in seen] == list(range(1, 13))
    assert seen == result.history


def test_without_resume_the_training_begins_anew(graph, tmp_path):
    path, seen = tmp_path / "a.ckpt", []
    for _ in range(2):
        Trainer(build(), graph, CONFIGS["plain"], on_epoch=seen.append).fit(path)
    assert [epoch.epoch for epoch in seen] == [*range(1, 13)] * 2


def test_the_checkpoint_is_written_at_its_times(graph, tmp_path, monkeypatch):
    now, path, written = [0.0], tmp_path / "a.ckpt", []
    monkeypatch.setattr("gnnlib.train.trainer.time.perf_counter", lambda: now[0])

    def save(path: Path, state: dict[str, Any]) -> None:
        written.append(len(state["history"]))
        save_checkpoint(path, state)

    def tick(_: Epoch) -> None:
        now[0] += 10

    monkeypatch.setattr("gnnlib.train.trainer.save_checkpoint", save)
    result = Trainer(build(), graph, CONFIGS["plain"], on_epoch=tick).fit(path)
    assert written == [3, 6, 9, 12]
    assert result.seconds == 120


def stopped(graph: Graph, path: Path) -> None:
    with pytest.raises(Killed):
        train_seed(build, graph, CONFIGS["plain"], 0, kill_at(3), path, False, 0)


def test_a_checkpoint_of_another_config_is_refused(graph, tmp_path):
    stopped(graph, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"a.ckpt: .* another config: lr was 0.01, got 0.02"):
        train_seed(
            build, graph, TrainConfig(epochs=12, lr=0.02), 0, None, tmp_path / "a.ckpt", True
        )


def test_a_checkpoint_of_another_model_is_refused(graph, tmp_path):
    stopped(graph, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"another model: convs\.0\.\S+ was .*\(8.* got .*\(9"):
        train_seed(
            lambda: GCN(5, 9, 2), graph, CONFIGS["plain"], 0, None, tmp_path / "a.ckpt", True
        )


@pytest.mark.parametrize("name", ["edge_index", "y", "train_mask", "x"])
def test_a_checkpoint_of_another_graph_is_refused(name, graph, tmp_path):
    stopped(graph, tmp_path / "a.ckpt")
    if name == "edge_index":
        tensors = dict(graph.items())
        other = Graph(graph.edge_index.flip(1), **tensors)
    else:
        other = graph.replace(**{name: graph[name].flip(0)})
    with pytest.raises(ValueError, match="another graph: content was"):
        train_seed(build, other, CONFIGS["plain"], 0, None, tmp_path / "a.ckpt", True)


def test_a_digest_sees_names_and_kinds(graph):
    others = [
        graph.replace(x=graph.x.double()),
        graph.replace(more=graph.y),
        graph.replace(train_mask=graph.val_mask, val_mask=graph.train_mask),
    ]
    assert len({digest(each) for each in [graph, *others]}) == 4
    assert digest(graph) == digest(graph.replace(x=graph.x.clone()))


def test_what_is_no_checkpoint_is_one_error(graph, tmp_path):
    path = tmp_path / "a.ckpt"
    trainer = Trainer(build(), graph, CONFIGS["plain"])
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        trainer.fit(path, resume=True)
    save_checkpoint(path, {"format": 2, "fingerprint": {}})
    with pytest.raises(CheckpointError, match="no checkpoint of a training"):
        trainer.fit(path, resume=True)
    save_checkpoint(path, {"format": 1})
    with pytest.raises(ValueError, match="must have format 2, got 1"):
        trainer.fit(path, resume=True)
    with pytest.raises(ValueError, match="got checkpoint=None"):
        trainer.fit(resume=True)
    with pytest.raises(ValueError, match="checkpoint_seconds must not be negative, got -1"):
        trainer.fit(path, checkpoint_seconds=-1)


def test_ctrl_c_lets_the_epoch_end_and_saves(graph, tmp_path):
    path, seen = tmp_path / "a.ckpt", []

    def interrupt(epoch: Epoch) -> None:
        seen.append(epoch)
        if epoch.epoch == 4:
            signal.raise_signal(signal.SIGINT)
            seen.append(None)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_seed(build, graph, CONFIGS["plain"], 0, interrupt, path)
    assert len(seen) == 5
    assert seen[-1] is None
    assert signal.getsignal(signal.SIGINT) is before
    assert len(load_checkpoint(path)["history"]) == 4
    _, resumed = train_seed(build, graph, CONFIGS["plain"], 0, None, path, True)
    assert numbers(resumed) == numbers(train_seed(build, graph, CONFIGS["plain"], 0)[1])


def test_a_ctrl_c_after_the_look_for_one_is_of_the_next_epoch(graph, tmp_path, monkeypatch):
    path, looks = tmp_path / "a.ckpt", []

    @contextmanager
    def late() -> Iterator[Callable[[], bool]]:
        with deferred_interrupt() as interrupted:

            def look() -> bool:
                looks.append(interrupted())
                if len(looks) == 3:
                    signal.raise_signal(signal.SIGINT)
                return looks[-1]

            yield look

    monkeypatch.setattr("gnnlib.train.trainer.deferred_interrupt", late)
    with pytest.raises(KeyboardInterrupt):
        train_seed(build, graph, CONFIGS["plain"], 0, None, path)
    assert looks == [False, False, False, True]
    assert len(load_checkpoint(path)["history"]) == 4


@pytest.mark.parametrize("place", ["epoch", "save"])
def test_ctrl_c_in_the_last_epoch_is_not_lost(place, graph, tmp_path, monkeypatch):
    path, before = tmp_path / "a.ckpt", signal.getsignal(signal.SIGINT)

    def interrupt(epochs: int) -> None:
        if epochs == 12:
            signal.raise_signal(signal.SIGINT)

    def save(path: Path, state: dict[str, Any]) -> None:
        save_checkpoint(path, state)
        interrupt(len(state["history"]))

    if place == "save":
        monkeypatch.setattr("gnnlib.train.trainer.save_checkpoint", save)
    on_epoch = (lambda epoch: interrupt(epoch.epoch)) if place == "epoch" else None
    with pytest.raises(KeyboardInterrupt):
        train_seed(build, graph, CONFIGS["plain"], 0, on_epoch, path)
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    _, resumed = train_seed(build, graph, CONFIGS["plain"], 0, None, path, True)
    assert numbers(resumed) == numbers(train_seed(build, graph, CONFIGS["plain"], 0)[1])


def test_the_second_ctrl_c_interrupts_at_once(graph, tmp_path):
    after = []

    def interrupt(epoch: Epoch) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        after.append(epoch)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Trainer(build(), graph, on_epoch=interrupt).fit(tmp_path / "a.ckpt")
    assert after == []
    assert signal.getsignal(signal.SIGINT) is before
    assert os.listdir(tmp_path) == []


def test_an_error_gives_the_handler_back(graph):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Killed):
        Trainer(build(), graph, on_epoch=kill_at(1)).fit()
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_ctrl_c_is_left_alone(graph):
    results = []
    thread = threading.Thread(
        target=lambda: results.append(Trainer(build(), graph, CONFIGS["plain"]).fit())
    )
    thread.start()
    thread.join()
    assert len(results[0].history) == 12


def test_an_ignored_ctrl_c_stays_ignored(graph):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupt = lambda _: signal.raise_signal(signal.SIGINT)  # noqa: E731
        result = Trainer(build(), graph, CONFIGS["plain"], on_epoch=interrupt).fit()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(result.history) == 12


SEEDS = [3, 0, 5]
SHORT = TrainConfig(epochs=2, scheduler="cosine")


def finish(graph: Graph, folder: RunFolder) -> tuple[list[dict[str, Any]], int, dict[str, Tensor]]:
    outcome = train_seeds(build, graph, SHORT, SEEDS, folder, checkpoint_seconds=0)
    return list(map(numbers, outcome.results)), outcome.best_seed, outcome.weights


def test_the_outcome_is_that_of_each_seed_alone(graph, tmp_path):
    results, best_seed, weights = finish(graph, RunFolder(tmp_path / "run"))
    alone = {seed: train_seed(build, graph, SHORT, seed) for seed in SEEDS}
    assert results == [numbers(alone[seed][1]) for seed in SEEDS]
    assert alone[best_seed][1].val["accuracy"] == max(r["val"]["accuracy"] for r in results)
    assert_same_weights(weights, alone[best_seed][0].state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["replace", "unlink"])
def test_a_run_may_be_killed_at_every_change_of_its_files(
    call, moment, graph, tmp_path, monkeypatch
):
    expected, best_seed, weights = finish(graph, RunFolder(tmp_path / "whole"))
    owner, name = (atomic.os, "replace") if call == "replace" else (Path, "unlink")
    change = getattr(owner, name)
    left = 0

    def killing(*args: Any, **options: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0 and moment == "before":
            raise Killed
        change(*args, **options)
        if left < 0:
            raise Killed

    monkeypatch.setattr(owner, name, killing)
    kills = 0
    for allowed in range(1000):
        left = allowed
        folder = RunFolder(tmp_path / "run")
        try:
            finish(graph, folder)
        except Killed:
            kills += 1
            left = 1000
            results = finish(graph, folder)
        else:
            break
        assert results[:2] == (expected, best_seed)
        assert_same_weights(results[2], weights)
        shutil.rmtree(folder.path)
    assert kills >= (3 * 3 if call == "replace" else 3)
