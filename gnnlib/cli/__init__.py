"""The command line; one file per command.

Exit codes: 0; 1 with one `error:` line; 2 for a wrong command line; 130 after Ctrl-C.
"""

import io
import sys

import click

from ._program import Program
from .bench import bench
from .completion import completion
from .datasets import datasets
from .info import info
from .plot import plot
from .predict import predict
from .reproduce import reproduce
from .train import train


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show where an error comes from.")
@click.version_option(package_name="gnnlib")
def main(traceback: bool) -> None:
    """Graph neural networks on PyTorch.

    \b
    gnnlib train                              a GCN on Cora
    gnnlib train --model gat --seeds 10       another model, ten times
    gnnlib predict runs/cora-gcn-1            each node's class
    gnnlib plot runs/cora-gcn-1               its curves, as a picture
    gnnlib reproduce --list                   published results to train for
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± still gets its result


for command in (train, predict, plot, datasets, bench, reproduce, info, completion):
    main.add_command(command)
