"""`gnnlib bench`, and a run of each suite on a graph of 60 nodes. No time is asserted."""

import importlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as benchmarks
from benchmarks import peers, report
from benchmarks.layers import memory
from tests.cli.program import ROOT, gnnlib, start
from tests.cli.test_completion import completed

program = importlib.import_module("gnnlib.cli.bench")
TINY = ("--quick", "--graphs", "tiny", "--rounds", "1", "--threads", "1")


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The suites run in this process, which gets its threads and warnings back."""
    monkeypatch.setattr(report, "folder", report.folder)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    threads = torch.get_num_threads()
    with warnings.catch_warnings():
        yield
    torch.set_num_threads(threads)


def run(suite: str, *options: str) -> int:
    return benchmarks.main([suite, *TINY, *options, "--out", "here"])


def rows(name: str) -> list[dict]:
    record = json.loads(Path("here", f"{name}.json").read_text())
    assert record["stamp"]["threads"] == 1
    assert record["stamp"]["cpu"]
    text = Path("here", f"{name}.md").read_text()
    assert text.startswith("# ")
    assert "\n| --- |" in text
    assert record["rows"]
    return record["rows"]


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize("suite", ["ops", "scatter", "layers", "training", "scaling", "loader"])
def test_suites(suite, capsys):
    assert run(suite) == 0, capsys.readouterr().err
    found = rows(suite)
    for row in found:
        assert row["seconds"]["gnnlib"] > 0, row
        assert not any(why.startswith("differs") for why in row["failed"].values()), row
    assert Path("here", f"{suite}.png").read_bytes().startswith(b"\x89PNG")
    if suite == "ops":
        names = {row["case"] for row in found}
        assert {"sum", "max", "sddmm dot", "segment sum", "edge softmax", "GATConv"} <= names
        summed = next(row for row in found if row["case"] == "sum")
        assert {"torch.sparse", "torch.sparse, reduce"} <= summed["seconds"].keys()
        assert summed["GB/s"] > 0
        assert summed["of gather"] > 0
        assert "tiny: sum F=64 forward" in capsys.readouterr().err


@pytest.mark.usefixtures("_alone")
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory(monkeypatch):
    monkeypatch.setattr(memory, "SIDES", ("gnnlib",))  # each side is a process of its own
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert run("memory", "--only", "GATConv") == 0
    (row,) = rows("memory")
    assert row["MiB"]["gnnlib"] > 0


@pytest.mark.usefixtures("_alone")
def test_accuracy():
    assert run("accuracy", "--only", "GCN") == 0
    found = rows("accuracy")
    assert found[0]["side"] == "gnnlib"
    assert "±" in found[0]["accuracy, %"]


@pytest.mark.usefixtures("_alone")
def test_loading():
    assert run("loading") == 0
    (row,) = rows("loading")
    assert (row["dataset"], row["edges"]) == ("karate", 156)
    assert row["gnnlib ms"] > 0
    assert row["PyG ms"] == ""  # which has no files of it


class Wrong:
    """A library that adds everything twice."""

    @staticmethod
    def scatter(x, index, dim, dim_size, reduce):
        return x.new_zeros(dim_size, x.shape[1]).index_add(dim, index, 2 * x)


@pytest.mark.usefixtures("_alone")
def test_results_that_differ_are_an_error(monkeypatch, capsys):
    """A peer with another answer is named, is not timed, and makes the program fail."""
    load = peers.load
    monkeypatch.setattr(peers, "load", lambda one: Wrong if one == "torch-scatter" else load(one))
    assert run("scatter", "--only", "scatter sum") == 1
    assert "failed: E=300, uniform / scatter sum" in capsys.readouterr().err
    for row in rows("scatter"):
        assert row["failed"]["torch-scatter"].startswith("differs: by up to")
        assert "torch-scatter" not in row["seconds"]
        assert "gnnlib" in row["seconds"]


@pytest.mark.usefixtures("_alone")
def test_a_peer_that_raises_or_is_missing_is_left_out(monkeypatch):
    def load(library: str):
        if library == "PyG":
            raise peers.MissingPeer("PyG is not installed")
        return object()  # has nothing of what is asked of it

    monkeypatch.setattr(peers, "load", load)
    assert run("scatter", "--only", "scatter max") == 0
    for row in rows("scatter"):
        assert row["failed"].keys() == {"torch-scatter"}
        assert row["failed"]["torch-scatter"].startswith("AttributeError: ")
        assert "scatter_reduce" in row["seconds"]
        assert "PyG" not in row["seconds"]


def test_the_program_runs_the_benchmarks_of_the_checkout():
    process = start("bench", "scatter", *TINY, "--only", "scatter mul", "--out", "here")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert {row["case"] for row in rows("scatter")} == {"scatter mul"}


def test_without_a_checkout_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(program, "__file__", str(tmp_path / "lib" / "gnnlib" / "cli" / "bench.py"))
    done = gnnlib("bench ops")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: there is no folder benchmarks/")
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("_alone")
def test_an_unknown_graph_or_suite_is_a_wrong_command_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main(["ops", "--graphs", "corra"])
    assert "there is no graph 'corra'; there are cora, citeseer" in capsys.readouterr().err
    assert gnnlib("bench opps").exit_code == 2
    assert gnnlib("bench ops --rounds 0").exit_code == 2


def test_both_programs_have_the_same_suites_and_options():
    assert list(program.SUITES) == list(benchmarks.SUITES)
    theirs = {word for action in benchmarks.parser()._actions for word in action.option_strings}
    words = [word for option in program.bench.params for word in option.opts]
    ours = {word for word in words if word.startswith("--")}
    assert theirs - {"-h", "--help"} == ours
    help_text = gnnlib("bench --help").output
    for name, text in benchmarks.SUITES.items():
        assert f"{name:12} {text}" in help_text


def test_suites_are_completed():
    assert completed("bench", "s") == ["scatter", "scaling"]
