"""The README's Python runs, block after block, as a reader would type it."""

import re
from pathlib import Path

import torch

from gnnlib.train import TrainResult

README = Path(__file__).parent.parent / "README.md"


def test_every_python_block_of_the_readme_runs(mirror, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert isinstance(names["out"], torch.Tensor) and names["out"].shape == (200, 16)
    assert (tmp_path / "mine.graph").exists()


def test_a_graph_of_ones_own_is_trained_in_less_than_20_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = README.read_text().split("## Your own graph")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert "Graph(edge_index, x=" in block and len(block.splitlines()) < 20
    names: dict[str, object] = {}
    exec(compile(block, str(README), "exec"), names)
    result = names["result"]
    assert isinstance(result, TrainResult) and result.test["accuracy"] > 0.8


def test_nothing_in_the_readme_is_left_to_be_filled_in():
    assert not re.search(r"\b[A-Z]+_(TABLE|MACHINE)\b|TODO|TBD", README.read_text())


def test_the_readme_names_the_test_command_that_ci_runs():
    script = (README.parent / ".ci" / "run").read_text()
    assert "make test" in README.read_text()
    assert "show make test" in script
