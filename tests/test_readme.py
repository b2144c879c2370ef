"""The README's Python runs, block after block, as a reader would type it."""

import re
from pathlib import Path

import torch

README = Path(__file__).parent.parent / "README.md"


def test_every_python_block_of_the_readme_runs(mirror, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert isinstance(names["out"], torch.Tensor) and names["out"].shape == (3, 16)
    assert (tmp_path / "graph.safetensors").exists()


def test_nothing_in_the_readme_is_left_to_be_filled_in():
    assert not re.search(r"\b[A-Z]+_(TABLE|MACHINE)\b|TODO|TBD", README.read_text())


def test_the_readme_names_the_test_command_that_ci_runs():
    script = (README.parent / ".ci" / "run").read_text()
    assert "make test" in README.read_text()
    assert "show make test" in script
