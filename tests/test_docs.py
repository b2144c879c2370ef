"""The manual: its Python runs and prints what the page says, and nothing public is missing."""

import ast
import contextlib
import doctest
import importlib
import io
import json
import re
import runpy
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FOREIGN = {
    "PyG": "torch_geometric",
    "DGL": "dgl",
    "pandas": "pandas",
}  # a label above a block, and what it needs

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of Python, the line it starts at, what it needs, and what the page says it prints."""

    line: int
    code: str
    needs: frozenset[str]
    output: str


def blocks_of(text: str) -> list[Block]:
    found: list[Block] = []
    end = 0
    for fence in FENCE.finditer(text):
        between, end = text[end : fence.start()], fence.end()
        language, content = fence.groups()
        if language == "python":
            line = text.count("\n", 0, fence.start(2)) + 1
            label = re.search(r"^\*\*(.+)\*\*\s*\Z", between, re.MULTILINE)
            words = label[1].split() if label else []
            needs = frozenset(FOREIGN[word] for word in words if word in FOREIGN)
            found.append(Block(line, content, needs, ""))
        elif language == "text" and not between.strip() and found:
            found[-1] = found[-1]._replace(output=content)
    return found


def run(blocks: list[Block], name: str) -> dict[str, Any]:
    """The names that blocks leave behind, run one after the other as a reader would type them.

    What they print is what the page shows below them, and `out` equals the `expected` before it.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    same = doctest.OutputChecker().check_output
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (block.line - 1) + block.code, name, "exec"), names)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert same(block.output, printed.getvalue(), flags), (
            f"{name}:{block.line} should print\n{block.output}\nand printed\n{printed.getvalue()}"
        )
        if names.keys() >= {"expected", "out"}:  # the other library's result, and ours
            torch.testing.assert_close(names.pop("out"), names.pop("expected"))
    return names


PAGES = {path.name: blocks_of(path.read_text(encoding="utf-8")) for path in DOCS.glob("*.md")}
PAGES = {name: blocks for name, blocks in sorted(PAGES.items()) if blocks}
CODE = {name: "".join(block.code for block in blocks) for name, blocks in PAGES.items()}


@pytest.fixture
def data(request, tmp_path, monkeypatch):
    """An empty folder to run in, and the real data where the code asks for them."""
    monkeypatch.chdir(tmp_path)
    if "Planetoid(" in CODE.get(request.node.callspec.params.get("page", ""), ""):
        request.getfixturevalue("mirror")


def test_the_pages_have_code():
    assert {"start.md", "graph.md", "layers.md", "from_pyg.md", "from_dgl.md"} <= PAGES.keys()
    assert sum(map(len, PAGES.values())) > 50


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs_without_other_libraries(page, data):
    run([block for block in PAGES[page] if not block.needs], page)


@pytest.mark.filterwarnings("default")  # other libraries' warnings are theirs
@pytest.mark.parametrize("page", [p for p, blocks in PAGES.items() if any(b.needs for b in blocks)])
def test_the_code_for_another_library_does_the_same(page, data):
    for package in sorted(frozenset().union(*(block.needs for block in PAGES[page]))):
        pytest.importorskip(package)
    run(PAGES[page], page)


@pytest.mark.slow
def test_the_notebook_trains_on_cora(mirror, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = _run_cells(_notebook())
    assert names["dataset"].name == "cora"
    assert names["result"].test["accuracy"] > 0.78


def test_the_notebook_goes_on_without_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GNNLIB_MIRROR", raising=False)
    monkeypatch.setenv("GNNLIB_CACHE", str(tmp_path))
    cells = _notebook()
    names = _run_cells([cell.replace("epochs=200", "epochs=2") for cell in cells])
    assert names["dataset"].name == "digits"
    assert len(names["result"].history) == 2


def _notebook() -> list[str]:
    """The code cells, without the lines that are for the notebook itself."""
    cells = json.loads((DOCS / "cora.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    return ["".join(line for line in cell if not line.startswith("%")) for cell in lines]


def _run_cells(cells: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for code in cells:
        exec(compile(code, "cora.ipynb", "exec"), names)
    return names


def test_the_notebook_holds_no_output():
    cells = json.loads((DOCS / "cora.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_a_graph_of_your_own_is_trained_in_less_than_20_lines(capsys):
    path = ROOT / "examples" / "own_graph.py"
    module = ast.parse(path.read_text(encoding="utf-8"))
    lines = {node.lineno for node in ast.walk(module) if isinstance(node, ast.stmt)}
    assert len(lines) - 1 < 20  # without the docstring
    runpy.run_path(str(path), run_name="__main__")
    printed = re.fullmatch(r"test accuracy (0\.\d+)\n", capsys.readouterr().out)
    assert printed and float(printed[1]) > 0.8


PUBLIC = ["gnnlib"] + [
    f"gnnlib.{part}"
    for part in (
        "conv",
        "norm",
        "pool",
        "fixed_point",
        "models",
        "loader",
        "datasets",
        "transforms",
        "train",
        "metrics",
        "plot",
        "ops",
    )
]
API = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.rst"))
LISTED = re.findall(
    r"^\.\. (?:auto(?:class|function|exception)|py:data):: (\S+)", API, re.MULTILINE
)


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_has_every_public_name(module):
    listed = [_named(path) for path in LISTED]
    missing = [
        name
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module).startswith("gnnlib")
        and not any(value is other for other in listed)
    ]
    assert not missing


def test_the_reference_has_each_name_once():
    assert len(LISTED) > 50
    assert sorted(LISTED) == sorted(set(LISTED))


def test_the_page_of_the_command_line_shows_the_help_of_every_command():
    from gnnlib.cli import main

    shown = re.findall(r"^```\{help\} (\S+)", (DOCS / "cli.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(main.commands)


def _commands() -> list[str]:
    """What the manual has people type: `gnnlib …`."""
    pages = [*DOCS.glob("*.md"), ROOT / "README.md", DOCS / "cora.ipynb"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    fenced = [f[2] for f in FENCE.finditer(text) if f[1] in ("sh", "")]
    lines = re.findall(r"\bgnnlib ([^#|)\n]+)", "\n".join(fenced), re.MULTILINE)
    return sorted({line.strip() for line in [*lines, *re.findall(r"`gnnlib (\w+ [^`|]+)`", text)]})


@pytest.mark.parametrize("command", _commands())
def test_every_command_of_the_manual_can_be_typed(command):
    from gnnlib.cli import main

    name, *arguments = shlex.split(command)
    # A command keeps the names that its first context has for --help.
    program = main.make_context("gnnlib", [], resilient_parsing=True)
    context = main.commands[name].make_context(
        name, arguments, parent=program, resilient_parsing=True
    )
    assert not context.args
    known = {option for each in main.commands[name].get_params(context) for option in each.opts}
    assert {word for word in arguments if word.startswith("--")} <= known | {"--help"}


def test_the_settings_file_of_the_manual_is_understood(tmp_path):
    from gnnlib.cli.train import read_config

    blocks = [f[2] for f in FENCE.finditer((DOCS / "cli.md").read_text()) if f[1] == "toml"]
    (tmp_path / "run.toml").write_text(blocks[0])
    settings = read_config(tmp_path / "run.toml")
    assert settings["seeds"] == [0, 1, 2, 3, 4]
    assert settings["train"] == {"lr": 0.02, "epochs": 300}


def test_every_page_is_in_a_table_of_contents():
    tables = "".join(path.read_text() for path in (DOCS / "index.md", DOCS / "api" / "index.rst"))
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for pattern in ("*.md", "*.ipynb", "api/*.rst")
        for path in DOCS.glob(pattern)
    }
    assert {"graph", "cora", "api/ops"} <= pages
    listed = set(re.findall(r"^ *(\S+)$", tables, re.MULTILINE))
    assert not {
        page for page in pages - {"index"} if not listed & {page, page.removeprefix("api/")}
    }
