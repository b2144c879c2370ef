"""Run the cases of a suite over its graphs, and report them: rows, geometric means, gates."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator

import torch

from benchmarks import ceilings, charts, gates, graphs, peers, report
from benchmarks.cases import OURS, Case, Row, Settings, measure
from benchmarks.graphs import Edges
from benchmarks.peers import Structures
from benchmarks.timing import FEW, SLOW

Cases = Callable[[Structures], Iterator[Case]]


def read(names: Iterable[str]) -> Iterator[Edges]:
    """The graphs that are at hand; for others, a line that says why not."""
    for name in names:
        try:
            yield graphs.read(name)
        except OSError as error:
            print(f"{name}: skipped: {error}", file=sys.stderr)


def run(name: str, title: str, settings: Settings, problems: Iterable[Edges], cases: Cases) -> None:
    """Measure the cases of each graph. The report is written after each, so that a run that is
    stopped leaves what it has."""
    rows: list[Row] = []
    text = ""
    warnings.simplefilter("ignore")  # peers warn of their own and of torch's beta features
    for edges in problems:
        structures = Structures(edges)
        torch.manual_seed(0)
        for case in cases(structures):
            if settings.wants(case.name):
                rows.append(measure(case, structures, settings))
                print(line(rows[-1]), file=sys.stderr, flush=True)
        text = keep(name, title, settings, rows)
    print(text)


def line(row: Row) -> str:
    """A row as the terminal shows it."""
    times = row["seconds"]
    ours = f"{times[OURS] * 1e3:.3f} ms" if OURS in times else "failed"
    others = [f"{side} {ratio:.2f}×" for side, ratio in gates.ratios(row).items()]
    others += [f"{side} {why}" for side, why in row["failed"].items()]
    what = f"{row['graph']}: {row['case']} {row['size']} {row['pass']}"
    return f"{what:56} {ours:>12}  {', '.join(others)}"


def keep(name: str, title: str, settings: Settings, rows: list[Row]) -> str:
    """NAME.json, NAME.md, which is returned, and, where matplotlib is installed, NAME.png."""
    found = [f"{peer} {version}" for peer, version in peers.versions().items()]
    notes = [
        f"Peers: {', '.join(found)}, torch.sparse {torch.__version__}.",
        f"Medians of at least {settings.rounds} rounds in turns, of {FEW} for sides {SLOW:.0f}"
        " times slower than the fastest; every × says how many times as long as gnnlib a side"
        " takes.",
    ]
    if any("GB/s" in row for row in rows):
        notes.append(
            f"GB/s: bytes with no reuse of gathered rows. Of copy: the share of"
            f" {ceilings.copy() / 1e9:.1f} GB/s, a copy's, for the bytes that must move. Of gather:"
            " the share of index_select's rate for the same rows."
        )
    summary = gates.by_peer(rows)
    tables = {
        "Geometric means and gates": summary,
        "Small graphs, against the fastest peer": gates.small_graphs(rows),
        "All cases": [_shown(row) for row in rows],
    }
    text = report.write(name, title, settings.command, rows, tables, notes, show=False)
    charts.bars(report.folder / f"{name}.png", title, summary)
    return text


def _shown(row: Row) -> dict[str, object]:
    shown: dict[str, object] = {key: row[key] for key in ("graph", "nodes", "edges")}
    shown |= {key: row[key] for key in ("case", "size", "pass")}
    times = row["seconds"]
    shown["gnnlib ms"] = times[OURS] * 1e3 if OURS in times else "failed"
    shown["GB/s"] = row.get("GB/s", "")
    for share in ("of copy", "of gather"):
        shown[share] = f"{row[share]:.0%}" if share in row else ""
    shown |= {f"× {side}": ratio for side, ratio in gates.ratios(row).items()}
    return shown | {f"× {side}": why for side, why in row["failed"].items()}
