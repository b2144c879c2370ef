"""The rules of the house that a program can check: who may import whom, sizes, safety, start-up."""

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gnnlib"

# "A: B C" reads "A may import B and C, and all that they may import". A name is a file or a folder
# of gnnlib/; whatever stands in one folder may import each other.
USES = """
    _errors:
    _memo:
    _pytree:
    _capture:
    ops:              _errors _memo
    _validate:        ops
    adjacency:        _validate _pytree
    features:         adjacency
    fixed_point:      ops _capture
    graph:            adjacency features
    message_passing:  graph _capture
    conv:             message_passing fixed_point
    norm:             graph
    pool:             graph
    datasets:         graph
    transforms:       graph
    loader:           datasets
    metrics:          ops
    models:           conv norm pool
    train:            models datasets transforms loader metrics
    plot:             train
    cli:              train plot
    __main__:         cli
    __init__:         train
"""

# Files that stand beside their family rather than in a folder of it.
FAMILY = {
    file: family
    for family, files in {
        "ops": "_extension",
        "adjacency": "_convert _longest_path _ranges",
        "features": "_concat",
        "graph": "_columns _convertible _csv _dgl _edge_lines _graphml _graphwise _levels _networkx"
        " _pandas _pyg _save _select _structure _table _torch_sparse batch csv_files edge_list"
        " graph_files named_graph",
        "message_passing": "_resolve _lazy _edge_rows _forms _fused _blocks _per_edge linear",
    }.items()
    for file in files.split()
}


def _closure() -> dict[str, set[str]]:
    direct = {}
    for line in USES.strip().splitlines():
        name, _, used = line.strip().partition(":")
        direct[name] = {FAMILY.get(other, other) for other in used.split()}
    closed: dict[str, set[str]] = {}
    for name, used in direct.items():  # the table is in order: what is used stands above
        closed[name] = {name} | used.union(*(closed.get(other, {other}) for other in used))
    return closed


MAY_USE = _closure()
MODULES = sorted(PACKAGE.rglob("*.py"))


def _family(parts: Sequence[str]) -> str:
    """The entry of USES for a dotted path inside gnnlib: `("conv", "gcn_conv")` is `conv`."""
    first = parts[0] if parts else "__init__"
    return FAMILY.get(first, first)


def _imports(path: Path) -> list[tuple[int, str]]:
    """Line and family of everything in gnnlib that a file imports, inside functions too."""
    package = ("gnnlib", *path.relative_to(PACKAGE).parts[:-1])
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            # `from . import ops` names a module, `from . import Graph` a name of __init__.py.
            if base == ["gnnlib"]:
                modules = {path.stem for path in PACKAGE.iterdir()}
                targets = [base + [a.name] * (a.name in modules) for a in node.names]
            else:
                targets = [base]
        else:
            continue
        found += [(node.lineno, _family(name[1:])) for name in targets if name[0] == "gnnlib"]
    return found


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_the_table_of_imports_has_no_cycle():
    seen: set[str] = set()
    for line in USES.strip().splitlines():
        name, _, used = line.strip().partition(":")
        below = {FAMILY.get(other, other) for other in used.split()} - seen - {name}
        assert not below, f"{name} uses {below}, which stand below it"
        seen.add(name)


def test_imports_follow_the_direction_of_the_house():
    wrong = []
    for path in MODULES:
        family = _family(path.relative_to(PACKAGE).with_suffix("").parts)
        if family not in MAY_USE:
            wrong.append(f"{path.relative_to(ROOT)} has no place in the table USES")
            continue
        wrong += [
            f"{_where(path, line)} ({family}) imports {other}"
            for line, other in _imports(path)
            if other not in MAY_USE[family]
        ]
    assert not wrong, "\n".join(wrong)


def test_a_file_has_at_most_500_lines():
    folders = ("gnnlib", "csrc", "tests", "benchmarks", "docs", "examples")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.*")]
    sources = [p for p in sources if p.suffix in {".py", ".cpp", ".h", ".cu", ".cuh"}]
    assert len(sources) > 50
    counts = {p: len(p.read_text().splitlines()) for p in [*sources, ROOT / "setup.py"]}
    wrong = [f"{p.relative_to(ROOT)} has {n} lines" for p, n in counts.items() if n > 500]
    assert not wrong, "\n".join(wrong)


def test_the_package_never_executes_what_it_reads():
    wrong = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node.func)
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if (
                call in {"eval", "exec", "pickle.load", "pickle.loads"}
                or keywords.get("weights_only", "True") != "True"
                or keywords.get("allow_pickle", "False") != "False"
                or (call == "torch.load" and "weights_only" not in keywords)
            ):
                wrong.append(f"{_where(path, node.lineno)} {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def test_only_the_loader_knows_what_was_built():
    wrong = []
    for path in MODULES:
        inside = path.relative_to(PACKAGE)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            flag = re.search(r"\bWITH_[A-Z]+\b", line) and inside.name != "_extension.py"
            # Ops are reached by the functions of gnnlib.ops, which check their operands.
            bare = "torch.ops.gnnlib" in line and _family(inside.with_suffix("").parts) != "ops"
            if flag or bare:
                wrong.append(f"{_where(path, number)} {line.strip()}")
    assert not wrong, "\n".join(wrong)


def _modules_after(statement: str) -> set[str]:
    """What a fresh interpreter without network has imported after a statement."""
    code = f"""
import socket, sys
def refuse(*args, **kwargs):
    raise SystemExit("the import uses the network")
socket.socket.connect = socket.getaddrinfo = refuse
{statement}
print("\\n".join(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_gnnlib_is_light():
    heavy = {"sklearn", "networkx", "scipy", "pooch", "rich", "matplotlib", "pandas", "requests"}
    added = _modules_after("import gnnlib") - _modules_after("import torch")
    assert "gnnlib.graph" in added
    assert not heavy & added


def test_import_gnnlib_imports_nothing_that_is_optional():
    added = _modules_after("import gnnlib")
    assert not {"torch_geometric", "hypothesis", "pytest", "psutil"} & added
