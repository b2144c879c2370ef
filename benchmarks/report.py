"""Results as a Markdown table and as JSON, stamped with the hardware and the versions."""

import importlib.metadata
import json
import os
import platform
from datetime import date
from pathlib import Path

import torch

from gnnlib import __version__, _extension

RESULTS = Path(__file__).parent / "results"


def stamp() -> dict[str, object]:
    """What a number depends on besides the code."""
    return {
        "date": date.today().isoformat(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "kernels": _extension.cpu_capability(),
        "python": platform.python_version(),
        "gnnlib": __version__,
        "torch": torch.__version__,
        "torch_geometric": _version("torch_geometric"),
        "torchdeq": _version("torchdeq"),
    }


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


def table(rows: list[dict[str, object]]) -> str:
    """A Markdown table with the columns of the first row."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row[column]) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write(name: str, title: str, command: str, rows: list[dict[str, object]]) -> None:
    """Print the table, and keep it under results/ as NAME.md and NAME.json."""
    facts = stamp()
    RESULTS.mkdir(exist_ok=True)
    described = ", ".join(f"{key} {value}" for key, value in facts.items())
    text = f"# {title}\n\n`{command}`\n\n{described}\n\n{table(rows)}\n"
    (RESULTS / f"{name}.md").write_text(text)
    record = {"title": title, "command": command, "stamp": facts, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(text)
