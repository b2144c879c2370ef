"""`gnnlib train` and what follows it, on graphs, labels and numbers."""

import csv
import json
import math
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnnlib import Batch
from gnnlib.datasets import Dataset
from gnnlib.train import display
from gnnlib.train.probe import outputs
from gnnlib.train.saved_run import SavedRun
from gnnlib.train.sources import SOURCES, Source
from tests.cli.program import gnnlib, pairs_graph
from tests.train.many_graphs import graphs, is_ring, length, ring_and_large

TASKS = {
    "rings": (is_ring, "graph-classification", "accuracy"),
    "sizes": (lambda ring, size: 100 * length(ring, size) + 5e3, "graph-regression", "rmse"),
    "tests": (ring_and_large, "graph-multilabel", "roc_auc"),
}
FAST = "--model gin --epochs 3 --hidden-channels 4 --layers 2 --quiet"


def source(name: str) -> Source:
    label = TASKS[name][0]
    outputs = label(True, 3).shape[-1] if name != "rings" else 2
    dataset = Dataset(name, graphs(40, label), num_classes=outputs, licence="", citation="")
    return Source(lambda: dataset, level="graph")


@pytest.fixture(autouse=True)
def _graph_datasets(monkeypatch) -> None:
    for name in TASKS:
        monkeypatch.setitem(SOURCES, name, source(name))


def train(line: str, exit_code: int = 0) -> dict:
    done = gnnlib(f"train {line} {FAST} --json")
    assert done.exit_code == exit_code, done.output
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def table(path: str | Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_folds_and_a_grid_give_one_record():
    line = "--dataset rings --folds 3 --seeds 2 --grid dropout=0,0.5 --grid lr=0.1,0.001"
    record = train(line)
    assert list(record) == [
        *("schema", "dataset", "model", "task", "seeds", "folds", "metric", "val", "test"),
        *("metrics", "epochs", "seconds_per_epoch", "converged", "run_dir"),
    ]
    assert (record["task"], record["metric"]) == ("graph-classification", "accuracy")
    assert (record["seeds"], record["folds"]) == ([0, 1], 3)
    assert len(record["test"]["per_run"]) == 3 * 2
    by_fold = [sum(record["test"]["per_run"][2 * fold :][:2]) / 2 for fold in range(3)]
    assert record["test"]["mean"] == pytest.approx(sum(by_fold) / 3)
    mean = record["test"]["mean"]
    std = math.sqrt(sum((value - mean) ** 2 for value in by_fold) / 2)
    assert record["test"]["std"] == pytest.approx(std)
    assert sorted(record["metrics"]) == ["accuracy", "f1_macro"]
    rows = table("runs/rings-gin-1/history.csv")
    assert list(rows[0]) == [
        *("seed", "fold", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
        "lr",
    ]
    assert [(row["fold"], row["seed"]) for row in rows[::3]] == [
        (str(fold), str(seed)) for fold in range(3) for seed in range(2)
    ]
    result = json.loads(Path("runs/rings-gin-1/result.json").read_text())
    assert len(result["chosen"]) == 3
    assert all(sorted(choice) == ["dropout", "lr"] for choice in result["chosen"])
    assert result["best_choice"] == result["chosen"][result["best_fold"]]
    config = json.loads(Path("runs/rings-gin-1/config.json").read_text())
    assert config["grid"] == {"dropout": [0.0, 0.5], "lr": [0.1, 0.001]}
    assert not Path("runs/rings-gin-1/progress").exists()


@pytest.mark.parametrize("name", TASKS)
def test_a_prediction_is_the_models_and_its_metric_the_runs(name):
    label, task, metric = TASKS[name]
    record = train(f"--dataset {name} --folds 2")
    assert (record["task"], record["metric"], record["folds"]) == (task, metric, 2)
    run = Path(f"runs/{name}-gin-1")
    done = gnnlib(f"predict {run} --json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert list(facts) == ["run_dir", "num_graphs", "output", metric]
    result = json.loads((run / "result.json").read_text())
    assert facts["num_graphs"] == 40
    assert facts[metric]["test"] == pytest.approx(
        record["test"]["per_run"][result["best_fold"]], rel=1e-5
    )
    saved = SavedRun(run)
    batch = Batch.from_graphs(graphs(40, label))
    out = outputs(saved.model(), batch)
    rows = table(run / "predictions.csv")
    assert [row["graph"] for row in rows] == [str(n) for n in range(40)]
    if name == "sizes":
        assert list(rows[0]) == ["graph", "prediction"]
        found = torch.tensor([float(row["prediction"]) for row in rows])
        torch.testing.assert_close(found, out[:, 0], rtol=1e-5, atol=0)
        assert (found - 5.5e3).abs().max() < 2e3  # in the unit of the labels
        return
    assert list(rows[0]) == ["graph", "prediction", "p_0", "p_1"]
    found = torch.tensor([[float(row["p_0"]), float(row["p_1"])] for row in rows])
    expected = out.softmax(1) if name == "rings" else out.sigmoid()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    for row, p in zip(rows, expected.tolist()):
        chosen = " ".join(str(k) for k in range(2) if p[k] > 0.5)
        assert row["prediction"] == (chosen if name == "tests" else str(p.index(max(p))))


def test_what_is_said_of_a_prediction_is_said_of_graphs():
    train("--dataset sizes")
    done = gnnlib("predict runs/sizes-gin-1")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()[:3]] == [
        f"RMSE of the {part} graphs" for part in ("training", "validation", "test")
    ]
    assert done.stdout.splitlines()[3] == "40 predictions are in runs/sizes-gin-1/predictions.csv"


def test_labels_that_are_missing_are_not_measured():
    train("--dataset tests")
    own = Batch.from_graphs(graphs(20, ring_and_large))
    y = own.graph_y.clone()
    own.save("some.graph")
    own.replace(graph_y=torch.full_like(y, math.nan)).save("none.graph")
    own.replace(graph_y=None).save("bare.graph")
    for name, measured in (("some", True), ("none", False), ("bare", False)):
        line = f"predict runs/tests-gin-1 --graph {name}.graph -o {name}.csv --json"
        facts = json.loads(gnnlib(line).stdout)
        assert facts["num_graphs"] == 20
        assert list(facts["roc_auc"]) == (["labelled"] if measured else [])
    assert Path("some.csv").read_text() == Path("bare.csv").read_text()


def test_a_graph_of_ones_own_is_one_row():
    train("--dataset rings")
    graphs(1, is_ring)[0].save("ring.graph")
    done = gnnlib("predict runs/rings-gin-1 --graph ring.graph -o ring.csv --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["num_graphs"] == 1
    assert len(table("ring.csv")) == 1


def test_labels_of_nodes_are_predicted_and_measured(monkeypatch):
    graph = pairs_graph()
    y = torch.nn.functional.one_hot(graph.y, 3).float()
    y[::5, 1] = math.nan
    graph.replace(y=y).save("labels.graph")
    graph.replace(y=graph.x[:, 0] * 50 + graph.y).save("numbers.graph")
    for name, task, metric in [
        ("labels", "node-multilabel", "f1_micro"),
        ("numbers", "node-regression", "rmse"),
    ]:
        done = gnnlib(f"train --dataset {name}.graph --epochs 20 --quiet --json")
        assert done.exit_code == 0, done.output
        record = json.loads(done.stdout)
        assert (record["task"], record["metric"]) == (task, metric)
        facts = json.loads(gnnlib(f"predict runs/{name}-gcn-1 --json").stdout)
        assert facts[metric]["test"] == pytest.approx(record["test"]["mean"], rel=1e-5)
        columns = ["p_0", "p_1", "p_2"] if name == "labels" else []
        rows = table(f"runs/{name}-gcn-1/predictions.csv")
        assert list(rows[0]) == ["node", "prediction", *columns]


def test_numbers_of_another_precision_are_predicted_as_they_were_measured():
    graph = pairs_graph()
    y = graph.y.double() / 3 + 1e4
    graph.replace(y=y).save("mine.graph")
    done = gnnlib("train --dataset mine.graph --epochs 5 --quiet --json")
    assert done.exit_code == 0, done.output
    facts = json.loads(gnnlib("predict runs/mine-gcn-1 --json").stdout)
    assert facts["rmse"]["test"] == json.loads(done.stdout)["test"]["mean"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("rings", "curves", None),
        ("rings", "confusion", None),
        ("rings", "embedding", "embedding needs a run that classifies nodes, got a graph-class"),
        ("rings", "attention", "attention needs a run that classifies nodes"),
        ("rings", "convergence", "convergence needs a model with fixed-point layers"),
        ("sizes", "curves", None),
        (
            "sizes",
            "confusion",
            "confusion needs a run that finds one class, got a graph-regression",
        ),
        ("tests", "confusion", "finds one class, got a graph-multilabel"),
    ],
)
def test_pictures_are_of_the_tasks_that_have_them(name, kind, message):
    pytest.importorskip("matplotlib")
    train(f"--dataset {name}")
    done = gnnlib(f"plot runs/{name}-gin-1 --kind {kind}")
    if message is None:
        assert done.exit_code == 0, done.output
        assert Path(f"runs/{name}-gin-1/{kind}.png").stat().st_size > 1000
    else:
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert message in done.stderr


def test_the_convergence_of_many_graphs_is_drawn():
    pytest.importorskip("matplotlib")
    line = "train --dataset rings --model gnn --epochs 2 --hidden-channels 4 --quiet --json"
    done = gnnlib(line)
    assert json.loads(done.stdout)["converged"] is not None
    done = gnnlib("plot runs/rings-gnn-1")
    assert done.stdout.split() == [f"runs/rings-gnn-1/{k}.png" for k in ("curves", "convergence")]


GRID = "--dataset rings --folds 2 --seeds 2 --grid lr=0.1,0.01 --checkpoint-seconds 0"


def test_ctrl_c_in_the_middle_of_a_grid_loses_nothing(monkeypatch):
    whole = train(f"{GRID} --run-dir whole")
    follow = display.Display.epoch

    def interrupt(self: display.Display, line) -> None:
        follow(self, line)
        if (self.name, line.epoch) == ("fold 1, seed 0, lr=0.01", 2):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(display.Display, "epoch", interrupt)
        done = gnnlib(f"train {GRID} {FAST} --json")
    assert done.exit_code == 130
    run = "runs/rings-gin-1"
    assert done.stderr.splitlines()[-1] == f"gnnlib train --resume {run} --quiet --json"
    resumed = json.loads(gnnlib(f"train --resume {run} --quiet --json").stdout)
    for record in (whole, resumed):
        del record["seconds_per_epoch"], record["run_dir"]
    assert resumed == whole
    for name in ("history.csv", "history.json", "model.pt", "config.json"):
        assert Path(run, name).read_bytes() == Path("whole", name).read_bytes()
    best = [json.loads(Path(at, "result.json").read_text())["chosen"] for at in (run, "whole")]
    assert best[0] == best[1]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("--dataset cora --pool sum", 2, "--pool is for datasets of many graphs"),
        ("--dataset rings --model gin --grid heads=1,2", 2, "a setting of grid must be one of"),
        ("--dataset rings --grid metric=accuracy,f1_macro", 2, "a setting of grid must be one of"),
        ("--dataset cora --grid pool=sum,mean", 2, "got 'pool'"),
        ("--dataset rings --grid dropout=0,x", 2, "grid.dropout: 'x' is not a valid float"),
        ("--dataset rings --grid dropout=0,2", 2, "grid.dropout: 2.0 is not in the range"),
        ("--dataset rings --grid lr=0.1,-1", 2, "grid: lr must be positive and finite, got -1.0"),
        ("--dataset rings --grid lr=", 2, "--grid must be NAME=VALUE,VALUE,… for each NAME"),
        ("--dataset rings --grid lr", 2, "got 'lr'"),
        ("--dataset rings --grid lr=0.1,0.10", 2, "grid must try each value of lr once"),
        ("--dataset rings --grid lr=1 --grid lr=2", 2, "for each NAME, got 'lr=2'"),
        ("--dataset rings --grid layers=1 --grid num_layers=2", 2, "each value of num_layers once"),
        ("--dataset rings --folds 1", 2, "1 is not in the range x>=2"),
        ("--dataset rings --folds 50", 1, "at most the 40 labelled rows, got 50"),
        ("--dataset cora --folds 2", 1, "folds needs a dataset with several splits, got folds=2"),
        ("--dataset rings --metric rmse", 1, "metric of a graph-classification must be one of"),
        ("--dataset sizes --metric accuracy", 1, "metric of a graph-regression must be one of"),
        ("--dataset sizes --loss cross_entropy", 1, "loss of a graph-regression must be one of"),
        ("--dataset sizes --class-weights balanced", 1, "class_weights are for classes and labels"),
    ],
)
def test_what_cannot_be_is_one_error(line, code, message):
    done = gnnlib(f"train {line} --epochs 1 --quiet")
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert not list(Path().glob("runs/*"))


def test_a_file_may_ask_for_folds_and_a_grid():
    settings = 'dataset = "rings"\nmodel = "gin"\nfolds = 2\n'
    tables = "[train]\nepochs = 2\n[grid]\nlayers = [1, 2]\ntrain_eps = [true, false]\n"
    Path("run.toml").write_text(settings + tables)
    done = gnnlib("train --config run.toml --quiet --json")
    assert done.exit_code == 0, done.output
    config = json.loads(Path("runs/rings-gin-1/config.json").read_text())
    assert (config["folds"], config["task"]) == (2, "graph-classification")
    assert config["grid"] == {"num_layers": [1, 2], "train_eps": [True, False]}
    again = gnnlib("train --config runs/rings-gin-1/config.json --quiet --json")
    assert again.exit_code == 0, again.output
    assert json.loads(Path("runs/rings-gin-2/config.json").read_text()) == config
    histories = [Path(f"runs/rings-gin-{n}/history.csv").read_bytes() for n in (1, 2)]
    assert histories[0] == histories[1]
    other = gnnlib("train --config run.toml --folds 3 --grid lr=0.1,0.2 --quiet --json")
    assert json.loads(other.stdout)["folds"] == 3
    grid = json.loads(Path("runs/rings-gin-3/config.json").read_text())["grid"]
    assert grid == {"lr": [0.1, 0.2]}  # the command line wins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds = 1", "folds must be at least 2, got 1"),
        ("folds = true", "folds cannot be True"),
        ("[grid]\nlr = 0.1", "grid.lr must be a list of values, got 0.1"),
        ("[grid]\nlr = []", "grid.lr must be a list of values, got []"),
        ("[grid]\nlr = [{}]", "grid.lr cannot be {}"),
        ("[grid]\nwidth = [1]", "a setting of grid must be one of"),
    ],
)
def test_a_file_is_held_to_the_same_rules(text, message):
    Path("run.toml").write_text(text)
    done = gnnlib("train --dataset rings --config run.toml")
    assert (done.exit_code, Path("runs").exists()) == (2, False)
    assert message in done.stderr


def test_a_dataset_that_is_of_another_task_now_does_not_go_on(monkeypatch):
    monkeypatch.setattr(display.Display, "epoch", lambda *_: signal.raise_signal(signal.SIGINT))
    assert gnnlib(f"train {GRID} {FAST}").exit_code == 130
    monkeypatch.setitem(SOURCES, "rings", replace(source("tests")))
    done = gnnlib("train --resume runs/rings-gin-1")
    assert done.exit_code == 1
    assert "it is a graph-classification, got a graph-multilabel" in done.stderr


def test_each_training_of_a_grid_has_its_own_tensorboard():
    pytest.importorskip("tensorboard")
    train(f"{GRID} --tensorboard")
    names = sorted(path.name for path in Path("runs/rings-gin-1/tensorboard").iterdir())
    first = [f"fold-{fold}-seed-0-lr={lr}" for fold in range(2) for lr in ("0.01", "0.1")]
    chosen = json.loads(Path("runs/rings-gin-1/result.json").read_text())["chosen"]
    assert names == sorted(
        [*first, *(f"fold-{k}-seed-1-lr={c['lr']}" for k, c in enumerate(chosen))]
    )


def test_several_numbers_a_node_have_a_column_each():
    graph = pairs_graph()
    graph.replace(y=graph.x[:, :2] * 50).save("two.graph")
    done = gnnlib("train --dataset two.graph --epochs 5 --seeds 2 --json")
    assert (done.exit_code, json.loads(done.stdout)["task"]) == (0, "node-regression")
    assert "seed 1: test " in done.stderr and " %" not in done.stderr  # of no fraction
    assert gnnlib("predict runs/two-gcn-1").exit_code == 0
    rows = table("runs/two-gcn-1/predictions.csv")
    assert list(rows[0]) == ["node", "prediction_0", "prediction_1"]
