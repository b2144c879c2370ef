"""Record, run folder and display: what is left of a run, and what is seen of it."""

import csv
import io
import json
import os
import statistics

import pytest
import torch
from rich.console import Console

from gnnlib.train import Epoch, TrainResult
from gnnlib.train import display as display_module
from gnnlib.train.display import Display, LineDisplay, LiveDisplay, print_table, sparkline
from gnnlib.train.record import make_record, mean_std
from gnnlib.train.run_folder import RunFolder


def result_of(test: float, epochs: int = 4) -> TrainResult:
    history = [Epoch(i, 1 / i, 0.5, 2 / i, 0.1 * i) for i in range(1, epochs + 1)]
    val = {"accuracy": 0.1 * epochs, "f1_macro": 0.2}
    return TrainResult(history, epochs, val, {"accuracy": test, "f1_macro": test / 2}, 0.5)


def test_the_record_has_exactly_its_schema():
    record = make_record("cora", "gcn", range(2), [result_of(0.8, 4), result_of(0.9, 6)], "runs/1")
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
    folder.write_history([0, 5], [result_of(0.8, 2), result_of(0.9, 1)])
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seed", *Epoch._fields]
    assert [(row["seed"], row["epoch"]) for row in rows] == [("0", "1"), ("0", "2"), ("5", "1")]
    assert float(rows[1]["val_loss"]) == 1.0
    weights = {"w": torch.rand(3)}
    folder.write_model(weights)
    assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=True)["w"], weights["w"])


def play(display: Display) -> None:
    with display:
        for seed in display.seeds:
            display.begin(seed)
            result = result_of(0.8 + 0.01 * seed)
            for epoch in result.history:
                display.epoch(epoch)
            display.end(result)


def test_outside_a_terminal_there_is_one_line_per_seed():
    file = io.StringIO()
    play(LineDisplay(range(3), 4, file))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[2] == "seed 2: test 82.0 %, validation 40.0 %, best epoch 4 of 4, 0.5 s"


def test_a_seed_that_takes_long_has_lines_in_between(monkeypatch):
    monkeypatch.setattr(display_module, "SECONDS_BETWEEN_LINES", -1)
    file = io.StringIO()
    play(LineDisplay(range(1), 4, file))
    lines = file.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[1].startswith("seed 0: epoch 2 of 4, loss 0.500, validation 20.0 %, at most")


def test_a_quiet_display_shows_nothing(capfd):
    play(Display(range(2), 4))
    assert capfd.readouterr() == ("", "")


def test_the_live_display_keeps_a_line_per_seed_and_leaves_no_curves_behind():
    file = io.StringIO()
    play(LiveDisplay(range(2), 4, file))
    lines = file.getvalue().split("\n")
    assert sum(line.startswith("seed ") for line in lines) == 2


def test_the_live_display_draws_loss_and_accuracy_as_they_run():
    display = LiveDisplay(range(2), 10, io.StringIO())
    assert display.render() == ""
    display.begin(0)
    for epoch in result_of(0.8).history:
        display.epoch(epoch)
    file = io.StringIO()
    Console(file=file, width=80).print(display.render())
    shown = file.getvalue()
    for part in ("seed 0 (1 of 2)", "epoch 4 of 10", "left", "train 0.250", "validation 0.500"):
        assert part in shown
    assert "best so far: 40.0 % at epoch 4" in shown
    assert "█▃▂▁" in shown


def test_the_time_left_follows_the_pace(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(display_module.time, "monotonic", lambda: now[0])
    display = Display(range(3), 10)
    display.begin(0)
    for epoch in result_of(0.8).history:
        now[0] += 2
        display.epoch(epoch)
    assert display.seconds_left() == pytest.approx(2 * 26)
    display.end(result_of(0.8))
    display.begin(1)
    assert display.seconds_left() == pytest.approx(2 * 20)


def test_a_sparkline_spans_its_values():
    assert sparkline([3.0]) == "▁"
    assert sparkline([1.0, 1.0, 1.0]) == "▁▁▁"
    assert sparkline(list(range(64)), width=8) == "▁▂▃▄▅▆▇█"


def test_the_table_is_in_percent():
    file = io.StringIO()
    record = make_record("cora", "gcn", range(2), [result_of(0.8), result_of(0.9)], "runs/1")
    print_table(record, file)
    assert "gcn on cora, 2 seeds" in file.getvalue()
    assert "85.00 ± 7.07 %" in file.getvalue()
    assert os.path.join("runs", "1") in file.getvalue()
