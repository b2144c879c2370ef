"""bfloat16 storage against gnnlib's own float32."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.cases import FORWARD, Case
from benchmarks.peers import Structures
from gnnlib import ops


def cases(s: Structures, features: tuple[int, ...]) -> Iterator[Case]:
    adj = s.adj
    for width in (width for width in features if width >= 64):
        for reduce in ("sum", "max"):
            # Equal values, so that the storage is all that differs.
            half = torch.randn(s.num_nodes, width).bfloat16()
            call = partial(ops.spmm, adj.ptr, adj.col, reduce=reduce)
            given = {
                "gnnlib": lambda call=call, x=half: partial(call, x=x),
                "gnnlib, fp32": lambda call=call, x=half.float(): partial(call, x=x),
            }
            yield Case(f"bf16 {reduce}", f"F={width}", FORWARD, given, rtol=2e-2)
