"""sddmm: the dot product of the two ends of every edge."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.cases import FORWARD, Case, Prepare, Traffic
from benchmarks.peers import Structures, part, room_for
from gnnlib import ops


def gathered_dot(s: Structures, a: torch.Tensor, b: torch.Tensor):
    room_for(3 * s.edges.num_edges * a.shape[1] * 4)
    source, target = s.edge_index
    return lambda: (a.index_select(0, target) * b.index_select(0, source)).sum(-1)


def cases(s: Structures, features: tuple[int, ...]) -> Iterator[Case]:
    for width in features:
        yield dot(s, width)


def dot(s: Structures, width: int) -> Case:
    adj, num_edges = s.adj, s.edges.num_edges
    a, b = torch.randn(s.num_nodes, width), torch.randn(s.num_nodes, width)

    def dgl():
        u_dot_v, graph = part("DGL", "ops.u_dot_v"), s.dgl
        return lambda: u_dot_v(graph, b, a).squeeze(-1)

    sides: dict[str, Prepare] = {
        "gnnlib": lambda: partial(ops.sddmm, adj.ptr, adj.col, a, b, eid=adj.eid),
        "PyG": lambda: gathered_dot(s, a, b),
        "DGL": dgl,
    }
    rows = 4 * s.num_nodes * width
    along = num_edges * (adj.col.element_size() * (1 if adj.eid is None else 2) + 4)
    moved = Traffic(2 * rows + along, 4 * num_edges * width + rows + along, width)
    return Case("sddmm dot", f"F={width}", FORWARD, sides, moved)
