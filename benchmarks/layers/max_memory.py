"""Peak memory of a max layer with a user-written MLP message, forward and backward, against PyG.

    python -m benchmarks.layers.max_memory

1 M edges × 64 features. Each side runs in a process of its own, which reports by how much the
peak resident set (VmHWM) rose above its value before the first call.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from benchmarks.graphs import uniform
from benchmarks.report import write

NUM_NODES, NUM_EDGES, NUM_FEATURES = 50_000, 1_000_000, 64


def message_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2 * NUM_FEATURES, NUM_FEATURES), nn.ReLU(), nn.Linear(NUM_FEATURES, NUM_FEATURES)
    )


def gnnlib_layer():
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


def pyg_layer():
    from torch_geometric.nn import MessagePassing

    class MaxLayer(MessagePassing):
        def __init__(self):
            super().__init__(aggr="max")
            self.net = message_net()

        def forward(self, x, edge_index):
            return self.propagate(edge_index, x=x)

        def message(self, x_i, x_j):
            return self.net(torch.cat([x_i, x_j - x_i], -1))

    return MaxLayer()


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def measure(side: str) -> dict[str, object]:
    torch.manual_seed(0)
    layer = gnnlib_layer() if side == "gnnlib" else pyg_layer()
    edge_index = uniform(NUM_NODES, NUM_EDGES)
    x = torch.randn(NUM_NODES, NUM_FEATURES, requires_grad=True)
    before = peak_mib()
    out = layer(x, edge_index)
    out.square().mean().backward()
    grads = [x.grad, *(p.grad for p in layer.parameters())]
    sums = [float(t.detach().double().sum()) for t in (out, *grads) if t is not None]
    return {"side": side, "peak": peak_mib() - before, "sums": sums}


def main() -> None:
    found = {}
    for side in ("gnnlib", "PyG"):
        command = [sys.executable, "-m", "benchmarks.layers.max_memory", side]
        found[side] = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    torch.testing.assert_close(found["gnnlib"]["sums"], found["PyG"]["sums"], rtol=1e-3, atol=1e-2)
    ours = found["gnnlib"]["peak"]
    rows: list[dict[str, object]] = [
        {"side": side, "peak MiB": round(one["peak"]), "× gnnlib": one["peak"] / ours}
        for side, one in found.items()
    ]
    write(
        "max_memory",
        "Max layer with an MLP message, 1 M edges × 64 features, forward and backward",
        "python -m benchmarks.layers.max_memory",
        rows,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
