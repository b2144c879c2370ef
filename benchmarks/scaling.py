"""Time against edges: a sum over neighbours at degree 20, 80 features, from 1e4 to 2e7 edges.

    python -m benchmarks scaling

Once the rows of x and of the result lie beyond every cache, time per edge must not grow: from 5e6
to 2e7 edges by 1.25 at most, the two taking turns. What it grows by before is the price of leaving
the caches.
"""

import operator
import sys
from functools import partial
from pathlib import Path

import torch

from benchmarks import charts, report
from benchmarks.cases import FORWARD, OURS, Case, Row, Settings, measure
from benchmarks.graphs import drawn, uniform
from benchmarks.peers import Structures, part
from benchmarks.timing import interleave
from gnnlib import ops

DEGREE, WIDTH = 20, 80
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000)
ENDS = SIZES[-3], SIZES[-1]  # where the growth per edge is held to LIMIT
LIMIT = 1.25


def structures(num_edges: int) -> Structures:
    return Structures(drawn(f"{num_edges:.0e}", uniform, num_edges // DEGREE, num_edges))


def case(s: Structures) -> Case:
    x = torch.randn(s.num_nodes, WIDTH)
    ones = torch.ones(s.edges.num_edges)
    sides = {
        OURS: lambda: partial(ops.spmm, s.adj.ptr, s.adj.col, x),
        "torch.sparse": lambda: partial(operator.matmul, s.torch_csr(ones), x),
        "DGL": lambda: partial(part("DGL", "ops.copy_u_sum"), s.dgl, x),
    }
    return Case("sum", f"F={WIDTH}", FORWARD, sides)


def cache_sizes() -> dict[str, int]:
    """Bytes of each data cache of the first core, as Linux tells them: {"L1": …, "L2": …}."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in FILES)
        unit = {"K": 2**10, "M": 2**20}.get(size[-1], 1)
        if kind != "Instruction":
            found[f"L{level}"] = int(size.rstrip("KM")) * unit
    return found


FILES = ("level", "type", "size")


def slope(edges: list[int], seconds: list[float]) -> float:
    """Of the line through the points, log-log, by least squares."""
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (edges, seconds))
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / x.square().sum())


def growth(settings: Settings) -> float:
    """Of our time per edge, from one of ENDS to the other. They are timed in turns: what else the
    machine does slows both.
    """
    calls = {str(end): case(structures(end)).sides[OURS]() for end in ENDS}
    seconds = interleave(calls, 2 * settings.rounds, 1, settings.seconds)
    low, high = (seconds[str(end)] / end for end in ENDS)
    return high / low


def run(settings: Settings) -> None:
    tiny = list(settings.graphs or ()) == ["tiny"]
    sizes = (200, 400) if tiny else SIZES[:6] if settings.quick else SIZES
    rows: list[Row] = []
    for num_edges in sizes:
        s = structures(num_edges)
        rows.append(measure(case(s), s, settings))
        print(num_edges, rows[-1]["seconds"], file=sys.stderr, flush=True)
    sides = [side for side in ("gnnlib", "torch.sparse", "DGL") if side in rows[-1]["seconds"]]
    table = [_shown(row, sides) for row in rows]
    caches = cache_sizes()
    notes = [
        f"Slope of {side}, log-log: {slope(list(sizes), [r['seconds'][side] for r in rows]):.3f}"
        for side in sides
    ]
    notes.append("Caches: " + ", ".join(f"{k} {v / 2**20:.3g} MiB" for k, v in caches.items()))
    if set(ENDS) <= set(sizes):
        grown = growth(settings)
        beyond = 2 * 4 * WIDTH * ENDS[0] / DEGREE / max(caches.values(), default=1)
        notes.append(
            f"From {ENDS[0]:.0e} to {ENDS[1]:.0e} edges time per edge grows {grown:.3f} times,"
            f" at most {LIMIT}: {'met' if grown <= LIMIT else 'MISSED'}. At the lower end x and the"
            f" result take {beyond:.1f} times the last-level cache."
        )
    title = f"Time against edges: sum over neighbours, degree {DEGREE}, F = {WIDTH}"
    report.write("scaling", title, settings.command, rows, {"": table}, notes)
    times = {side: [row["seconds"].get(side) for row in rows] for side in sides}
    # Where x and the result together fill a cache.
    marks = {name: size * DEGREE / (2 * 4 * WIDTH) for name, size in caches.items()}
    marks = {name: at for name, at in marks.items() if sizes[0] <= at <= sizes[-1]}
    charts.scaling(report.folder / "scaling.png", title, sizes, times, marks)


def _shown(row: Row, sides: list[str]) -> dict[str, object]:
    shown: dict[str, object] = {
        "edges": row["edges"],
        "x and result, MiB": 2 * 4 * WIDTH * row["nodes"] / 2**20,
    }
    for side in sides:
        seconds = row["seconds"].get(side)
        shown[f"{side} ms"] = seconds * 1e3 if seconds else row["failed"].get(side, "")
        shown[f"{side} ns/edge"] = seconds / row["edges"] * 1e9 if seconds else ""
    return shown
