"""`gnnlib datasets`."""

import json
import sys
from dataclasses import fields
from typing import Any

import click

from ..datasets.catalogue import CATALOGUE, Entry
from ._program import examples
from ._types import Choice


@click.command(epilog=examples("gnnlib datasets", "gnnlib datasets --download pubmed"))
@click.option(
    "--download", metavar="NAME", type=Choice(CATALOGUE), help="Put one into the cache, and stop."
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
def datasets(download: str | None, as_json: bool) -> None:
    """List the datasets: sizes, licences, and which are here already."""
    if download is not None:
        entry = CATALOGUE[download]
        entry.open()
        _print([entry], as_json, f"{download} is here: `gnnlib train --dataset {download}`")
        return
    _print(list(CATALOGUE.values()), as_json, None)


def _print(entries: list[Entry], as_json: bool, line: str | None) -> None:
    if as_json:
        click.echo(json.dumps([_facts(entry) for entry in entries]))
    elif line is not None:
        click.echo(line)
    else:
        _print_table(entries)


def _facts(entry: Entry) -> dict[str, Any]:
    plain = {f.name: getattr(entry, f.name) for f in fields(entry) if f.name != "open"}
    return {**plain, "cached": entry.cached()}


def _print_table(entries: list[Entry]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    table.add_column("name", no_wrap=True)
    for column in ("nodes", "edges", "features", "classes"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    for entry in entries:
        sizes = (entry.num_nodes, entry.num_edges, entry.num_features, entry.num_classes)
        here = "yes" if entry.cached() else f"no, {_megabytes(entry.download_size)}"
        table.add_row(entry.name, *(f"{size:,}" for size in sizes), here)
    console = Console(file=sys.stdout, highlight=False)
    console.print(table)
    for entry in entries:
        graphs = f" of {entry.num_graphs:,} graphs" if entry.num_graphs > 1 else ""
        facts = f": {entry.task}{graphs}; licence: {entry.licence}"
        console.print(Text.assemble((entry.name, "bold"), facts))
        console.print(Padding(Text(entry.citation, "dim"), (0, 0, 1, 2)))


def _megabytes(size: int) -> str:
    return f"{max(size / 1e6, 0.1):.1f} MB"
