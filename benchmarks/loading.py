"""A dataset that was read before is opened again: gnnlib's cache against PyG's processed files.

    python -m benchmarks loading --threads 1

A call opens the dataset and takes its graph. gnnlib looks at the checksum of the file, and its x is
sparse; PyG's is dense. Both read a file that the system has in memory.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import mirror, peers, report
from benchmarks.cases import OURS, Settings
from benchmarks.timing import interleave
from gnnlib import Graph
from gnnlib.datasets import CATALOGUE


@dataclass(frozen=True)
class Opened:
    """A dataset of the catalogue, and PyG's class of it where that reads the same files.

    Attributes:
        name: in the catalogue.
        wanted: milliseconds that it should take at most.
        theirs: below torch_geometric.datasets, and the arguments after the folder.
        raw: the files of the mirror by the names that PyG has for them, in a folder of that name.
    """

    name: str
    wanted: float | None = None
    theirs: tuple[str, ...] = ()
    raw: tuple[str, dict[str, str]] = ("", {})


_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
DATASETS = {
    "cora": Opened(
        "cora",
        20,
        ("Planetoid", "Cora"),
        ("Cora", {f"ind.cora.{p}": f"citation/planetoid_cora/ind.cora.{p}" for p in _PARTS}),
    ),
    "physics": Opened(
        "coauthor-physics",
        150,
        ("Coauthor", "Physics"),
        (
            "Physics",
            {
                "ms_academic_phy.npz": "copurchase_coauthor/gnn_benchmark_npz_compressed/"
                "coauthor_phy.npz"
            },
        ),
    ),
    "blogcatalog": Opened("blogcatalog", 150),  # PyG's is another file
    "tiny": Opened("karate"),  # for the tests of the suite itself
}


def run(settings: Settings) -> None:
    chosen = settings.graphs or [name for name in DATASETS if name != "tiny"]
    rows = []
    for name in chosen:
        opened = DATASETS.get(name)
        if opened is None or not settings.wants(opened.name):
            continue
        if not CATALOGUE[opened.name].cached():
            print(f"{opened.name}: skipped: its files are not at hand", file=sys.stderr)
            continue
        rows.append(_row(opened, settings))
    found = peers.versions()["PyG"]
    notes = [
        f"Opened before: medians of {settings.rounds} rounds in turns, in one process.",
        f"PyG {found} has the same files where it reads them; its x is dense.",
    ]
    report.write("loading", "A dataset is opened again", settings.command, rows, notes=notes)


def _row(opened: Opened, settings: Settings) -> dict[str, object]:
    entry = CATALOGUE[opened.name]
    with tempfile.TemporaryDirectory() as folder:
        sides: dict[str, Callable[[], Any]] = {OURS: lambda: entry.open()[0]}
        graph = sides[OURS]()
        try:
            sides["PyG"] = _pyg(opened, Path(folder))
        except (peers.MissingPeer, FileNotFoundError):
            pass
        else:
            if why := _difference(graph, sides["PyG"]()):
                settings.failures.append(f"loading {opened.name}: {why} differ")
        seconds = interleave(sides, settings.rounds, warm_up=1)
    row: dict[str, object] = {"dataset": opened.name, "nodes": graph.num_nodes}
    row |= {"edges": graph.num_edges, "gnnlib ms": seconds[OURS] * 1e3}
    row["wanted ms"] = opened.wanted or ""
    row["PyG ms"] = seconds["PyG"] * 1e3 if "PyG" in seconds else ""
    row["× PyG"] = seconds["PyG"] / seconds[OURS] if "PyG" in seconds else ""
    return row


def _pyg(opened: Opened, folder: Path) -> Callable[[], Any]:
    """PyG's dataset of the same files, processed once."""
    if not opened.theirs:
        raise peers.MissingPeer(f"PyG has no {opened.name} of these files")
    kind, *arguments = opened.theirs
    dataset = peers.part("PyG", f"datasets.{kind}")
    subfolder, raw = opened.raw
    files = {folder / subfolder / "raw" / name: mirror.file(path) for name, path in raw.items()}
    for copy, source in files.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    return lambda: dataset(str(folder), *arguments)[0]


def _difference(graph: Graph, data: Any) -> str:
    """What is not the same; nothing if all is."""

    def edges(edge_index: Tensor) -> Tensor:
        return (edge_index[0] * graph.num_nodes + edge_index[1]).sort().values

    x = graph.x if isinstance(graph.x, Tensor) else graph.x.to_dense()
    same = {
        "edges": torch.equal(edges(graph.edge_index), edges(data.edge_index)),
        "x": torch.equal(x != 0, data.x != 0),  # PyG makes ones of the counts of Coauthor
        "y": torch.equal(graph.y, data.y),
    }
    return " and ".join(name for name, equal in same.items() if not equal)
