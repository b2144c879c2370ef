"""Results as a Markdown table and as JSON, stamped with the hardware and the versions."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import torch

from benchmarks.timing import on_gpu
from gnnlib import __version__, _extension

folder = Path(__file__).parent / "results"
PEERS = ("torch_geometric", "dgl", "torch_scatter", "torch_sparse", "torchdeq", "pandas")
LOAD = os.getloadavg()[0]  # before anything was measured
Rows = Sequence[Mapping[str, object]]


def write_to(path: Path) -> None:
    """Results go to this folder from now on."""
    global folder
    folder = path


def stamp() -> dict[str, object]:
    """What a number depends on besides the code."""
    gpu = {}
    if on_gpu():
        gpu = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return {
        "date": date.today().isoformat(),
        **gpu,
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(LOAD, 1),
        "kernels": _extension.cpu_capability(),
        "python": platform.python_version(),
        "gnnlib": __version__,
        "torch": torch.__version__,
        **{package: _version(package) for package in PEERS},
    }


def device() -> str:
    """What was measured, as titles name it."""
    return torch.cuda.get_device_name() if on_gpu() else "CPU"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def table(rows: Rows) -> str:
    """A Markdown table with the columns of all rows."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write(
    name: str,
    title: str,
    command: str,
    rows: Rows,
    tables: Mapping[str, Rows] | None = None,
    notes: Sequence[str] = (),
    show: bool = True,
) -> str:
    """Keep the rows as NAME.json and NAME.md, and return the latter.

    Args:
        rows: what was measured.
        tables: what to show in place of the rows, by heading.
        notes: lines below the stamp.
        show: print it too.
    """
    facts = stamp()
    folder.mkdir(parents=True, exist_ok=True)
    described = ", ".join(f"{key} {value}" for key, value in facts.items())
    parts = [f"# {title}", f"`{command}`", described]
    parts += ["\n".join(f"- {note}" for note in notes)] if notes else []
    for heading, shown in ({"": rows} if tables is None else tables).items():
        parts += ([f"## {heading}"] if heading and shown else []) + (
            [table(shown)] if shown else []
        )
    text = "\n\n".join(parts) + "\n"
    (folder / f"{name}.md").write_text(text)
    record = {"title": title, "command": command, "stamp": facts, "notes": notes, "rows": rows}
    if tables is not None:
        record["tables"] = tables
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    if show:
        print(text)
    return text
