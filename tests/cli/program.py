"""The command line as tests call it, and a dataset that trains in no time."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from click.testing import CliRunner, Result

from gnnlib import Graph, cli
from gnnlib.datasets import Dataset
from gnnlib.train.sources import Source

ROOT = Path(__file__).parents[2]


def gnnlib(*words: str | Path) -> Result:
    """One word is a whole line."""
    line = str(words[0]).split() if len(words) == 1 else [str(word) for word in words]
    return CliRunner().invoke(cli.main, line)


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    """The program in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "gnnlib", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def pairs_graph() -> Graph:
    """Twelve pairs of nodes; the class of a node is its only feature that is not zero."""
    nodes, part = torch.arange(24), torch.arange(24) // 8
    return Graph(
        torch.stack([nodes, nodes ^ 1]),
        x=torch.nn.functional.one_hot(nodes // 2 % 3, 4) * 2.0,
        y=nodes // 2 % 3,
        train_mask=part == 0,
        val_mask=part == 1,
        test_mask=part == 2,
    )


def pairs() -> Dataset:
    return Dataset("pairs", [pairs_graph()], num_classes=3, licence="CC0-1.0", citation="")


def unreachable(error: type[BaseException]) -> Source:
    """A dataset that cannot be had."""

    def refuse() -> Dataset:
        raise error("ind.cora.x: no network")

    return Source(refuse)
