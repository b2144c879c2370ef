import json
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gnnlib.datasets import Dataset
from gnnlib.train import RunFolder, display
from gnnlib.train.sources import SOURCES, Source
from tests.cli.program import gnnlib, pairs_graph, start, unreachable

RUN = Path("runs/cora-gcn-1")
COMMAND = "train --dataset cora --epochs 8 --seeds 3 --dropout 0.5 --checkpoint-seconds 0"


def interrupt_at(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in an epoch of the second seed."""
    follow = display.Display.epoch

    def counted(self: display.Display, line) -> None:
        follow(self, line)
        if self.name == "seed 1" and line.epoch == epoch:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(display.Display, "epoch", counted)


def contents(folder: Path) -> dict[str, bytes]:
    names = ("history.csv", "history.json", "model.pt", "config.json")
    return {name: (folder / name).read_bytes() for name in names}


def without_times(line: str) -> dict:
    record = json.loads(line)
    del record["seconds_per_epoch"], record["run_dir"]
    return record


def test_ctrl_c_saves_and_prints_the_command_that_gives_what_would_have_been(monkeypatch):
    whole = gnnlib(f"{COMMAND} --run-dir whole --json")
    with monkeypatch.context() as patch:
        interrupt_at(5, patch)
        done = gnnlib(f"{COMMAND} --json --quiet")
    assert done.exit_code == 130
    assert done.stdout == ""
    command = f"gnnlib train --resume {RUN} --quiet --json"
    assert done.stderr.splitlines() == ["interrupted; all is saved. To go on:", command]

    resumed = gnnlib(command.removeprefix("gnnlib "))
    assert resumed.exit_code == 0, resumed.output
    assert without_times(resumed.stdout) == without_times(whole.stdout)
    assert contents(RUN) == contents(Path("whole"))
    assert (RUN / "curves.png").exists()


def test_a_folder_with_a_space_is_quoted(monkeypatch):
    interrupt_at(2, monkeypatch)
    words = [*COMMAND.split(), "--run-dir", "my runs/first"]
    assert gnnlib(*words).stderr.splitlines()[-1] == "gnnlib train --resume 'my runs/first'"


def test_the_command_that_goes_on_writes_for_tensorboard_too(monkeypatch):
    pytest.importorskip("tensorboard")
    interrupt_at(2, monkeypatch)
    done = gnnlib(f"{COMMAND} --tensorboard")
    assert done.stderr.splitlines()[-1] == f"gnnlib train --resume {RUN} --tensorboard"


def test_resuming_a_complete_run_prints_its_result_again(monkeypatch):
    first = gnnlib(f"{COMMAND} --json")
    monkeypatch.setitem(SOURCES, "cora", unreachable(AssertionError))
    again = gnnlib(f"train --resume {RUN} --json")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert "is complete" in again.stderr
    assert "test accuracy" in gnnlib(f"train --resume {RUN} --quiet").stdout


def test_the_settings_of_a_resumed_run_are_its_own():
    gnnlib(COMMAND)
    done = gnnlib(f"train --resume {RUN} --lr 0.5")
    assert done.exit_code == 2
    assert "it goes without --lr" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no run folder runs/cora-gcn-1"),
        ("", "has no config.json"),
        ("{}", "the run's config lacks 'dataset'"),
        ("[]", "is damaged"),
        ("{", "is damaged"),
    ],
)
def test_what_is_no_run_is_one_error_line(content, message):
    if content is not None:
        RUN.mkdir(parents=True)
    if content:
        (RUN / "config.json").write_text(content)
    done = gnnlib(f"train --resume {RUN}")
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", "gatt", "model must be one of 'gat'"),
        ("model_args", {"hiden_channels": 3}, "one of 'hidden_channels'"),
        ("train", {"learning_rate": 1}, "got 'learning_rate'"),
        ("seeds", [], "seeds must be integers"),
        ("seeds", "all", "seeds must be a list"),
        ("dataset", "mine.graph", "or the file of a graph; got 'mine.graph'"),
        ("in_channels", 5, "the run has 5 features and 3 classes, got 4 and 3"),
    ],
)
def test_a_config_that_does_not_fit_is_one_error_line(name, value, message, monkeypatch):
    interrupt_at(2, monkeypatch)
    gnnlib(COMMAND)
    config = json.loads((RUN / "config.json").read_text())
    (RUN / "config.json").write_text(json.dumps({**config, name: value}))
    done = gnnlib(f"train --resume {RUN}")
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_graph_under_the_same_name_is_refused(monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        gnnlib(COMMAND)
    graph = pairs_graph()
    other = graph.replace(x=graph.x + 1)
    dataset = Dataset("pairs", [other], num_classes=3, licence="", citation="")
    monkeypatch.setitem(SOURCES, "cora", replace(SOURCES["cora"], open=lambda: dataset))
    done = gnnlib(f"train --resume {RUN}")
    assert done.exit_code == 1
    assert "graph" in done.stderr.splitlines()[-1]


def test_a_run_that_fails_later_can_be_resumed(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            display.Display, "end", lambda *_: (_ for _ in ()).throw(OSError("no space left"))
        )
        done = gnnlib(f"{COMMAND} --quiet")
    assert (done.exit_code, done.stderr) == (1, "error: no space left\n")
    assert gnnlib(f"train --resume {RUN} --quiet").exit_code == 0


def test_ctrl_c_before_training_leaves_nothing(monkeypatch):
    monkeypatch.setitem(SOURCES, "cora", Source(unreachable(KeyboardInterrupt).open))
    done = gnnlib("train --dataset cora")
    assert done.exit_code == 130
    assert done.stderr == "interrupted\n"
    assert not Path("runs").exists()


def test_a_run_that_another_process_has_just_begun_stays():
    gnnlib(COMMAND)
    (RUN / "result.json").unlink()
    with RunFolder.open(RUN).lock():
        done = gnnlib(f"train --resume {RUN} --quiet")
    assert (done.exit_code, done.stderr) == (1, f"error: another process is running in {RUN}\n")
    assert (RUN / "config.json").exists()


def wait_for(program, condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert program.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_stops_the_program_and_its_command_goes_on(mirror):
    line = "train --dataset cora --seeds 2 --epochs 60 --checkpoint-seconds 0"
    program = start(*line.split())
    wait_for(program, (RUN / "progress" / "seed-0.ckpt").exists)
    program.send_signal(signal.SIGINT)
    stdout, stderr = program.communicate(timeout=60)
    assert (program.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == f"gnnlib train --resume {RUN}"
    stdout, stderr = start("train", "--resume", str(RUN), "--json").communicate(timeout=120)
    assert json.loads(stdout)["seeds"] == [0, 1], stderr


def test_two_processes_do_not_run_in_one_folder(mirror):
    program = start("train", "--dataset", "cora", "--seeds", "1000")
    try:
        wait_for(program, (RUN / "progress").exists)
        _, stderr = start("train", "--resume", str(RUN)).communicate(timeout=60)
        assert stderr.splitlines()[-1] == f"error: another process is running in {RUN}"
    finally:
        program.kill()
        program.communicate()


def test_a_run_that_another_process_ends_meanwhile_is_not_trained_again(monkeypatch):
    whole = gnnlib(f"{COMMAND} --json").stdout
    result = (RUN / "result.json").read_bytes()
    (RUN / "result.json").unlink()
    load = Source.load

    def slow(self: Source, *given: Any):
        loaded = load(self, *given)
        (RUN / "result.json").write_bytes(result)
        return loaded

    monkeypatch.setattr(Source, "load", slow)
    monkeypatch.setattr(
        display.Display, "begin", lambda *_: pytest.fail("a complete run was trained again")
    )
    assert gnnlib(f"train --resume {RUN} --json").stdout == whole


def test_what_loses_the_race_for_a_folder_leaves_it_alone(monkeypatch):
    """Two processes that were given the same new folder: one holds its lock."""
    write = RunFolder.write_config

    def write_after_the_other(folder: RunFolder, config: dict) -> None:
        write(folder, config)
        locks.enter_context(RunFolder.open(folder.path).lock())
        folder.progress.mkdir()

    monkeypatch.setattr(RunFolder, "write_config", write_after_the_other)
    with ExitStack() as locks:
        done = gnnlib(f"{COMMAND} --run-dir here --quiet")
    assert (done.exit_code, done.stderr) == (1, "error: another process is running in here\n")
    assert Path("here/config.json").exists()
    assert Path("here/progress").is_dir()
