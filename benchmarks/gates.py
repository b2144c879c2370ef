"""What gnnlib must reach against each peer, and how far it got.

A gate holds on every graph with at least LARGE nodes, an aim for the geometric mean of those. On
smaller graphs, where a call costs more than its work, no operator and no layer may be slower than
the fastest peer. Training steps and peak memory have gates of their own.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.cases import BOTH, FORWARD, OURS
from benchmarks.graphs import LARGE
from benchmarks.timing import on_gpu

Row = Mapping[str, Any]


class Gate(NamedTuple):
    least: float
    aim: float


WEIGHTED = ("weighted sum, user order", "weighted sum, CSR order")
SMALL = Gate(1.0, 2.0)

# (case, pass) → peer → gate
Gates = dict[tuple[str, str], dict[str, Gate]]
GATES: Gates = {
    ("sum", FORWARD): {
        "torch.sparse": Gate(1.5, 3.5),
        "torch.sparse, reduce": Gate(1.4, 2.4),
        "PyG": Gate(5, 11),
        "DGL": Gate(0.95, 1.5),
        "torch-sparse": Gate(3, 6),
        "torch-scatter": Gate(8, 15),
    },
    **{
        (case, FORWARD): {
            "PyG": Gate(8, 18),
            "DGL": Gate(4.5, 8),
            "torch-sparse": Gate(3, 6),
            "torch-scatter": Gate(8, 15),
        }
        for case in WEIGHTED
    },
    **{
        (case, FORWARD): {"DGL": Gate(1.3, 2), "PyG": Gate(4, 8), "torch-sparse": Gate(8, 15)}
        for case in ("max", "min")
    },
    ("sum", BOTH): {"torch.sparse": Gate(3, 5)},
    ("sddmm dot", FORWARD): {"DGL": Gate(2.5, 3.5)},
    ("edge softmax", FORWARD): {"DGL": Gate(2.2, 3), "PyG": Gate(4, 6)},
    ("GATConv", FORWARD): {"DGL": Gate(3, 4.5), "PyG": Gate(6, 9)},
    ("GATConv", BOTH): {"DGL": Gate(3, 4.5), "PyG": Gate(5, 8)},
    ("segment sum", FORWARD): {"DGL": Gate(1.0, 1.3), "torch": Gate(3.5, 5)},
    ("bf16 sum", FORWARD): {f"{OURS}, fp32": Gate(1.3, 1.7)},
    ("GCN step", BOTH): {"PyG": Gate(15, 25), "DGL": Gate(15, 25)},
    ("GAT step", BOTH): {"PyG": Gate(5, 10), "DGL": Gate(5, 10)},
    ("mini-batches", "one epoch"): {"PyG": Gate(5, 10)},
    **{
        (case, "peak memory"): {"PyG": Gate(4, 4)}
        for case in ("GATConv", "SAGEConv max", "max, MLP message")
    },
}

GPU_GATES: Gates = {
    ("sum", FORWARD): {"torch.sparse": Gate(1.0, 1.2)},
    **{(case, FORWARD): {"PyG": Gate(4, 7)} for case in (*WEIGHTED, "max", "min")},
    ("GATConv", BOTH): {"PyG": Gate(4, 7)},
    **{
        (f"{model} step", BOTH): {"PyG": Gate(1, 1), "PyG, compiled": Gate(1, 1)}
        for model in ("GCN", "GAT")
    },
}


def gates() -> Gates:
    return GPU_GATES if on_gpu() else GATES


def ratios(row: Row) -> dict[str, float]:
    """How many times as much time, or memory, each other side takes."""
    values = row.get("seconds") or row.get("MiB") or {}
    if OURS not in values:
        return {}
    return {side: value / values[OURS] for side, value in values.items() if side != OURS}


def best_peer(row: Row) -> float | None:
    """The ratio of the fastest other library."""
    peers = [ratio for side, ratio in ratios(row).items() if not side.startswith(OURS)]
    return min(peers, default=None)


def mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def is_large(row: Row) -> bool:
    """Whether it is held to the gates; training steps are, on Cora."""
    return row["nodes"] >= LARGE or row["case"].endswith(" step")


def by_peer(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Geometric means of each case against each peer, and its gate."""
    found: dict[tuple[str, str, str], list[tuple[Row, float]]] = defaultdict(list)
    for row in rows:
        for side, ratio in ratios(row).items():
            found[row["case"], row["pass"], side].append((row, ratio))
    table = []
    for (case, passes, side), pairs in found.items():
        small = [ratio for row, ratio in pairs if not is_large(row)]
        large = [(ratio, row["graph"], row["size"]) for row, ratio in pairs if is_large(row)]
        gate = gates().get((case, passes), {}).get(side)
        worst = min(large, default=None)
        line = {
            "case": case,
            "pass": passes,
            "against": side,
            "small graphs": mean(small) if small else "",
            "large graphs": mean(ratio for ratio, _, _ in large) if large else "",
            "least, large": f"{worst[0]:.3g} ({worst[1]}, {worst[2]})" if worst else "",
            "gate": gate.least if gate else "",
            "aim": gate.aim if gate else "",
            "verdict": "",
        }
        if gate and worst:
            line["verdict"] = verdict(gate, worst[0], line["large graphs"])
        table.append(line)
    return table


def small_graphs(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Each case on graphs below LARGE nodes, against the fastest peer of each graph."""
    found: dict[tuple[str, str], list[tuple[float, str, str]]] = defaultdict(list)
    for row in rows:
        ratio = None if is_large(row) else best_peer(row)
        if ratio is not None:
            found[row["case"], row["pass"]].append((ratio, row["graph"], row["size"]))
    table = []
    for (case, passes), each in found.items():
        worst, average = min(each), mean(ratio for ratio, _, _ in each)
        table.append(
            {
                "case": case,
                "pass": passes,
                "best peer": average,
                "least": f"{worst[0]:.3g} ({worst[1]}, {worst[2]})",
                "below 1": f"{sum(ratio < SMALL.least for ratio, _, _ in each)} of {len(each)}",
                "verdict": verdict(SMALL, worst[0], average),
            }
        )
    return table


def verdict(gate: Gate, worst: float, average: float) -> str:
    met = "gate met" if worst >= gate.least else "gate MISSED"
    return f"{met}, aim {'met' if average >= gate.aim else 'missed'}"
