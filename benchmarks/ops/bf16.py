"""bfloat16 storage against gnnlib's own float32."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.cases import FORWARD, Case
from benchmarks.peers import Structures
from gnnlib import ops


def cases(s: Structures, features: tuple[int, ...]) -> Iterator[Case]:
    for width in (width for width in features if width >= 64):
        for reduce in ("sum", "max"):
            yield case(s, width, reduce)


def case(s: Structures, width: int, reduce: str) -> Case:
    call = partial(ops.spmm, s.adj.ptr, s.adj.col, reduce=reduce)
    half = torch.randn(s.num_nodes, width).bfloat16()
    single = half.float()  # equal values: the storage is all that differs
    sides = {
        "gnnlib": lambda: partial(call, x=half),
        "gnnlib, fp32": lambda: partial(call, x=single),
    }
    return Case(f"bf16 {reduce}", f"F={width}", FORWARD, sides, rtol=2e-2)
