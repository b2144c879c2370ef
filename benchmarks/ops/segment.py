"""Segments: sums of edge rows that lie in CSR order, and the softmax over each node's edges."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.cases import BOTH, FORWARD, Case, Prepare, Traffic, both
from benchmarks.peers import Structures, part, room_for
from gnnlib import ops


def cases(s: Structures, features: tuple[int, ...], brief: bool = False) -> Iterator[Case]:
    for width in features:
        if 4 * s.edges.num_edges * width <= 2**31:  # bytes of the operand, which exists once
            yield segment_sum(s, width)
    for heads in (1, 8):
        yield edge_softmax(s, heads, FORWARD)
        if not brief:
            yield edge_softmax(s, heads, BOTH)


def segment_sum(s: Structures, width: int) -> Case:
    ptr = s.adj.ptr
    offsets, lengths = ptr.long(), ptr.diff().long()
    x = torch.randn(s.edges.num_edges, width)
    given: dict[str, Prepare] = {
        "gnnlib": lambda: partial(ops.segment_reduce, ptr, x),
        "torch": lambda: partial(torch.segment_reduce, x, "sum", offsets=offsets, axis=0),
        "PyG": lambda: partial(part("PyG", "utils.segment"), x, offsets),
        "DGL": lambda: partial(part("DGL", "ops.segment_reduce"), lengths, x),
        "torch-scatter": lambda: partial(part("torch-scatter", "segment_csr"), x, offsets),
    }
    moved = 4 * width * (s.edges.num_edges + s.num_nodes)
    return Case("segment sum", f"F={width}", FORWARD, given, Traffic(moved, moved))


def edge_softmax(s: Structures, heads: int, passes: str) -> Case:
    adj, target = s.adj, s.edge_index[1]
    scores = torch.randn(s.edges.num_edges, heads, requires_grad=passes == BOTH)

    def dgl():
        softmax, graph = part("DGL", "ops.edge_softmax"), s.dgl
        return lambda: softmax(graph, scores.unsqueeze(-1)).squeeze(-1)

    def pyg():
        room_for(5 * 4 * scores.numel())
        return partial(part("PyG", "utils.softmax"), scores, target, num_nodes=s.num_nodes)

    given: dict[str, Prepare] = {
        "gnnlib": lambda: partial(ops.segment_softmax, adj.ptr, scores, eid=adj.eid),
        "PyG": pyg,
        "DGL": dgl,
    }
    if passes == BOTH:
        cotangent = torch.randn_like(scores)
        given = {side: both(prepare, [scores], cotangent) for side, prepare in given.items()}
    moved = 2 * 4 * scores.numel()
    traffic = Traffic(moved, moved) if passes == FORWARD else None
    return Case("edge softmax", f"H={heads}", passes, given, traffic)
