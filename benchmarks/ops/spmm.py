"""spmm against torch.sparse CSR and PyG's gather and scatter, forward and backward.

python -m benchmarks.ops.spmm
"""

import warnings

import torch
from torch import Tensor

from benchmarks.graphs import cora, power_law, uniform
from benchmarks.report import write
from benchmarks.timing import interleave
from gnnlib import Adjacency, ops

ROUNDS = 9


def gather_scatter(x: Tensor, edge_index: Tensor, weight: Tensor | None, reduce: str) -> Tensor:
    """What PyG does without torch-sparse: gather, weight, scatter."""
    from torch_geometric.utils import scatter

    message = x.index_select(0, edge_index[0])
    if weight is not None:
        message = message * weight.unsqueeze(-1)
    return scatter(message, edge_index[1], dim=0, dim_size=x.shape[0], reduce=reduce)


def torch_csr(adj: Adjacency, weight: Tensor) -> Tensor:
    """Aᵀ as torch holds it: [num_dst, num_src], rows by destination."""
    values = weight if adj.eid is None else weight[adj.eid.long()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "sparse CSR tensor support is in beta state"
        return torch.sparse_csr_tensor(adj.ptr, adj.col, values, (adj.num_dst, adj.num_src))


def check(ours: Tensor, theirs: Tensor) -> None:
    # Sums of thousands of terms, in another order: the error grows with the largest of them.
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def forward_row(name: str, edge_index: Tensor, num_nodes: int, num_features: int, weighted: bool):
    adj = Adjacency.from_edge_index(edge_index, num_nodes)
    x = torch.randn(num_nodes, num_features)
    weight = torch.rand(adj.num_edges)
    matrix = torch_csr(adj, weight if weighted else torch.ones_like(weight))
    w = weight if weighted else None
    sides = {
        "gnnlib": lambda: ops.spmm(adj.ptr, adj.col, x, w, eid=adj.eid),
        "torch.sparse": lambda: matrix @ x,
        "PyG": lambda: gather_scatter(x, edge_index, w, "sum"),
    }
    results = {side: call() for side, call in sides.items()}
    check(results["gnnlib"], results["torch.sparse"])
    check(results["gnnlib"], results["PyG"])
    seconds = interleave(sides, rounds=ROUNDS)
    gathered = adj.num_edges * num_features * 4
    return {
        "graph": name,
        "nodes": num_nodes,
        "edges": adj.num_edges,
        "F": num_features,
        "case": "weighted sum" if weighted else "sum",
        "gnnlib ms": seconds["gnnlib"] * 1e3,
        "gathered GB/s": gathered / seconds["gnnlib"] / 1e9,
        "× torch.sparse": seconds["torch.sparse"] / seconds["gnnlib"],
        "× PyG": seconds["PyG"] / seconds["gnnlib"],
    }


def backward_row(name: str, edge_index: Tensor, num_nodes: int, num_features: int, reduce: str):
    adj = Adjacency.from_edge_index(edge_index, num_nodes)
    adj.transpose()
    # No two values of a column are equal, and none is 0, with which scatter_reduce starts:
    # libraries differ in who gets the gradient of a tie.
    ranks = torch.rand(num_nodes, num_features).argsort(0)
    x = ((ranks + 0.25) / num_nodes - 0.5).requires_grad_()
    grad = torch.randn(num_nodes, num_features)
    matrix = torch_csr(adj, torch.ones(adj.num_edges))

    def step(forward) -> Tensor:
        return torch.autograd.grad(forward(), x, grad)[0]

    sides = {
        "gnnlib": lambda: step(
            lambda: ops.spmm(adj.ptr, adj.col, x, reduce=reduce, transpose=adj.transpose)
        ),
        "PyG": lambda: step(lambda: gather_scatter(x, edge_index, None, reduce)),
    }
    if reduce == "sum":
        sides["torch.sparse"] = lambda: step(lambda: matrix @ x)
    results = {side: call() for side, call in sides.items()}
    for side in set(sides) - {"gnnlib"}:
        check(results["gnnlib"], results[side])
    seconds = interleave(sides, rounds=ROUNDS)
    peer = seconds.get("torch.sparse")
    return {
        "graph": name,
        "nodes": num_nodes,
        "edges": adj.num_edges,
        "F": num_features,
        "case": f"{reduce} + gradient",
        "gnnlib ms": seconds["gnnlib"] * 1e3,
        "gathered GB/s": "",
        "× torch.sparse": peer / seconds["gnnlib"] if peer else "",
        "× PyG": seconds["PyG"] / seconds["gnnlib"],
    }


def main() -> None:
    torch.manual_seed(0)
    graphs = {
        "Cora": (cora().edge_index, 2708),
        "power law": (power_law(131_072, 2_400_000), 131_072),
        "uniform": (uniform(131_072, 2_400_000), 131_072),
    }
    rows = []
    for name, (edge_index, num_nodes) in graphs.items():
        for num_features in (16, 64, 128):
            rows += [
                forward_row(name, edge_index, num_nodes, num_features, weighted)
                for weighted in (False, True)
            ]
        rows += [backward_row(name, edge_index, num_nodes, 64, reduce) for reduce in ("sum", "max")]
    write("spmm", "spmm, fp32, CPU", "python -m benchmarks.ops.spmm", rows)


if __name__ == "__main__":
    main()
