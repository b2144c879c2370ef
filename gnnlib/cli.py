"""The command line: `gnnlib train` and `gnnlib info`.

Exit codes: 0; 1 with one `error:` line; 2 for a wrong command line; 130 after Ctrl-C.
"""

import json
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from . import _extension, plot
from ._errors import unknown_choice
from .datasets import DownloadError
from .graph import Graph
from .train import RECIPES, Recipe, TrainResult, train_seed
from .train.display import Display, LineDisplay, LiveDisplay, headline, print_table
from .train.record import make_record
from .train.run_folder import RunFolder
from .train.sources import SOURCES

EXPECTED_ERRORS = (ValueError, OSError, ImportError, ArithmeticError, RuntimeError)


class Program(click.Group):
    """A group of commands that turns what goes wrong into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own ways to leave
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)
        except EXPECTED_ERRORS as error:
            if ctx.params["traceback"]:
                raise
            message = " ".join(str(error).split()) or type(error).__name__
            click.echo(f"error: {message}", err=True)
            ctx.exit(1)


class Choice(click.ParamType):
    """One of some names; the error for another lists them, the nearest first."""

    name = "choice"

    def __init__(self, choices: Iterable[str]):
        self.choices = list(choices)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices:
            argument = str(param.name) if param else "value"
            self.fail(str(unknown_choice(argument, value, self.choices)), param, ctx)
        return value


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show where an error comes from.")
@click.version_option(package_name="gnnlib")
def main(traceback: bool) -> None:
    """Graph neural networks on PyTorch."""


COUNT = click.IntRange(min=1)
PROBABILITY = click.FloatRange(0, 1, max_open=True)


@main.command()
@click.option(
    "--dataset", type=Choice(SOURCES), help="Default: cora, or digits where there is no network."
)
@click.option("--model", type=Choice(RECIPES), default="gcn", show_default=True)
@click.option("--seeds", type=COUNT, default=1, metavar="N", help="Train N times: seeds 0, 1, …")
@click.option("--hidden-channels", type=COUNT, metavar="N", help="Inner features (gat: per head).")
@click.option("--layers", "num_layers", type=COUNT, metavar="N", help="Number of layers.")
@click.option("--heads", type=COUNT, metavar="N", help="Inner attention heads (gat).")
@click.option("--dropout", type=PROBABILITY, metavar="P", help="Dropout probability.")
@click.option("--lr", type=float, metavar="RATE", help="Learning rate of Adam.")
@click.option("--weight-decay", type=float, metavar="L2", help="L2 penalty.")
@click.option("--epochs", type=COUNT, metavar="N", help="The most epochs to train.")
@click.option("--patience", type=COUNT, metavar="N", help="Stop after N epochs without progress.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new folder for this run.  [default: runs/DATASET-MODEL-N]",
)
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but the result.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout, and only that.")
def train(
    dataset: str | None,
    model: str,
    seeds: int,
    device: str,
    run_dir: Path | None,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a model to classify the nodes of a graph.

    What is left out has the model's usual value. The run's folder gets all settings, the history,
    the result, the weights of the best seed (by validation) and a picture of the curves.
    """
    try:
        given = {name: value for name, value in settings.items() if value is not None}
        recipe = RECIPES[model].override(**given)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    say: Callable[[str], None] = (lambda _: None) if quiet else partial(click.echo, err=True)
    target = _device(device)
    source, graph, num_classes = _load(dataset, say)
    folder = RunFolder(run_dir) if run_dir else RunFolder.numbered("runs", f"{source}-{model}")
    folder.write_config(
        {
            "dataset": source,
            "transforms": [repr(transform) for transform in SOURCES[source].transforms],
            "model": model,
            "model_args": dict(recipe.model_args),
            "train": asdict(recipe.config),
            "seeds": list(range(seeds)),
            "device": str(target),
            "versions": {name: _version(name) for name in ("gnnlib", "torch")},
        }
    )
    say(f"{model} on {source}, {graph!r}")
    try:
        with _display(range(seeds), recipe.config.epochs, quiet) as display:
            results, best_seed, weights = _train_seeds(
                recipe, graph.to(target), num_classes, display
            )
    except BaseException:
        folder.discard()
        raise
    record = make_record(source, model, range(seeds), results, str(folder.path))
    folder.write_history(range(seeds), results)
    folder.write_model(weights)
    folder.write_result({**record, "best_seed": best_seed})
    try:
        plot.curves(results, headline(record), folder.path / "curves.png")
    except ModuleNotFoundError:
        say("no picture of the curves without matplotlib: pip install 'gnnlib[plot]'")
    if not (as_json and quiet):
        print_table(record, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        click.echo(json.dumps(record, allow_nan=False))


def _device(name: str) -> torch.device:
    usable = torch.cuda.is_available() and _extension.has_cuda_kernels()
    if name == "auto":
        return torch.device("cuda" if usable else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise click.UsageError(f"device must be auto, cpu, cuda or cuda:N; got {name!r}")
    if device.type == "cuda" and not usable:
        missing = "gnnlib's CUDA kernels" if torch.cuda.is_available() else "a CUDA device"
        raise ValueError(f"device {name!r} needs {missing}; `gnnlib info` shows what there is")
    return device


def _load(name: str | None, say: Callable[[str], None]) -> tuple[str, Graph, int]:
    """The named dataset; with no name given, Cora or else digits, which is always at hand."""
    if name is not None:
        return name, *SOURCES[name].load()
    try:
        return "cora", *SOURCES["cora"].load()
    except DownloadError as error:
        say(f"training on digits, because cora is not to be had: {' '.join(str(error).split())}")
        return "digits", *SOURCES["digits"].load()


def _display(seeds: Sequence[int], epochs: int, quiet: bool) -> Display:
    if quiet:
        return Display(seeds, epochs)
    kind = LiveDisplay if sys.stderr.isatty() else LineDisplay
    return kind(seeds, epochs, sys.stderr)


def _train_seeds(
    recipe: Recipe, graph: Graph, num_classes: int, display: Display
) -> tuple[list[TrainResult], int, dict[str, Tensor]]:
    """The result of each seed, and the best seed by validation accuracy with its weights."""
    results: list[TrainResult] = []
    best_seed, best_accuracy, weights = 0, -1.0, {}
    for seed in display.seeds:
        display.begin(seed)
        model, result = train_seed(
            lambda: recipe.build(graph.num_features, num_classes),
            graph,
            recipe.config,
            seed,
            on_epoch=display.epoch,
        )
        display.end(result)
        results.append(result)
        if result.val["accuracy"] > best_accuracy:
            best_seed, best_accuracy, weights = seed, result.val["accuracy"], model.state_dict()
    return results, best_seed, weights


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
def info(as_json: bool) -> None:
    """Show versions, which kernels run, and CUDA."""
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    packages = ("gnnlib", "torch", "numpy", "scipy", "scikit-learn", "networkx", "matplotlib")
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in packages},
        "compiled_kernels": _extension.has_kernels,
        "cpu_kernels": _extension.cpu_capability(),
        "cpu_threads": torch.get_num_threads(),
        "cuda_kernels": _extension.has_cuda_kernels(),
        "cuda_of_torch": torch.version.cuda,
        "cuda_devices": devices,
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):18}{_shown(value)}")


def _shown(fact: Any) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, list):
        fact = ", ".join(fact)
    return str(fact or "none")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
