"""The records of `gnnlib reproduce`, and the page that shows them beside what was published."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..train.atomic import atomic_write
from ..train.config import METRICS
from ._published import PAPERS, Row

INTRODUCTION = """\
# Published results

What papers report, and what `gnnlib reproduce` measures with few configurations, for a CPU.
`gnnlib reproduce NAME` runs a row, `gnnlib reproduce` those that take minutes, `gnnlib reproduce
--all` everything; each writes this page anew.

Accuracy and ROC-AUC are in percent, and more is better; of RMSE, less is. Ours is the mean ± the
standard deviation over the folds, of their test parts; several runs of a fold count as their mean.
Epoch and settings are chosen by the validation part. A note stands where ours is worse by more than
the published standard deviation.
"""


def read_record(folder: Path, row: Row) -> dict[str, Any] | None:
    """What the row's command gave; None if it, or an earlier version of it, was not run.

    Raises:
        ValueError: the file is damaged.
    """
    path = _path(folder, row)
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        command, test = record["command"], record["test"]
        _ = test["mean"], test["std"], test["per_run"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}; remove it to run the row again") from None
    return record if command == row.command else None


def write_record(folder: Path, row: Row, record: Mapping[str, Any]) -> None:
    """Keeps what `gnnlib train --json` printed, without the run's folder, which is not."""
    kept = {"command": row.command, **{k: v for k, v in record.items() if k != "run_dir"}}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(_path(folder, row)) as file:
        file.write((json.dumps(kept, indent=2, allow_nan=False) + "\n").encode())


def page(rows: Mapping[str, Row], folder: Path) -> str:
    """The Markdown page of all rows, with the records of the folder."""
    header = ["row", "metric", "published", "how", "ours", "how", "command"]
    lines, notes = [header, ["---"] * len(header)], []
    for row in rows.values():
        record = read_record(folder, row)
        ours = "not run" if record is None else f"{spread(row, record)} ({_runs(record)})"
        if record is not None and is_worse(row, record):
            ours += f" [^{row.name}]"
            notes.append(f"[^{row.name}]: {row.remark}")
        published = f"{row.published}, {row.paper}" if row.published else "–"
        metric = METRICS[row.metric].title
        theirs = row.theirs or "–"
        lines.append([row.name, metric, published, theirs, ours, row.ours, f"`{row.command}`"])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    cited = {row.paper for row in rows.values()}
    papers = [f"- {key}: {text}." for key, text in PAPERS.items() if key in cited]
    parts = [INTRODUCTION, table + "\n", "\n".join(papers) + "\n" if papers else ""]
    return "\n".join([part for part in parts if part] + [note + "\n" for note in notes])


def spread(row: Row, record: Mapping[str, Any]) -> str:
    """Mean ± standard deviation, as the published one is written."""
    digits, scale = _form(row)
    mean, std = (scale * record["test"][part] for part in ("mean", "std"))
    return f"{mean:.{digits}f} ± {std:.{digits}f}"


def is_worse(row: Row, record: Mapping[str, Any]) -> bool:
    """Whether the mean is worse than the published one by more than its standard deviation."""
    if not row.published:
        return False
    mean, std = (float(number) for number in row.published.split(" ± "))
    _, scale = _form(row)
    return METRICS[row.metric].score(mean - scale * record["test"]["mean"]) > std


def _form(row: Row) -> tuple[int, int]:
    """Digits, and what a fraction is multiplied with."""
    return (1, 100) if METRICS[row.metric].is_fraction else (2, 1)


def _runs(record: Mapping[str, Any]) -> str:
    number = len(record["test"]["per_run"])
    return "1 run" if number == 1 else f"{number} runs"


def _path(folder: Path, row: Row) -> Path:
    return folder / f"{row.name}.json"
