import csv
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from gnnlib.datasets import CacheError, DatasetError, DownloadError
from gnnlib.train import RECIPES, TrainConfig
from gnnlib.train.sources import SOURCES
from tests.cli.program import gnnlib, pairs_graph, start, unreachable

RECORD = {
    *("schema", "dataset", "model", "task", "seeds", "folds", "metric", "val", "test", "metrics"),
    *("epochs", "seconds_per_epoch", "converged", "run_dir"),
}


def test_json_is_one_line_on_stdout_and_the_rest_is_on_stderr():
    done = gnnlib("train --dataset cora --model gcn --seeds 3 --epochs 8 --json")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    record = json.loads(done.stdout)
    assert record.keys() == RECORD
    assert (record["schema"], record["dataset"], record["model"]) == (1, "cora", "gcn")
    assert record["seeds"] == [0, 1, 2]
    assert (record["metric"], record["folds"], record["converged"]) == ("accuracy", None, None)
    assert len(record["test"]["per_run"]) == 3
    assert all(0 <= value <= 1 for value in record["test"]["per_run"])
    assert record["epochs"] == 8
    assert "seed 2: test" in done.stderr
    assert "± " in done.stderr


def test_without_json_the_table_is_on_stdout():
    done = gnnlib("train --dataset cora --epochs 3")
    assert done.exit_code == 0, done.output
    assert "gcn on cora, 1 seed" in done.stdout
    assert "test accuracy" in done.stdout
    assert "seed 0: test" not in done.stdout


def test_quiet_shows_the_result_only():
    done = gnnlib("train --dataset cora --epochs 3 --quiet")
    assert done.stderr == ""
    assert "test accuracy" in done.stdout
    done = gnnlib("train --dataset cora --epochs 3 --quiet --json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["epochs"] == 3


def test_a_run_folder_says_all_about_its_run():
    done = gnnlib(
        "train --dataset cora --model gat --heads 2 --hidden-channels 4 --layers 3 --dropout 0.1"
        " --lr 0.02 --weight-decay 0.001 --epochs 9 --patience 5 --seeds 2 --device cpu --json"
    )
    assert done.exit_code == 0, done.output
    folder = Path(json.loads(done.stdout)["run_dir"])
    assert folder == Path("runs/cora-gat-1")
    files = {"config.json", "history.csv", "history.json", "result.json", "model.pt", "curves.png"}
    assert {path.name for path in folder.iterdir()} - {".lock"} == files

    config = json.loads((folder / "config.json").read_text())
    assert config["model_args"] == {
        "hidden_channels": 4,
        "num_layers": 3,
        "heads": 2,
        "dropout": 0.1,
    }
    assert config["train"] == {
        **asdict(TrainConfig()),
        "epochs": 9,
        "lr": 0.02,
        "weight_decay": 0.001,
        "patience": 5,
    }
    assert (config["in_channels"], config["out_channels"]) == (4, 3)
    assert config["transforms"] == ["NormalizeFeatures()"]
    assert (config["dataset"], config["model"]) == ("cora", "gat")
    assert (config["seeds"], config["device"]) == ([0, 1], "cpu")
    assert config["versions"]["torch"] == torch.__version__

    with open(folder / "history.csv", newline="") as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"0", "1"}

    result = json.loads((folder / "result.json").read_text())
    best = result.pop("best_seed")
    assert [result.pop(name) for name in ("best_fold", "best_choice", "chosen")] == [None, {}, [{}]]
    assert result == json.loads(done.stdout)
    material = SOURCES["cora"].load()
    graph = material.whole
    model = RECIPES["gat"].override(**config["model_args"]).build(4, material.num_outputs)
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    right = (model.eval()(graph.x, graph).argmax(1) == graph.y)[graph.test_mask]
    assert right.float().mean().item() == pytest.approx(result["test"]["per_run"][best])


def test_the_same_command_gives_the_same_history_in_a_folder_of_its_own():
    histories = []
    for number in (1, 2):
        assert gnnlib("train --dataset cora --epochs 4 --seeds 2").exit_code == 0
        histories.append(Path(f"runs/cora-gcn-{number}/history.csv").read_text())
    assert histories[0] == histories[1]


def test_run_dir_names_the_folder_and_never_overwrites_one():
    assert gnnlib("train --dataset cora --epochs 2 --run-dir here/mine").exit_code == 0
    assert Path("here/mine/result.json").exists()
    done = gnnlib("train --dataset cora --epochs 2 --run-dir here/mine")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "error: run folder here/mine is not empty"


def test_without_matplotlib_training_goes_on_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = gnnlib("train --dataset cora --epochs 2 --json")
    assert done.exit_code == 0, done.output
    assert "pip install 'gnnlib[plot]'" in done.stderr
    assert not Path("runs/cora-gcn-1/curves.png").exists()
    assert json.loads(done.stdout)["model"] == "gcn"


def test_no_dataset_and_no_network_is_digits_and_says_so(monkeypatch):
    monkeypatch.setitem(SOURCES, "cora", unreachable(DownloadError))
    done = gnnlib("train --epochs 2 --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dataset"] == "digits"
    assert done.stderr.splitlines()[0].startswith(
        "training on digits, because cora is not to be had"
    )
    assert Path("runs/digits-gcn-1").is_dir()


def test_no_dataset_with_a_network_is_cora():
    done = gnnlib("train --epochs 2 --json")
    assert json.loads(done.stdout)["dataset"] == "cora"


def test_a_dataset_that_was_named_is_never_replaced(monkeypatch):
    monkeypatch.setitem(SOURCES, "cora", unreachable(DownloadError))
    done = gnnlib("train --dataset cora --epochs 2 --json")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == "error: ind.cora.x: no network\n"
    assert not Path("runs").exists()


@pytest.mark.parametrize("error", [DatasetError, CacheError])
def test_damaged_data_or_cache_is_an_error_even_with_no_dataset_named(error, monkeypatch):
    monkeypatch.setitem(SOURCES, "cora", unreachable(error))
    done = gnnlib("train --epochs 2")
    assert done.exit_code == 1
    assert done.stderr == "error: ind.cora.x: no network\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--dataset coar", "dataset must be one of 'cora', "),
        ("--dataset pubmd", "dataset must be one of 'pubmed', "),
        ("--model gta", "model must be one of 'gat', "),
        ("--model gcn --heads 8", "gcn does not take --heads; it takes --hidden-channels"),
        ("--dropout 1", "--dropout"),
        ("--epochs 0", "--epochs"),
        ("--seeds 0", "--seeds"),
        ("--lr nan", "lr must be finite"),
        ("--dropout nan", "'nan' is not a finite number"),
        ("--model gnn --kappa nan", "'nan' is not a finite number"),
        ("--model gnn --tol inf", "'inf' is not a finite number"),
        ("--model ppnp --transition-lr 1", "ppnp does not take --transition-lr"),
        ("--device meta", "got 'meta'"),
        ("--device abacus", "device must be auto, cpu, cuda or cuda:N; got 'abacus'"),
        ("--no-such-option", "No such option"),
        ("--class-weights 1,x", "'1,x' is neither balanced nor numbers"),
        ("--class-weights 0,0", "class_weights must have a positive entry"),
        ("--scheduler cosin", "scheduler must be one of 'cosine', "),
        ("--amp fp16", "amp must be one of 'bf16'; got 'fp16'"),
        ("--dataset no/such.graph", "there is no file 'no/such.graph'"),
        ("--dataset mine.graph", "there is no file 'mine.graph'"),
    ],
)
def test_a_wrong_command_line_exits_with_2(line, message):
    done = gnnlib(f"train {line}")
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_one_error_line():
    done = gnnlib("train --dataset cora --device cuda")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: device 'cuda' needs")
    assert done.stderr.count("\n") == 1


def test_a_run_that_diverges_is_one_error_line():
    done = gnnlib("train --dataset cora --lr 1e30 --epochs 20 --quiet")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: training diverged: at epoch")
    assert done.stderr.count("\n") == 1


def test_traceback_shows_where_an_error_comes_from(monkeypatch):
    monkeypatch.setitem(SOURCES, "cora", unreachable(DownloadError))
    done = gnnlib("--traceback train --dataset cora")
    assert isinstance(done.exception, DownloadError)


@pytest.mark.parametrize("model", RECIPES)
def test_every_model_trains(model):
    done = gnnlib(f"train --dataset cora --model {model} --epochs 2 --quiet --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == model


def test_every_setting_of_training_reaches_the_run():
    done = gnnlib(
        "train --dataset cora --model gat --epochs 6 --patience none --decay-layers 1"
        " --scheduler step --scheduler-epochs 2 --scheduler-factor 0.1 --grad-clip 1.5"
        " --class-weights 1,2,0.5 --amp bf16 --check-finite --json"
    )
    assert done.exit_code == 0, done.output
    folder = Path(json.loads(done.stdout)["run_dir"])
    recipe = RECIPES["gat"].config
    assert json.loads((folder / "config.json").read_text())["train"] == {
        **asdict(recipe),
        "epochs": 6,
        "patience": None,
        "decay_layers": 1,
        "scheduler": "step",
        "scheduler_epochs": 2,
        "scheduler_factor": 0.1,
        "grad_clip": 1.5,
        "class_weights": [1, 2, 0.5],
        "amp": "bf16",
        "check_finite": True,
    }
    rates = [row["lr"] for row in json.loads((folder / "history.json").read_text())]
    assert rates == pytest.approx([recipe.lr * 0.1 ** (n // 2) for n in range(6)])


def test_a_graph_from_a_file_is_trained_on_and_resumed_from_anywhere(tmp_path, monkeypatch):
    pairs_graph().save("mine.graph")
    done = gnnlib("train --dataset mine.graph --epochs 3 --json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["dataset"], record["run_dir"]) == ("mine", "runs/mine-gcn-1")
    config = json.loads(Path("runs/mine-gcn-1/config.json").read_text())
    assert config["dataset"] == str(tmp_path / "mine.graph")
    assert (config["transforms"], config["out_channels"]) == ([], 3)


def test_a_file_without_labels_or_of_no_graph_is_one_error_line():
    pairs_graph().replace(y=None).save("mine.graph")
    Path("other.graph").write_bytes(b"nothing")
    for name, message in [("mine", "training needs graph.y"), ("other", "is not a readable")]:
        done = gnnlib(f"train --dataset {name}.graph")
        assert done.exit_code == 1
        assert done.stderr.count("\n") == 1 and message in done.stderr
    assert not Path("runs").exists()


def test_tensorboard_has_a_folder_for_each_seed():
    pytest.importorskip("tensorboard")
    done = gnnlib("train --dataset cora --epochs 2 --seeds 2 --tensorboard")
    assert done.exit_code == 0, done.output
    folders = sorted(Path("runs/cora-gcn-1/tensorboard").iterdir())
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    assert all(len(list(folder.iterdir())) == 1 for folder in folders)


def test_an_error_before_the_first_epoch_leaves_no_folder(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = gnnlib("train --dataset cora --epochs 2 --tensorboard")
    assert done.exit_code == 1
    assert "pip install 'gnnlib[tensorboard]'" in done.stderr
    assert not Path("runs/cora-gcn-1").exists()


def test_the_program_trains_on_real_cora(mirror):
    program = start("train", "--dataset", "cora", "--seeds", "2", "--epochs", "40", "--json")
    stdout, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    record = json.loads(stdout)
    assert record["test"]["mean"] > 0.7
    assert Path(record["run_dir"], "curves.png").exists()
