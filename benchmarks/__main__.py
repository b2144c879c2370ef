"""`python -m benchmarks SUITE …`; `gnnlib bench` is the same."""

import argparse
import os
import sys
from pathlib import Path

SUITES = {
    "ops": "operators over all graphs",
    "scatter": "scatter on an unsorted index",
    "layers": "whole layers",
    "memory": "peak memory of a layer",
    "training": "training steps on Cora",
    "accuracy": "accuracy on Cora over 10 seeds; not part of all",
    "scaling": "time against edges",
    "loader": "mini-batches of many graphs",
    "loading": "datasets that were read before",
    "fixed-point": "fixed points against torchdeq",
    "edge-list": "a text file of edges against pandas",
    "imports": "what `import gnnlib` takes",
    "all": "all but accuracy",
}


def parser() -> argparse.ArgumentParser:
    described = "\n".join(f"  {name:12} {text}" for name, text in SUITES.items())
    found = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Compare gnnlib with the libraries that are installed.\n\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("suite", nargs="?", default="all", choices=SUITES)
    found.add_argument("--quick", action="store_true", help="few graphs and sizes: minutes")
    found.add_argument("--graphs", help="some graphs, by name, with commas")
    found.add_argument("--only", default="", help="cases whose name has this in it")
    found.add_argument("--rounds", type=int, default=7, help="the least number of rounds")
    found.add_argument("--device", default="cpu", help="cpu or cuda")
    found.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    found.add_argument("--out", type=Path, help="where results go, instead of benchmarks/results")
    return found


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    # Before torch is imported: every library of the process reads it when it starts.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)
    import torch

    from benchmarks import (
        edge_list,
        graphs,
        imports,
        layers,
        loader,
        loading,
        ops,
        report,
        scaling,
        timing,
    )
    from benchmarks.cases import Settings
    from benchmarks.fixed_point import batch, memory, speed, steps
    from benchmarks.layers import memory as layer_memory
    from benchmarks.training import accuracy
    from benchmarks.training import steps as training

    torch.set_num_threads(options.threads)
    if options.device != "cpu":  # a default device, even the CPU, is a mode that every call passes
        torch.set_default_device(options.device)
    timing.keep_memory()
    if options.out is not None:
        report.write_to(options.out)
    names = options.graphs.split(",") if options.graphs else None
    try:
        graphs.check_names(names or ())
    except ValueError as error:
        parser().error(str(error))
    words = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python -m benchmarks", *words])
    settings = Settings(names, options.rounds, options.quick, options.only, command)

    def fixed_point(settings: Settings) -> None:
        for benchmark in (steps, speed, memory, batch):
            benchmark.main()

    suites = {
        "imports": lambda settings: imports.main(),
        "ops": ops.run,
        "scatter": ops.run_scatter,
        "layers": layers.run,
        "memory": layer_memory.run,
        "training": training.run,
        "scaling": scaling.run,
        "loader": loader.run,
        "loading": loading.run,
        "edge-list": edge_list.run,
        "fixed-point": fixed_point,
        "accuracy": accuracy.run,
    }
    for name, run in suites.items():
        if options.suite == name or (options.suite == "all" and name != "accuracy"):
            run(settings)
    for failure in settings.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if settings.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
