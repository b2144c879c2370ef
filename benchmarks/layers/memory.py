"""Peak memory of a layer, forward and backward, against other libraries.

    python -m benchmarks memory

50 000 nodes, 1 M edges, 64 features. Each side runs in a process of its own, which reports by how
much the peak resident set (VmHWM) of the first call rose above what was resident before it: Linux
only. Loading a library and building its structures comes before that.
"""

import ctypes
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import gates, report
from benchmarks.cases import OURS, Row, Settings
from benchmarks.graphs import Edges, uniform
from benchmarks.layers.table import LAYERS, WIDTH
from benchmarks.peers import MissingPeer, Structures, part

NUM_NODES, NUM_EDGES = 50_000, 1_000_000
SIDES = (OURS, "PyG", "PyG, SparseTensor", "DGL")
MLP = "max, MLP message"  # a layer that a user wrote
NAMES = (*LAYERS, MLP)
QUICK = ("SAGEConv max", "GATConv", MLP)


def message_net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))


def our_max_layer() -> nn.Module:
    from gnnlib import MessagePassing

    class MaxLayer(MessagePassing):
        def __init__(self):
            super().__init__(reduce="max")
            self.net = message_net()

        def forward(self, x, edge_index):
            return self.propagate(edge_index, src=x)

        def message(self, src, dst, edge):
            return self.net(torch.cat([dst, src - dst], -1))

    return MaxLayer()


def pyg_max_layer() -> nn.Module:
    base: Any = part("PyG", "nn.MessagePassing")

    class MaxLayer(base):
        def __init__(self):
            super().__init__(aggr="max")
            self.net = message_net()

        def forward(self, x, edge_index):
            return self.propagate(edge_index, x=x)

        def message(self, x_i, x_j):
            return self.net(torch.cat([x_i, x_j - x_i], -1))

    return MaxLayer()


def prepared(name: str, side: str, s: Structures) -> Callable[[Tensor], Tensor]:
    """The call of the layer.

    Raises:
        MissingPeer: the side's library is missing, or it has no such layer.
    """
    if name == MLP:
        if side not in (OURS, "PyG"):
            raise MissingPeer(f"{side} has no {name}")
        module = our_max_layer() if side == OURS else pyg_max_layer()
        return lambda x: module(x, s.edge_index)
    layer = LAYERS[name]
    ours = layer.ours()
    if side == OURS:
        return lambda x: ours(x, s.adj)
    if side == "DGL":
        if layer.dgl is None:
            raise MissingPeer(f"DGL has no {name}")
        graph, module = s.dgl_with_loops if layer.loops else s.dgl, layer.dgl(ours)
        return lambda x: module(graph, x)
    if side != "PyG" and not layer.fused:
        raise MissingPeer(f"PyG gathers in {name}, whatever the edges come in")
    structure = s.edge_index if side == "PyG" else s.sparse_tensor
    module = layer.pyg()
    module.load_state_dict(ours.state_dict())
    return lambda x: module(x, structure)


def peak_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def forget_the_peak() -> None:
    """Give free memory back, and let VmHWM start again at what is resident now."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, side: str, num_nodes: int, num_edges: int) -> dict[str, Any]:
    """What the process of one side reports: its peak, and sums by which sides are compared."""
    torch.manual_seed(0)
    s = Structures(Edges("uniform", uniform(num_nodes, num_edges), num_nodes).symmetric())
    try:
        call = prepared(name, side, s)
    except MissingPeer as error:
        return {"missing": str(error)}
    s.adj.with_loops().transpose()  # belongs to the structure, as do DGL's loops
    torch.manual_seed(1)
    x = torch.randn(num_nodes, WIDTH, requires_grad=True)
    forget_the_peak()
    before = peak_mib()
    out = call(x)
    out.square().mean().backward()
    assert x.grad is not None
    sums = [float(one.detach().double().abs().sum()) for one in (out, x.grad)]
    return {"peak": peak_mib() - before, "sums": sums}


def compare(name: str, num_nodes: int, num_edges: int, settings: Settings) -> Row:
    row: Row = {
        "graph": "uniform",
        # Held to its gate whatever the size: it is a ratio of arrays, not of overheads.
        "nodes": gates.LARGE,
        "edges": num_edges,
        "case": name,
        "size": f"F={WIDTH}",
        "pass": "peak memory",
        "MiB": {},
        "failed": {},
    }
    sums: dict[str, list[float]] = {}
    for side in SIDES:
        arguments = [name, side, str(num_nodes), str(num_edges)]
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.layers.memory", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            row["failed"][side] = f"exit code {done.returncode}"
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        if "missing" in found:
            continue
        sums[side] = found["sums"]
        ours = sums.get(OURS, found["sums"])
        if not torch.allclose(torch.tensor(ours), torch.tensor(found["sums"]), rtol=1e-3):
            row["failed"][side] = f"differs: {ours}, {found['sums']}"
            continue
        row["MiB"][side] = found["peak"]
    if OURS in row["failed"] or any(why.startswith("differs") for why in row["failed"].values()):
        settings.failures.append(f"memory / {name}: {row['failed']}")
    return row


def run(settings: Settings) -> None:
    tiny = list(settings.graphs or ()) == ["tiny"]
    num_nodes, num_edges = (60, 300) if tiny else (NUM_NODES, NUM_EDGES)
    names = [name for name in (QUICK if settings.quick else NAMES) if settings.wants(name)]
    rows = [compare(name, num_nodes, num_edges, settings) for name in names]
    sides = [side for side in SIDES if any(side in row["MiB"] for row in rows)]
    shown = [
        {"layer": row["case"]}
        | {f"{side}, MiB": _whole(row["MiB"].get(side)) for side in sides}
        | {f"× {side}": ratio for side, ratio in gates.ratios(row).items()}
        | row["failed"]
        for row in rows
    ]
    edges = f"{num_edges / 1e6:g} M edges"
    title = f"Peak memory of a layer, {edges} × {WIDTH} features, forward and backward"
    tables = {"": shown, "Gates": [line for line in gates.by_peer(rows) if line["gate"]]}
    report.write("memory", title, settings.command, rows, tables)


def _whole(mib: float | None) -> object:
    return "" if mib is None else round(mib)


if __name__ == "__main__":
    layer_name, side_name, *sizes = sys.argv[1:]
    print(json.dumps(measure(layer_name, side_name, *map(int, sizes))))
