import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from gnnlib import Graph, cli
from gnnlib.datasets import CacheError, Dataset, DatasetError, DownloadError
from gnnlib.train import RECIPES
from gnnlib.train.sources import SOURCES, Source
from gnnlib.transforms import NormalizeFeatures

RECORD = {
    *("schema", "dataset", "model", "task", "seeds", "folds", "metric", "val", "test", "metrics"),
    *("epochs", "seconds_per_epoch", "converged", "run_dir"),
}


def pairs() -> Dataset:
    """Twelve pairs of nodes; the class of a node is its only feature that is not zero."""
    nodes, part = torch.arange(24), torch.arange(24) // 8
    graph = Graph(
        torch.stack([nodes, nodes ^ 1]),
        x=torch.nn.functional.one_hot(nodes // 2 % 3, 4) * 2.0,
        y=nodes // 2 % 3,
        train_mask=part == 0,
        val_mask=part == 1,
        test_mask=part == 2,
    )
    return Dataset("pairs", [graph], num_classes=3, licence="CC0-1.0", citation="")


@pytest.fixture(autouse=True)
def _small_datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SOURCES, "cora", Source(pairs, (NormalizeFeatures(),)))
    monkeypatch.setitem(SOURCES, "digits", Source(pairs))
    monkeypatch.chdir(tmp_path)


def unreachable(error: type[Exception] = DownloadError) -> Source:
    def refuse() -> Dataset:
        raise error("ind.cora.x: no network")

    return Source(refuse)


def gnnlib(line: str) -> Result:
    return CliRunner().invoke(cli.main, line.split())


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
    files = {"config.json", "history.csv", "result.json", "model.pt", "curves.png"}
    assert {path.name for path in folder.iterdir()} == files

    config = json.loads((folder / "config.json").read_text())
    assert config["model_args"] == {
        "hidden_channels": 4,
        "num_layers": 3,
        "heads": 2,
        "dropout": 0.1,
    }
    assert config["train"] == {
        "epochs": 9,
        "lr": 0.02,
        "weight_decay": 0.001,
        "decay_layers": None,
        "patience": 5,
    }
    assert config["transforms"] == ["NormalizeFeatures()"]
    assert (config["dataset"], config["model"]) == ("cora", "gat")
    assert (config["seeds"], config["device"]) == ([0, 1], "cpu")
    assert config["versions"]["torch"] == torch.__version__

    with open(folder / "history.csv", newline="") as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"0", "1"}

    result = json.loads((folder / "result.json").read_text())
    best = result.pop("best_seed")
    assert result == json.loads(done.stdout)
    graph, num_classes = SOURCES["cora"].load()
    model = RECIPES["gat"].override(**config["model_args"]).build(4, num_classes)
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
    monkeypatch.setitem(SOURCES, "cora", unreachable())
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
    monkeypatch.setitem(SOURCES, "cora", unreachable())
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
        ("--model gcn --heads 8", "GCN has no setting 'heads'"),
        ("--dropout 1", "--dropout"),
        ("--epochs 0", "--epochs"),
        ("--seeds 0", "--seeds"),
        ("--lr nan", "lr must be positive"),
        ("--device meta", "got 'meta'"),
        ("--device abacus", "device must be auto, cpu, cuda or cuda:N; got 'abacus'"),
        ("--no-such-option", "No such option"),
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
    monkeypatch.setitem(SOURCES, "cora", unreachable())
    done = gnnlib("--traceback train --dataset cora")
    assert isinstance(done.exception, DownloadError)


def test_ctrl_c_exits_with_130(monkeypatch):
    def interrupt() -> Dataset:
        raise KeyboardInterrupt

    monkeypatch.setitem(SOURCES, "cora", Source(interrupt))
    done = gnnlib("train --dataset cora")
    assert done.exit_code == 130
    assert done.stderr == "interrupted\n"


def test_info_names_versions_kernels_and_cuda():
    done = gnnlib("info")
    assert done.exit_code == 0, done.output
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["torch"] == torch.__version__
    facts = json.loads(gnnlib("info --json").stdout)
    assert facts["cpu_kernels"] in ("avx512", "avx2", "baseline", "reference")
    assert facts["compiled_kernels"] is (facts["cpu_kernels"] != "reference")
    assert facts["cuda_devices"] == [] or torch.cuda.is_available()


@pytest.mark.parametrize("line", ["--help", "train --help", "info -h"])
def test_help_is_there(line):
    done = gnnlib(line)
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "gnnlib", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )


def test_the_program_trains_on_real_cora(mirror):
    program = start("train", "--dataset", "cora", "--seeds", "2", "--epochs", "40", "--json")
    stdout, stderr = program.communicate(timeout=120)
    assert program.returncode == 0, stderr
    record = json.loads(stdout)
    assert record["test"]["mean"] > 0.7
    assert Path(record["run_dir"], "curves.png").exists()


def test_ctrl_c_stops_the_program(mirror):
    program = start("train", "--dataset", "cora", "--seeds", "1000")
    deadline = time.monotonic() + 120
    while not Path("runs/cora-gcn-1/config.json").exists():  # it is about to train
        assert program.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    stdout, stderr = program.communicate(timeout=60)
    assert program.returncode == 130
    assert stderr.splitlines()[-1] == "interrupted"
    assert stdout == ""
