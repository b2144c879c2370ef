"""A text file of edges becomes a graph: `gnnlib.read_edge_list` against pandas and PyG's coalesce.

    python -m benchmarks edge-list

50 million lines of two ids with 8 digits each, 900 MB. Every run is a process of its own, the sides
take turns, and time and peak memory begin when the libraries are loaded. Both give distinct edges.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.cases import OURS, Settings

NUM_EDGES, QUICK = 50_000_000, 1_000_000
ROUNDS = 3
FIRST_ID = 10**7  # so that all ids have 8 digits, and must be numbered anew
SIDES = {
    OURS: """
from gnnlib import read_edge_list
def read(path):
    graph, ids = read_edge_list(path, distinct=True)
    return graph.num_nodes, graph.edge_index
""",
    "pandas, PyG": """
import pandas, torch_geometric.utils
def read(path):
    table = pandas.read_csv(path, sep="\\t", header=None, dtype="int64")
    ids, edges = np.unique(table.to_numpy(), return_inverse=True)
    edge_index = torch.from_numpy(edges.reshape(-1, 2).T)
    return len(ids), torch_geometric.utils.coalesce(edge_index, num_nodes=len(ids))
""",
}
PROGRAM = """
import json, resource, sys, time
import numpy as np, torch
{side}
torch.set_num_threads({threads})
start = time.perf_counter()
num_nodes, edge_index = read(sys.argv[1])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
source, target = edge_index
key = int(((source * 1000003 + target) % 998244353).sum())
print(json.dumps({{"seconds": seconds, "peak": peak, "graph": [num_nodes, len(source), key]}}))
"""


def write_file(path: Path, num_edges: int) -> None:
    """Lines "source tab destination" with ids of a seeded uniform graph of degree 10."""
    draw = np.random.default_rng(0)
    powers = 10 ** np.arange(7, -1, -1)
    with path.open("wb") as file:
        for first in range(0, num_edges, 10**6):
            count = min(10**6, num_edges - first)
            ids = FIRST_ID + draw.integers(num_edges // 10, size=(count, 2))
            lines = np.full((count, 2, 9), ord("\t"), dtype=np.uint8)
            lines[:, :, :8] = ids[:, :, None] // powers % 10 + ord("0")
            lines[:, 1, 8] = ord("\n")
            file.write(lines.tobytes())


def run(settings: Settings) -> None:
    import torch

    num_edges = QUICK if settings.quick or settings.graphs == ["tiny"] else NUM_EDGES
    sides = [side for side in SIDES if side == OURS or _is_there()]
    taken: dict[str, list[dict]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edges.txt"
        write_file(path, num_edges)
        size = path.stat().st_size
        for _ in range(ROUNDS):
            for side in sides:
                program = PROGRAM.format(side=SIDES[side], threads=torch.get_num_threads())
                command = [sys.executable, "-W", "ignore", "-c", program, str(path)]
                taken[side].append(json.loads(subprocess.check_output(command, text=True)))
    graphs = {tuple(run["graph"]) for runs in taken.values() for run in runs}
    if len(graphs) > 1:
        settings.failures.append(f"edge list: the sides differ: {graphs}")
    rows: list[dict[str, object]] = [
        {
            "side": side,
            "seconds": statistics.median(run["seconds"] for run in runs),
            "MB/s": size / 1e6 / statistics.median(run["seconds"] for run in runs),
            "peak GiB": max(run["peak"] for run in runs) / 2**30,
        }
        for side, runs in taken.items()
    ]
    notes = [f"{num_edges} lines, {size / 1e6:.0f} MB; medians of {ROUNDS} runs, the largest peak."]
    report.write(
        "edge_list", "A text file of edges becomes a graph", settings.command, rows, notes=notes
    )


def _is_there() -> bool:
    return all(find_spec(name) for name in ("pandas", "torch_geometric"))
