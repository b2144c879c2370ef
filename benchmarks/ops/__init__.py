"""The operators, over all graphs."""

from collections.abc import Iterator

from benchmarks import graphs, report, suite
from benchmarks.cases import Case, Settings
from benchmarks.layers.cases import attention
from benchmarks.ops import bf16, scatter, sddmm, segment, spmm
from benchmarks.peers import Structures

HUGE = 5_000_000  # edges, from which on one width and the main cases must do
LARGE_IN_QUICK = 1_000_000


def run(settings: Settings) -> None:
    def cases(s: Structures) -> Iterator[Case]:
        brief = s.edges.num_edges > (LARGE_IN_QUICK if settings.quick else HUGE)
        widths = (64,) if settings.quick or brief else (16, 64, 128)
        yield from spmm.cases(s, widths, brief)
        yield from sddmm.cases(s, widths)
        yield from segment.cases(s, widths, brief)
        yield from bf16.cases(s, widths)
        if not brief:
            yield from attention(s)

    names = settings.graphs or (graphs.QUICK if settings.quick else graphs.ALL)
    suite.run("ops", f"Operators, fp32, {report.device()}", settings, suite.read(names), cases)


def run_scatter(settings: Settings) -> None:
    """The same reducers on an unsorted index."""
    names = tuple(settings.graphs) if settings.graphs else None
    widths = (64,) if settings.quick else scatter.WIDTHS
    title = f"scatter on an unsorted index, fp32, {report.device()}"
    problems = scatter.graphs(settings.quick, names)
    suite.run("scatter", title, settings, problems, lambda s: scatter.cases(s, widths))
