"""`gnnlib train --nodes … --edges …`: a run on CSV files, gone on with and predicted from."""

import csv
import json
import signal
from pathlib import Path

import pytest

from gnnlib.train import display
from tests.cli.program import gnnlib

TRAIN = "train --nodes nodes.csv --edges edges.csv --label kind"
RUN = Path("runs/nodes-gcn-1")
KINDS = ["a, b", "c", "d"]


@pytest.fixture(autouse=True)
def _files() -> None:
    """Twelve pairs of nodes; a node's first features tell its class."""
    with open("nodes.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "u", "v", "w", "kind", "part"])
        for k in range(24):
            one_hot = [2 * int(k // 2 % 3 == c) for c in range(3)]
            table.writerow([f"n{k}", *one_hot, KINDS[k // 2 % 3], ("train", "val", "test")[k // 8]])
    Path("edges.csv").write_text("of,to\n" + "".join(f"n{2 * k},n{2 * k + 1}\n" for k in range(12)))


def trained(*more: str) -> dict:
    done = gnnlib(f"{TRAIN} --split part --undirected --epochs 20 --json " + " ".join(more))
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_run_on_files_records_their_absolute_paths_and_columns():
    record = trained()
    assert (record["dataset"], record["task"]) == ("nodes", "node-classification")
    config = json.loads((RUN / "config.json").read_text())
    assert config["files"] == {
        "nodes": str(Path("nodes.csv").resolve()),
        "edges": str(Path("edges.csv").resolve()),
        "label": "kind",
        "split": "part",
        "edge_weight": None,
        "directed": False,
    }
    assert (config["in_channels"], config["out_channels"]) == (3, 3)


def test_predictions_have_the_ids_and_classes_of_the_files():
    record = trained()
    done = gnnlib(f"predict {RUN} --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"]["test"] == record["test"]["mean"]
    with open(RUN / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["node", "prediction", "p_a, b", "p_c", "p_d"]
    assert [row["node"] for row in rows] == [f"n{k}" for k in range(24)]
    right = [row["prediction"] == KINDS[k // 2 % 3] for k, row in enumerate(rows)]
    assert sum(right[16:]) / 8 == pytest.approx(record["test"]["mean"])
    assert all(row["prediction"] in KINDS for row in rows)


def test_without_a_split_one_is_drawn_and_said():
    text = Path("nodes.csv").read_text()
    for part in ("part", "train", "val", "test"):
        text = text.replace(f",{part}", "")
    Path("nodes.csv").write_text(text)
    done = gnnlib(f"{TRAIN} --epochs 3")
    assert done.exit_code == 0, done.output
    said = [line for line in done.stderr.splitlines() if "drawn" in line]
    assert len(said) == 1
    assert "of each class 60% of the nodes are drawn to train, 20% to validate and 20%" in said[0]
    assert "with seed 0; --split takes a column" in said[0]
    assert "drawn" not in gnnlib(f"{TRAIN} --epochs 3 --quiet").stderr
    assert gnnlib(f"predict {RUN}").exit_code == 0


def test_a_run_goes_on_and_a_file_that_has_changed_is_noticed(monkeypatch, tmp_path):
    whole = trained("--run-dir whole --dropout 0.5")
    follow = display.Display.epoch

    def interrupted(self, line) -> None:
        follow(self, line)
        if line.epoch == 10:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(display.Display, "epoch", interrupted)
        done = gnnlib(f"{TRAIN} --split part --undirected --epochs 20 --dropout 0.5")
    assert done.exit_code == 130, done.output
    text = Path("nodes.csv").read_text()
    Path("nodes.csv").write_text(text.replace("n3,0,2,0", "n3,0,2,1"))
    done = gnnlib(f"train --resume {RUN}")
    assert done.exit_code == 1 and "graph" in done.stderr
    Path("nodes.csv").write_text(text)
    monkeypatch.chdir(tmp_path / "runs")  # the paths of a run are absolute
    done = gnnlib(f"train --resume {RUN.name} --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["test"] == whole["test"]
    (tmp_path / "nodes.csv").write_text(text.replace("n3,0,2,0", "n3,0,2,1"))
    done = gnnlib(f"predict {RUN.name}")
    assert done.exit_code == 1 and "has changed since" in done.stderr
    (tmp_path / "nodes.csv").unlink()
    done = gnnlib(f"predict {RUN.name}")
    assert done.exit_code == 1 and "nodes.csv" in done.stderr


def test_a_config_file_names_files_too():
    record = trained()
    table = "".join(f"{name} = {name + '.csv'!r}\n" for name in ("nodes", "edges"))
    toml = (
        f"[files]\n{table}label = 'kind'\nsplit = 'part'\ndirected = false\n[train]\nepochs = 20\n"
    )
    Path("run.toml").write_text(toml)
    for config in ("run.toml", f"{RUN}/config.json"):
        done = gnnlib(f"train --config {config} --json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["test"] == record["test"]
    done = gnnlib("train --config run.toml --dataset digits --epochs 2 --json")
    assert json.loads(done.stdout)["dataset"] == "digits"
    for wrong, message in (
        (toml.replace("label", "labels"), "got no --label"),
        (toml.replace("split", "splits"), "a key of files must be one of 'split'"),
        (toml.replace("edges.csv", "links.csv"), "there is no file 'links.csv'"),
    ):
        Path("run.toml").write_text(wrong)
        done = gnnlib("train --config run.toml")
        assert done.exit_code == 2 and message in done.stderr


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("train --nodes nodes.csv", 2, "go together; got no --edges"),
        ("train --nodes nodes.csv --edges edges.csv", 2, "go together; got no --label"),
        ("train --split part", 2, "go together; got no --nodes"),
        (f"{TRAIN} --dataset digits", 2, "--dataset and --nodes are different data"),
        (f"{TRAIN} --edges none.csv", 2, "none.csv"),
        (f"{TRAIN} --folds 3", 1, "folds needs a dataset with several splits"),
        (f"{TRAIN} --split kind", 1, "nodes.csv line 2: 'kind' must be 'train', 'val' or 'test'"),
        (f"{TRAIN} --edge-weight kg", 1, "edge_weight must name a column"),
        (
            "train --nodes nodes.csv --edges edges.csv --label sort",
            1,
            "label must name a column of",
        ),
        ("train --resume runs/x --nodes nodes.csv", 2, "it goes without --nodes"),
    ],
)
def test_what_does_not_go_together_is_one_line(line, code, message):
    done = gnnlib(line)
    assert done.exit_code == code and message in done.stderr
    assert not Path("runs").exists()
