"""Whole layers, over a few graphs made symmetric."""

from benchmarks import graphs, report, suite
from benchmarks.cases import Settings
from benchmarks.layers.cases import cases


def run(settings: Settings) -> None:
    names = settings.graphs or (graphs.LAYERS[:3] if settings.quick else graphs.LAYERS)
    problems = (edges.symmetric() for edges in suite.read(names))
    title = f"Layers, 64 features, fp32, {report.device()}"
    suite.run("layers", title, settings, problems, cases)
