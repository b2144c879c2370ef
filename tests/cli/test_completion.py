import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from gnnlib import cli
from gnnlib.train import RECIPES
from tests.cli.program import ROOT, gnnlib, pairs_graph


def completed(*words: str) -> list[str]:
    *before, incomplete = words
    complete = ShellComplete(cli.main, {}, "gnnlib", "_GNNLIB_COMPLETE")
    return [item.value for item in complete.get_completions(before, incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_the_shells(shell):
    done = gnnlib(f"completion {shell}")
    assert done.exit_code == 0, done.output
    assert f"_GNNLIB_COMPLETE={shell}_complete" in done.stdout


def test_commands_options_and_values_are_completed():
    assert completed("pre") == ["predict"]
    assert completed("train", "--check") == ["--checkpoint-seconds", "--check-finite"]
    assert completed("train", "--model", "") == list(RECIPES)
    assert completed("train", "--amp", "") == ["bf16", "none"]
    assert completed("plot", "--kind", "c") == ["curves", "convergence", "confusion"]
    assert completed("datasets", "--download", "dig") == ["digits"]
    assert completed("train", "--dataset", "pub") == ["pubmed"]


def test_runs_and_files_are_completed_as_paths():
    complete = ShellComplete(cli.main, {}, "gnnlib", "_GNNLIB_COMPLETE")
    (item,) = complete.get_completions(["predict"], "runs/")
    assert item.type == "dir"
    (item,) = complete.get_completions(["train", "--dataset"], "mine.g")
    assert item.type == "file"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script(tmp_path):
    pairs_graph().save("mine.graph")
    script = gnnlib("completion bash").stdout
    program = tmp_path / "gnnlib"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m gnnlib \"$@\"\n")
    program.chmod(0o755)
    code = f"""{script}
COMP_WORDS=(gnnlib train --model ga); COMP_CWORD=3
_gnnlib_completion gnnlib
echo "${{COMPREPLY[@]}}"
"""
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert set(done.stdout.split()) == {name for name in RECIPES if name.startswith("ga")}


def test_an_unknown_shell_is_a_wrong_command_line():
    assert gnnlib("completion tcsh").exit_code == 2
