"""The options of `gnnlib train` for a user's own CSV files."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..train.own_files import OwnFiles
from ._program import Grouped

OPTIONS = ("nodes", "edges", "label", "split", "edge_weight", "undirected")

_option = partial(click.option, cls=Grouped, heading="Your own data")
_FILE = click.Path(exists=True, dir_okay=False)


def own_file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the OPTIONS."""
    for option in reversed(
        [
            _option("--nodes", type=_FILE, metavar="FILE", help="CSV: an id, features, a label."),
            _option("--edges", type=_FILE, metavar="FILE", help="CSV: the ids of the two ends."),
            _option("--label", metavar="COLUMN", help="Of --nodes: the class to predict."),
            _option(
                "--split",
                metavar="COLUMN",
                help="Of --nodes: train, val or test.  [default: a random one, 60/20/20 %]",
            ),
            _option("--edge-weight", metavar="COLUMN", help="Of --edges: a weight."),
            _option("--undirected", is_flag=True, help="Each edge goes both ways."),
        ]
    ):
        command = option(command)
    return command


def own_files(given: Mapping[str, Any], of_file: Mapping[str, Any]) -> OwnFiles | None:
    """What the command line and the table files of a config file say; None if they say nothing.

    Args:
        given: the options of the command line.
        of_file: the settings of a config file.

    Raises:
        click.UsageError: a file that is not there, a column without its file, or a dataset as well.
    """
    said = {name: given[name] for name in OPTIONS if name in given}
    if "dataset" in given:
        if said:
            flag = "--" + next(iter(said)).replace("_", "-")
            raise click.UsageError(f"--dataset and {flag} are different data; give one of them")
        return None
    table = dict(of_file.get("files") or {})
    if not said and not table:
        return None
    if "undirected" in said:
        table["directed"] = not said.pop("undirected")
    table |= said
    lacking = [f"--{name}" for name in ("nodes", "edges", "label") if name not in table]
    if lacking:
        raise click.UsageError(f"--nodes, --edges and --label go together; got no {lacking[0]}")
    try:
        files = OwnFiles.from_dict(table)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for path in (files.nodes, files.edges):
        if not Path(path).is_file():
            raise click.UsageError(f"there is no file {path!r}")
    absolute = (str(Path(path).resolve()) for path in (files.nodes, files.edges))
    return replace(files, **dict(zip(("nodes", "edges"), absolute)))
