"""Record and run folder: what is left of a run."""

import csv
import json
import statistics

import pytest
import torch

from gnnlib.models import GCN
from gnnlib.train import Epoch, Outcome, Run, TrainConfig, TrainResult, train_seeds
from gnnlib.train.record import make_record, mean_std
from gnnlib.train.run_folder import RunFolder

TASK, RUNS = "node-classification", [Run(0), Run(1)]


def result_of(test: float, epochs: int = 4) -> TrainResult:
    history = [Epoch(i, 1 / i, 0.5, 2 / i, 0.1 * i, 0.01) for i in range(1, epochs + 1)]
    val = {"accuracy": 0.1 * epochs, "f1_macro": 0.2}
    return TrainResult(history, epochs, val, {"accuracy": test, "f1_macro": test / 2}, 0.5)


def test_the_record_has_exactly_its_schema():
    record = make_record(
        "cora", "gcn", TASK, RUNS, [result_of(0.8, 4), result_of(0.9, 6)], "runs/1"
    )
    assert record == {
        "schema": 1,
        "dataset": "cora",
        "model": "gcn",
        "task": "node-classification",
        "seeds": [0, 1],
        "folds": None,
        "metric": "accuracy",
        "val": {"mean": pytest.approx(0.5), "std": pytest.approx(0.02**0.5)},
        "test": {
            "mean": pytest.approx(0.85),
            "std": pytest.approx(0.005**0.5),
            "per_run": [0.8, 0.9],
        },
        "metrics": {
            "accuracy": {"mean": pytest.approx(0.85), "std": pytest.approx(0.005**0.5)},
            "f1_macro": {"mean": pytest.approx(0.425), "std": pytest.approx(0.00125**0.5)},
        },
        "epochs": 5.0,
        "seconds_per_epoch": pytest.approx(0.1),
        "converged": None,
        "run_dir": "runs/1",
    }
    json.dumps(record, allow_nan=False)


def test_the_deviation_is_that_of_a_sample_and_0_for_one_run():
    values = [0.81, 0.815, 0.80]
    assert mean_std(values)["std"] == pytest.approx(statistics.stdev(values))
    assert mean_std([0.8]) == {"mean": 0.8, "std": 0.0}


def test_run_folders_are_numbered_and_never_shared(tmp_path):
    paths = [RunFolder.numbered(tmp_path / "runs", "cora-gcn").path for _ in range(3)]
    assert [path.name for path in paths] == ["cora-gcn-1", "cora-gcn-2", "cora-gcn-3"]
    paths[1].rmdir()
    assert RunFolder.numbered(tmp_path / "runs", "cora-gcn").path == paths[1]


def test_a_run_folder_with_something_in_it_is_refused(tmp_path):
    RunFolder(tmp_path / "new").write_config({})
    with pytest.raises(FileExistsError, match="is not empty"):
        RunFolder(tmp_path / "new")


def test_a_run_folder_holds_history_and_weights(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_history([Run(0), Run(5)], [result_of(0.8, 2), result_of(0.9, 1)])
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"]
    assert list(rows[0]) == ["seed", "epoch", *columns]
    assert [(row["seed"], row["epoch"]) for row in rows] == [("0", "1"), ("0", "2"), ("5", "1")]
    assert float(rows[1]["val_loss"]) == 1.0
    weights = {"w": torch.rand(3)}
    folder.write_model(weights)
    assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=True)["w"], weights["w"])


def test_the_history_as_json_has_the_same_lines(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_history([Run(0), Run(5)], [result_of(0.8, 2), result_of(0.9, 1)])
    lines = json.loads((tmp_path / "history.json").read_text())
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == lines
    assert lines[0]["lr"] == 0.01


def test_a_run_is_complete_when_its_result_is_there(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_config({"model": "gcn"})
    folder.progress.mkdir()
    (folder.progress / "seed-0.ckpt").write_bytes(b"")
    again = RunFolder.open(tmp_path / "run")
    assert again.config() == {"model": "gcn"}
    assert not again.is_complete
    with pytest.raises(FileNotFoundError, match="not complete: no result.json"):
        again.result()
    outcome = Outcome([Run(0)], [result_of(0.8)], Run(0), {"w": torch.ones(2)})
    again.finish({"schema": 1}, outcome)
    assert folder.is_complete
    assert folder.result() == {"schema": 1}
    assert sorted(path.name for path in folder.path.iterdir()) == [
        *("config.json", "history.csv", "history.json", "model.pt", "result.json")
    ]


def test_what_is_no_run_folder_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no run folder .*nowhere"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"is no run folder: it has no config\.json"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_config_is_named(content, tmp_path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged: "):
        RunFolder.open(tmp_path).config()


def test_a_folder_can_be_run_in_once_at_a_time(tmp_path):
    RunFolder(tmp_path / "run").write_config({})
    with (
        RunFolder.open(tmp_path / "run").lock(),
        pytest.raises(RuntimeError, match="another process is running in"),
        RunFolder.open(tmp_path / "run").lock(),
    ):
        pass
    with RunFolder.open(tmp_path / "run").lock():
        pass


def test_discard_leaves_nothing_of_ours(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_config({})
    with folder.lock():
        folder.progress.mkdir()
        (folder.path / "tensorboard" / "seed-0").mkdir(parents=True)
    folder.discard()
    assert not folder.path.exists()


@pytest.mark.parametrize("seeds", [[], [1, 2, 1]])
def test_seeds_must_be_distinct_and_some(seeds, tmp_path, graph):
    with pytest.raises(ValueError, match="seeds must be distinct and at least one"):
        train_seeds(lambda: GCN(5, 4, 2), graph, TrainConfig(), seeds, RunFolder(tmp_path))


def test_progress_of_another_run_is_refused(tmp_path, graph):
    folder = RunFolder(tmp_path)
    train_seeds(lambda: GCN(5, 4, 2), graph, TrainConfig(epochs=1), [0], folder)
    for config, seeds, other, name in (
        (TrainConfig(epochs=2), [0], graph, "config"),
        (TrainConfig(epochs=1), [0, 1], graph, "seeds"),
        (TrainConfig(epochs=1), [0], graph.replace(y=1 - graph.y), "graph"),
    ):
        with pytest.raises(ValueError, match=f"must have the same {name}: it has .* got "):
            train_seeds(lambda: GCN(5, 4, 2), other, config, seeds, folder)


def test_finished_seeds_are_shown_but_not_trained_again(tmp_path, graph):
    folder, seen = RunFolder(tmp_path), []
    for expected in (["b 4", 1, 2, "e", "b 2", 1, 2, "e"], ["b 4", "e", "b 2", "e"]):
        seen.clear()
        train_seeds(
            *(lambda: GCN(5, 4, 2), graph, TrainConfig(epochs=2), [4, 2], folder),
            on_begin=lambda seed: seen.append(f"b {seed}"),
            on_epoch=lambda epoch: seen.append(epoch.epoch),
            on_end=lambda result: seen.append("e"),
        )
        assert seen == expected
