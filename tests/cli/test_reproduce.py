"""`gnnlib reproduce`, on rows that train in no time, and the page of the manual."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gnnlib import cli
from gnnlib.cli._published import PAPERS, ROWS, Row
from gnnlib.cli._results import is_worse, page, read_record, spread, write_record
from gnnlib.train.sources import SOURCES
from tests.cli.program import ROOT, gnnlib

program = importlib.import_module("gnnlib.cli.reproduce")
RESULTS = Path("results")
KARATE = Row(
    "karate-gcn",
    "karate",
    "gcn",
    "accuracy",
    "99.9 ± 0.05",
    "Xu et al. 2019",
    "once",
    "twice",
    "--epochs 2 --seeds 2",
    quick=True,
    remark="Two epochs are few.",
)
DIGITS = replace(
    KARATE, name="digits-gin", dataset="digits", model="gin", published="", quick=False
)
ABSENT = replace(KARATE, name="absent", dataset="absent.graph", quick=False)
TABLE = {row.name: row for row in (KARATE, DIGITS, ABSENT)}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The rows above, in place of those of the program."""
    (names, *_) = cli.main.commands["reproduce"].params
    monkeypatch.setattr(names.type, "choices", list(TABLE))
    published = dict(ROWS)
    ROWS.clear()
    ROWS.update(TABLE)
    yield
    ROWS.clear()
    ROWS.update(published)


class Runs:
    """In place of the processes: what is run, and what comes back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.commands: list[list[str]] = []
        self.returncode = 0
        self.accuracy = 0.5
        monkeypatch.setattr(program.subprocess, "run", self)

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess:
        self.commands.append(command[3:])
        test = {"mean": self.accuracy, "std": 0.1, "per_run": [0.4, 0.6]}
        record = {"schema": 1, "test": test, "run_dir": "/home/me/runs"}
        return subprocess.CompletedProcess(command, self.returncode, json.dumps(record) + "\n")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


def record_of(row: Row, mean: float, std: float = 0.01) -> dict:
    return {"command": row.command, "test": {"mean": mean, "std": std, "per_run": [mean] * 3}}


@pytest.mark.usefixtures("table")
def test_a_row_is_trained_and_stands_beside_what_was_published():
    done = gnnlib("reproduce")
    assert done.exit_code == 0, done.output
    record = json.loads((RESULTS / "karate-gcn.json").read_text())
    assert record["dataset"] == "karate"
    assert record["seeds"] == [0, 1]
    assert "run_dir" not in record
    assert str(Path.cwd()) not in json.dumps(record)
    assert f"karate-gcn: accuracy {spread(KARATE, record)}, published 99.9 ± 0.05" in done.stdout
    text = Path("results.md").read_text()
    assert f"{spread(KARATE, record)} (2 runs) [^karate-gcn]" in text
    assert "[^karate-gcn]: Two epochs are few." in text
    (run,) = Path("runs", "reproduce").iterdir()
    assert json.loads((run / "result.json").read_text())["test"] == record["test"]


@pytest.mark.usefixtures("table")
def test_a_row_that_has_a_record_is_not_run_again(runs):
    assert gnnlib("reproduce karate-gcn digits-gin karate-gcn").exit_code == 0
    assert [command[2] for command in runs.commands] == ["karate", "digits"]
    runs.accuracy = 0.7
    done = gnnlib("reproduce karate-gcn digits-gin")
    assert len(runs.commands) == 2
    assert "karate-gcn: accuracy 50.0 ± 10.0" in done.stdout
    assert gnnlib("reproduce --again digits-gin").exit_code == 0
    assert [command[2] for command in runs.commands[2:]] == ["digits"]
    assert "| 70.0 ± 10.0 (2 runs) |" in Path("results.md").read_text()


@pytest.mark.usefixtures("table")
def test_a_row_whose_command_has_changed_is_run_again(runs):
    gnnlib("reproduce karate-gcn")
    ROWS["karate-gcn"] = replace(KARATE, options="--epochs 3")
    assert "| not run |" in page({"karate-gcn": ROWS["karate-gcn"]}, RESULTS)
    gnnlib("reproduce karate-gcn")
    first, second = runs.commands
    assert first[-4:-2] != second[-4:-2]
    assert (first[7:11], second[7:9]) == (KARATE.options.split(), ["--epochs", "3"])


@pytest.mark.usefixtures("table")
def test_quick_rows_all_rows_and_named_rows(runs):
    gnnlib("reproduce --folder a")
    assert [command[2] for command in runs.commands] == ["karate"]
    gnnlib("reproduce --all --folder b")
    assert [command[2] for command in runs.commands[1:]] == ["karate", "digits", "absent.graph"]
    gnnlib("reproduce absent --folder c")
    assert [command[2] for command in runs.commands[4:]] == ["absent.graph"]


@pytest.mark.usefixtures("table")
def test_a_row_that_fails_does_not_keep_others_from_running():
    done = gnnlib("reproduce absent karate-gcn")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "error: absent did not work: why stands above"
    assert [path.name for path in RESULTS.iterdir()] == ["karate-gcn.json"]
    assert "| not run |" in Path("results.md").read_text()


@pytest.mark.usefixtures("table")
def test_a_row_that_was_interrupted_goes_on(runs):
    runs.returncode = 130
    done = gnnlib("reproduce --all")
    assert (done.exit_code, len(runs.commands)) == (130, 1)
    assert not RESULTS.exists()
    assert Path("results.md").is_file()
    run = Path(runs.commands[0][runs.commands[0].index("--run-dir") + 1])
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    runs.returncode = 0
    assert gnnlib("reproduce").exit_code == 0
    assert runs.commands[1] == ["train", "--resume", str(run), "--json", "--quiet"]
    assert gnnlib("reproduce --again").exit_code == 0
    assert not run.exists()  # it begins anew
    assert runs.commands[2] == runs.commands[0]


def test_ctrl_c_ends_both_processes_and_nothing_is_lost(table, tmp_path):
    row = replace(DIGITS, options="--epochs 300 --layers 2 --hidden-channels 8", quick=True)
    code = f"""
from gnnlib import cli
from gnnlib.cli._published import ROWS, Row
row = {row!r}
ROWS.clear()
ROWS["digits-gin"] = row
cli.main(["reproduce"])
"""
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    progress = Path("runs", "reproduce", row.run_name, "progress")
    deadline = time.monotonic() + 120
    while not (progress.is_dir() and any(progress.iterdir())):
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGINT)
    _, err = started.communicate(timeout=120)
    assert started.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted"
    assert not RESULTS.exists()
    ROWS["digits-gin"] = row
    done = gnnlib("reproduce digits-gin")
    assert done.exit_code == 0, done.output
    (run,) = Path("runs", "reproduce").iterdir()  # it went on in the same folder
    assert len((run / "history.csv").read_text().splitlines()) == 1 + 300
    assert read_record(RESULTS, row) is not None


@pytest.mark.usefixtures("table")
def test_the_list_and_the_page_run_nothing(runs):
    write_record(RESULTS, DIGITS, record_of(DIGITS, 0.9))
    done = gnnlib("reproduce --list")
    assert done.exit_code == 0
    assert [line.split()[:2] for line in done.stdout.splitlines() if "-g" in line] == [
        ["karate-gcn", "minutes"],
        ["digits-gin", "longer"],
    ]
    assert "90.0 ± 1.0" in done.stdout
    assert not Path("results.md").exists()
    assert gnnlib("reproduce --page --output a/b.md").exit_code == 0
    assert Path("a", "b.md").read_text() == page(TABLE, RESULTS)
    assert not runs.commands


def test_what_to_run_is_said_once():
    for words in ("--all --list", "--list --page", "mutag-gin --all"):
        done = gnnlib(f"reproduce {words}")
        assert done.exit_code == 2
        assert "give names of rows, --all, --list or --page, one of them" in done.stderr
    done = gnnlib("reproduce mutag-gni")
    assert done.exit_code == 2
    assert "mutag-gin" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"command": "a", "test": {"mean": 1}}'])
def test_a_damaged_record_is_named(content):
    RESULTS.mkdir()
    (RESULTS / "karate-gcn.json").write_text(content)
    with pytest.raises(ValueError, match=r"karate-gcn\.json is damaged: .*; remove it"):
        read_record(RESULTS, KARATE)


@pytest.mark.parametrize(
    ("metric", "published", "mean", "worse"),
    [
        ("accuracy", "80.0 ± 1.0", 0.795, False),
        ("accuracy", "80.0 ± 1.0", 0.785, True),
        ("accuracy", "80.0 ± 1.0", 0.9, False),
        ("roc_auc", "80.0 ± 1.0", 0.785, True),
        ("rmse", "0.80 ± 0.10", 0.85, False),
        ("rmse", "0.80 ± 0.10", 0.95, True),
        ("rmse", "0.80 ± 0.10", 0.5, False),
        ("accuracy", "", 0.1, False),
    ],
)
def test_a_note_stands_where_ours_is_worse_by_more_than_the_published_std(
    metric, published, mean, worse
):
    row = replace(KARATE, metric=metric, published=published)
    write_record(RESULTS, row, record_of(row, mean))
    assert is_worse(row, record_of(row, mean)) is worse
    assert ("[^karate-gcn]: Two epochs are few.\n" in page({row.name: row}, RESULTS)) is worse


def test_the_page_shows_fractions_in_percent_and_errors_as_they_are():
    assert spread(KARATE, record_of(KARATE, 0.8125, 0.0149)) == "81.2 ± 1.5"
    row = replace(KARATE, metric="rmse")
    assert spread(row, record_of(row, 0.8125, 0.0149)) == "0.81 ± 0.01"


def test_a_page_has_a_line_for_each_row_and_cites_its_papers():
    row = replace(KARATE, name="other", published="", paper="", theirs="")
    write_record(RESULTS, row, record_of(row, 0.5))
    text = page({"karate-gcn": KARATE, "other": row}, RESULTS)
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [line[0] for line in cells] == ["| row", "| ---", "| karate-gcn", "| other"]
    assert {len(line) for line in cells} == {7}
    assert cells[2][2:5] == ["99.9 ± 0.05, Xu et al. 2019", "once", "not run"]
    assert cells[3][2:5] == ["–", "–", "50.0 ± 1.0 (3 runs)"]
    assert f"- Xu et al. 2019: {PAPERS['Xu et al. 2019']}.\n" in text
    assert "Errica" not in text


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_published_row_is_whole(row):
    assert row.dataset in SOURCES
    assert " | " not in row.command
    if row.published:
        mean, std = map(float, row.published.split(" ± "))
        assert mean > std > 0
        assert row.paper in PAPERS
        assert row.theirs
        assert row.remark
    arguments = row.arguments[1:]
    context = cli.main.commands["train"].make_context("train", arguments)
    assert context.params["dataset"] == row.dataset
    assert not context.args


def test_the_rows_have_the_papers_and_the_papers_rows():
    assert {row.paper for row in ROWS.values()} - {""} == PAPERS.keys()
    assert len({row.command for row in ROWS.values()}) == len(ROWS)


def test_the_page_of_the_manual_shows_the_records_beside_it():
    folder = ROOT / "docs" / "results"
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert text == page(ROWS, folder), "gnnlib reproduce --page -o docs/results.md is due"
    assert {path.stem for path in folder.glob("*")} <= ROWS.keys()
    for path in folder.glob("*.json"):
        assert "run_dir" not in json.loads(path.read_text(encoding="utf-8"))
