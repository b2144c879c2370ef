"""`gnnlib reproduce`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click

from ..train.atomic import atomic_write
from ..train.interrupt import deferred_interrupt
from ._program import examples
from ._published import ROWS, Row
from ._results import page, read_record, spread, write_record
from ._types import FILE, Choice

RUNS = Path("runs", "reproduce")


@click.command(
    epilog=examples(
        "gnnlib reproduce --list",
        "gnnlib reproduce mutag-gin esol",
        "gnnlib reproduce --all --folder docs/results --output docs/results.md",
    )
)
@click.argument("rows", type=Choice(ROWS), metavar="[ROW]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All rows: hours.")
@click.option("--list", "listed", is_flag=True, help="Show the rows, and run none.")
@click.option("--page", "page_only", is_flag=True, help="Write the page, and run no row.")
@click.option("--again", is_flag=True, help="Also run rows that have a record.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="results",
    show_default=True,
    metavar="DIR",
    help="Where the records are.",
)
@click.option(
    "--output",
    "-o",
    type=FILE,
    default="results.md",
    show_default=True,
    metavar="FILE",
    help="The page with all rows.",
)
@click.pass_context
def reproduce(
    ctx: click.Context,
    rows: tuple[str, ...],
    everything: bool,
    listed: bool,
    page_only: bool,
    again: bool,
    folder: Path,
    output: Path,
) -> None:
    """Train for published results, and write a page with both.

    Runs the ROWs that are named, or those that take minutes. A row is a `gnnlib train`; its record
    is kept as JSON in the folder, and a row that has one is not run again. A row that was
    interrupted goes on where it was.
    """
    if bool(rows) + everything + listed + page_only > 1:
        raise click.UsageError("give names of rows, --all, --list or --page, one of them")
    if listed:
        _print_rows(folder)
        return
    chosen = [ROWS[name] for name in dict.fromkeys(rows)] or list(ROWS.values())
    if not rows and not everything:
        chosen = [row for row in chosen if row.quick]
    failed = []
    try:
        for row in [] if page_only else chosen:
            if again or read_record(folder, row) is None:
                click.echo(f"{row.name}: {row.command}", err=True)
                if not _run(row, folder, again):
                    failed.append(row.name)
                    continue
            click.echo(_line(row, folder))
    finally:
        _write_page(folder, output)
    if failed:
        raise RuntimeError(f"{', '.join(failed)} did not work: why stands above")


def _run(row: Row, folder: Path, again: bool) -> bool:
    """Trains in a process of its own, and keeps the record; False if that did not work.

    A Ctrl-C at the terminal reaches that process too, which saves and ends; until then this one
    waits. At a second one both end at once.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C.
    """
    run = RUNS / row.run_name
    if again and run.exists():
        shutil.rmtree(run)
    begun = (run / "config.json").is_file()
    words = ["train", "--resume", str(run)] if begun else [*row.arguments, "--run-dir", str(run)]
    command = [sys.executable, "-m", "gnnlib", *words, "--json", "--quiet"]
    with deferred_interrupt():
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 130:
            raise KeyboardInterrupt
        if done.returncode == 0:
            write_record(folder, row, json.loads(done.stdout.splitlines()[-1]))
    return done.returncode == 0


def _line(row: Row, folder: Path) -> str:
    record = read_record(folder, row)
    ours = "not run" if record is None else spread(row, record)
    published = f", published {row.published}" if row.published else ""
    return f"{row.name}: {row.metric} {ours}{published}"


def _write_page(folder: Path, output: Path) -> None:
    text = page(ROWS, folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(output) as file:
        file.write(text.encode())


def _print_rows(folder: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for column in ("row", "takes", "metric", "published", "ours"):
        table.add_column(column, no_wrap=True)
    for row in ROWS.values():
        record = read_record(folder, row)
        ours = "" if record is None else spread(row, record)
        takes = "minutes" if row.quick else "longer"
        table.add_row(row.name, takes, row.metric, row.published or "–", ours)
    Console(file=sys.stdout, highlight=False).print(table)
