"""spmm: sums, means, maxima and minima over neighbours, and what other libraries have for them."""

import operator
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import BOTH, FORWARD, Case, Prepare, Traffic, both, tie_free
from benchmarks.peers import Structures, load, part, room_for
from gnnlib import ops

TORCH_REDUCE = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}


def gather_scatter(library: str, s: Structures, x: Tensor, weight: Tensor | None, reduce: str):
    """What PyG does without torch-sparse: gather, weight, scatter."""
    room_for(3 * s.edges.num_edges * x.shape[1] * x.element_size())
    scatter = part(library, {"PyG": "utils.scatter", "torch-scatter": "scatter"}[library])
    source, target = s.edge_index
    column = None if weight is None else weight.unsqueeze(-1)

    def call() -> Tensor:
        message = x.index_select(0, source)
        if column is not None:
            message = message * column
        return scatter(message, target, dim=0, dim_size=s.num_nodes, reduce=reduce)

    return call


def sparse_tensor(s: Structures, x: Tensor, weight: Tensor | None, reduce: str):
    matrix = s.sparse_tensor
    if weight is not None:
        matrix = matrix.set_value(s.in_csr_order(weight), layout="csr")
    return partial(load("torch-sparse").matmul, matrix, x, reduce=reduce)


def sides(
    s: Structures, x: Tensor, reduce: str, weight: Tensor | None = None, csr_order: bool = False
) -> Mapping[str, Prepare]:
    """Everyone gets the weights in the order that it likes best, but for gnnlib: it is given those
    of `csr_order`, or, harder, in the user's order."""
    adj = s.adj
    in_csr = None if weight is None else s.in_csr_order(weight)
    ours, eid = (in_csr, None) if csr_order else (weight, adj.eid)

    def torch_csr() -> Tensor:
        return s.torch_csr(torch.ones(adj.num_edges) if in_csr is None else in_csr)

    def dgl():
        if weight is None:
            return partial(part("DGL", f"ops.copy_u_{reduce}"), s.dgl, x)
        return partial(part("DGL", f"ops.u_mul_e_{reduce}"), s.dgl, x, weight.unsqueeze(-1))

    found: dict[str, Prepare] = {
        "gnnlib": lambda: partial(
            ops.spmm, adj.ptr, adj.col, x, ours, eid=eid, reduce=reduce, transpose=adj.transpose
        ),
        "PyG": lambda: gather_scatter("PyG", s, x, weight, reduce),
        "DGL": dgl,
        "torch-scatter": lambda: gather_scatter("torch-scatter", s, x, weight, reduce),
        "torch-sparse": lambda: sparse_tensor(s, x, weight, reduce),
    }
    if reduce == "sum":
        found["torch.sparse"] = lambda: partial(operator.matmul, torch_csr(), x)
    if not x.requires_grad:
        found["torch.sparse, reduce"] = lambda: partial(
            torch.sparse.mm, torch_csr(), x, TORCH_REDUCE[reduce]
        )
    return found


def traffic(s: Structures, num_features: int, *, weighted: bool = False, eid: bool = False):
    x = 4 * s.num_nodes * num_features
    per_edge = s.adj.col.element_size() * (2 if eid else 1) + (4 if weighted else 0)
    structure = per_edge * s.edges.num_edges
    gathered = 4 * s.edges.num_edges * num_features
    return Traffic(2 * x + structure, gathered + x + structure, num_features)


def doubled(one: Traffic) -> Traffic:
    """The backward pass of a sum is another one, on the transpose."""
    return Traffic(2 * one.compulsory, 2 * one.gathered, one.features)


def cases(s: Structures, features: tuple[int, ...], brief: bool = False) -> Iterator[Case]:
    """All reducers and orders at 64 features, the main ones at other widths, or where `brief`."""
    weight = torch.rand(s.edges.num_edges)
    for width in features:
        x = tie_free(s.num_nodes, width)
        size = f"F={width}"
        plain = traffic(s, width)
        main = brief or width != 64
        for reduce in ("sum", "max") if main else ("sum", "mean", "max", "min"):
            yield Case(reduce, size, FORWARD, sides(s, x, reduce), plain)
        orders = {"user": False} if main else {"user": False, "CSR": True}
        for order, csr_order in orders.items():
            moved = traffic(s, width, weighted=True, eid=not csr_order and s.adj.eid is not None)
            given = sides(s, x, "sum", weight, csr_order)
            yield Case(f"weighted sum, {order} order", size, FORWARD, given, moved)
        if width != 64 and s.edges.num_edges > 1_000_000:
            continue
        x = x.clone().requires_grad_()
        cotangent = torch.randn(s.num_nodes, width)
        for reduce in ("sum",) if brief else ("sum", "max") if main else ("sum", "mean", "max"):
            steps = {
                side: both(prepare, [x], cotangent) for side, prepare in sides(s, x, reduce).items()
            }
            yield Case(reduce, size, BOTH, steps, doubled(plain) if reduce == "sum" else None)
