"""scatter on an unsorted index: many sizes and reducers, forward and with the gradient.

A "graph" here is a number of rows E and of places N; the index is drawn evenly, or by a power law.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import BOTH, FORWARD, Case, Prepare, Traffic, both, tie_free
from benchmarks.graphs import Edges, drawn, power_law, uniform
from benchmarks.peers import Structures, part
from gnnlib import ops

TORCH_REDUCE = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin", "mul": "prod"}
SIZES = ((10_000, 1_000), (100_000, 10_000), (1_000_000, 50_000), (2_000_000, 200_000))  # E, N
WIDTHS = (1, 16, 64)


def graphs(quick: bool, names: tuple[str, ...] | None) -> Iterator[Edges]:
    """The index is the row of destinations."""
    if names == ("tiny",):
        yield drawn("E=300, uniform", uniform, 60, 300)
        return
    kinds: Mapping[str, Callable[..., Tensor]] = {"uniform": uniform, "power law": power_law}
    for num_edges, num_nodes in SIZES[: 2 if quick else None]:
        for kind, draw in kinds.items():
            name = f"E={num_edges:.0e}, {kind}".replace("e+0", "e")
            yield drawn(name, draw, num_nodes, num_edges)


def cases(s: Structures, features: tuple[int, ...]) -> Iterator[Case]:
    for width in features:
        x = tie_free(s.edges.num_edges, width)
        leaf = x.clone().requires_grad_()
        cotangent = torch.randn(s.num_nodes, width)
        moved = 4 * width * (s.edges.num_edges + s.num_nodes) + 8 * s.edges.num_edges
        traffic = Traffic(moved, moved)
        for reduce in TORCH_REDUCE:
            yield Case(f"scatter {reduce}", f"F={width}", FORWARD, sides(s, x, reduce), traffic)
            if reduce in ("sum", "mean", "max"):
                steps = {
                    side: both(prepare, [leaf], cotangent)
                    for side, prepare in sides(s, leaf, reduce).items()
                }
                yield Case(f"scatter {reduce}", f"F={width}", BOTH, steps)


def sides(s: Structures, x: Tensor, reduce: str) -> Mapping[str, Prepare]:
    index, num_nodes = s.edge_index[1].contiguous(), s.num_nodes
    spread = index.unsqueeze(-1).expand_as(x)
    empty = torch.ones if reduce == "mul" else torch.zeros

    def scatter_reduce() -> Tensor:
        out = empty(num_nodes, x.shape[1])
        name = TORCH_REDUCE[reduce]
        return out.scatter_reduce(0, spread, x, name, include_self=name in ("sum", "prod"))

    def sorted_segments() -> Tensor:
        """segment_reduce has no index: the sort belongs to the call."""
        order = index.argsort(stable=True)
        lengths = torch.bincount(index, minlength=num_nodes)
        name = {"mul": "prod"}.get(reduce, reduce)
        out = torch.segment_reduce(x.index_select(0, order), name, lengths=lengths, axis=0)
        # What torch gives for nothing is NaN, an infinity or 1.
        return out if reduce in ("sum", "mul") else out.masked_fill((lengths == 0)[:, None], 0.0)

    found: dict[str, Prepare] = {
        "gnnlib": lambda: partial(ops.scatter, x, index, num_nodes, reduce),
        "scatter_reduce": lambda: scatter_reduce,
        "segment_reduce": lambda: sorted_segments,
        "PyG": lambda: partial(
            part("PyG", "utils.scatter"), x, index, dim=0, dim_size=num_nodes, reduce=reduce
        ),
        "torch-scatter": lambda: partial(
            part("torch-scatter", "scatter"), x, index, dim=0, dim_size=num_nodes, reduce=reduce
        ),
    }
    if reduce == "sum":
        zeros = partial(torch.zeros, num_nodes, x.shape[1])
        found["index_add"] = lambda: lambda: zeros().index_add(0, index, x)
    return found
