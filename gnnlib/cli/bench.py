"""`gnnlib bench`."""

import os
import subprocess
import sys
from pathlib import Path

import click

from ._program import examples
from ._types import COUNT, Choice

SUITES = (
    "ops",
    "scatter",
    "layers",
    "memory",
    "training",
    "accuracy",
    "scaling",
    "loader",
    "loading",
    "fixed-point",
    "edge-list",
    "imports",
    "all",
)


@click.command(
    epilog=examples(
        "gnnlib bench ops --quick",
        "gnnlib bench layers --graphs cora,physics --only GAT",
        "gnnlib bench all --threads 2 --out here",
    )
)
@click.argument("suite", type=Choice(SUITES), default="all")
@click.option("--quick", is_flag=True, help="Few graphs and sizes: minutes.")
@click.option("--graphs", metavar="NAMES", help="Some graphs, with commas between them.")
@click.option("--only", metavar="TEXT", help="Cases whose name has this in it.")
@click.option("--rounds", type=COUNT, metavar="N", help="The least number of rounds.  [default: 7]")
@click.option("--device", metavar="NAME", help="cpu or cuda.  [default: cpu]")
@click.option("--threads", type=COUNT, metavar="N", help="Threads of every library.  [default: 2]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where results go.  [default: benchmarks/results]",
)
@click.pass_context
def bench(
    ctx: click.Context,
    suite: str,
    quick: bool,
    graphs: str | None,
    only: str | None,
    rounds: int | None,
    device: str | None,
    threads: int | None,
    out: Path | None,
) -> None:
    """Compare with the other libraries that are installed; needs a checkout of gnnlib.

    \b
    ops          operators over all graphs
    scatter      scatter on an unsorted index
    layers       whole layers
    memory       peak memory of a layer
    training     training steps on Cora
    accuracy     accuracy on Cora over 10 seeds; not part of all
    scaling      time against edges
    loader       mini-batches of many graphs
    loading      datasets that were read before
    fixed-point  fixed points against torchdeq
    edge-list    a text file of edges against pandas
    imports      what `import gnnlib` takes
    all          all but accuracy

    Each case checks that the libraries agree, then times them in turns.
    """
    folder = _checkout()
    words = [suite, *(["--quick"] if quick else [])]
    given = {"graphs": graphs, "only": only, "rounds": rounds}
    given |= {"device": device, "threads": threads}
    given["out"] = None if out is None else out.resolve()
    for name, value in given.items():
        words += [] if value is None else [f"--{name}", str(value)]
    command = [sys.executable, "-m", "benchmarks", *words]
    done = subprocess.run(command, cwd=folder, env=_environment(), check=False)
    if done.returncode == 1:
        raise RuntimeError("the benchmarks did not all work: what failed stands above")
    ctx.exit(done.returncode)


def _checkout() -> Path:
    """The folder with benchmarks/: that of the package, if it runs from a checkout, or this one."""
    for folder in (Path(__file__).parents[2], Path.cwd()):
        if (folder / "benchmarks" / "__main__.py").is_file():
            return folder
    raise FileNotFoundError(
        "there is no folder benchmarks/ beside the package or here: run `gnnlib bench` in a"
        " checkout of gnnlib"
    )


def _environment() -> dict[str, str]:
    """A mirror's relative path is one from here, and the benchmarks run in the checkout."""
    mirror = os.environ.get("GNNLIB_MIRROR", "")
    if mirror and "://" not in mirror:
        mirror = str(Path(mirror).expanduser().resolve())
    return {**os.environ, "GNNLIB_MIRROR": mirror}
