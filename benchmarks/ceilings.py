"""What this machine can do: bytes per second of a large copy, and of gathering a graph's rows."""

from functools import cache

import torch

from benchmarks.peers import Structures
from benchmarks.timing import interleave

COPIED = 2**27  # bytes, beyond any cache
GATHERED = 2**28  # bytes of gathered rows at most; a large graph gives its first edges


@cache
def copy() -> float:
    """Read and written bytes per second of a torch copy."""
    source = torch.rand(COPIED // 4)
    target = torch.empty_like(source)
    seconds = interleave({"copy": lambda: target.copy_(source)}, rounds=9)["copy"]
    return 2 * COPIED / seconds


def gather(structures: Structures, num_features: int) -> float:
    """Gathered bytes per second of an index_select of the rows that the edges name, fp32.

    It also writes what it gathers, which an aggregation does not: a share above 1 is possible.
    """
    if num_features not in structures.gather_rates:
        x = torch.rand(structures.num_nodes, num_features)
        col = structures.adj.col[: max(1, GATHERED // (4 * num_features))]
        out = x.new_empty(len(col), num_features)
        call = {"gather": lambda: torch.index_select(x, 0, col, out=out)}
        seconds = interleave(call, rounds=7, seconds=0.2)["gather"]
        structures.gather_rates[num_features] = out.nbytes / seconds
    return structures.gather_rates[num_features]
