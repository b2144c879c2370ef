"""`gnnlib train`."""

import json
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from torch import nn

from .. import plot
from ..datasets import DownloadError
from ..train import (
    RECIPES,
    Candidate,
    Run,
    RunFolder,
    Task,
    TensorBoard,
    TrainConfig,
    train_folds,
)
from ..train.display import Display, LineDisplay, LiveDisplay, headline, print_table
from ..train.examples import Data
from ..train.graph_file import find_source
from ..train.history import Epoch, TrainResult
from ..train.material import Material, has_masks
from ..train.own_files import OwnFiles
from ..train.recipes import recipes_of
from ..train.record import make_record
from ..train.run_config import RunConfig, installed_version
from ..train.sources import NODES
from ._config_file import read_config
from ._own_files import OPTIONS, own_file_options, own_files
from ._program import Grouped, GroupedCommand, examples
from ._settings import (
    check_taken,
    checked_grid,
    from_file,
    grid_of,
    setting_options,
    usual_settings,
)
from ._types import COUNT, RUN, Choice, DatasetName, usable_device

# What a resumed run takes from the command line; all else stands in its config.
OF_THE_PROCESS = {"resume", "quiet", "as_json", "tensorboard", "checkpoint_seconds"}
OF_THE_RUN = {"config", "run_dir", "dataset", "model", "seeds", "folds", "grid", "device", *OPTIONS}
NO_SETTINGS = OF_THE_PROCESS | OF_THE_RUN
# What result.json has beside the record that is shown.
OF_THE_BEST = {"best_seed", "best_fold", "best_choice", "chosen"}


class TrainCommand(GroupedCommand):
    """Its help has the usual settings of each model too."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Usual settings"):
            formatter.write_dl(usual_settings())
        super().format_epilog(ctx, formatter)


run_option = partial(click.option, cls=Grouped, heading="Run")


@click.command(
    cls=TrainCommand,
    epilog=examples(
        "gnnlib train --model gat --dataset citeseer --seeds 10",
        "gnnlib train --dataset mine.graph --hidden-channels 64 --patience none",
        "gnnlib train --nodes people.csv --edges knows.csv --label job --undirected",
        "gnnlib train --dataset mutag --model gin --folds 10 --grid dropout=0,0.5",
        "gnnlib train --dataset esol --model gin",
        "gnnlib train --config run.toml --lr 0.02",
        "gnnlib train --resume runs/cora-gcn-1",
    ),
)
@run_option(
    "--dataset",
    type=DatasetName(),
    metavar="NAME|FILE",
    help="A dataset that `gnnlib datasets` lists, or a graph written by Graph.save.  "
    "[default: cora, or digits where there is no network]",
)
@run_option("--model", type=Choice(RECIPES), help="[default: gcn]")
@run_option("--seeds", type=COUNT, metavar="N", help="Train N times: seeds 0, 1, …  [default: 1]")
@run_option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Train in each of K splits: of graphs, K-fold cross-validation; of nodes, the dataset's.",
)
@run_option(
    "--grid",
    multiple=True,
    metavar="NAME=V,V",
    help="Settings to try; the validation part of each fold chooses. May be given repeatedly.",
)
@run_option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 …  [default: auto]")
@run_option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings from a TOML file or a run's config.json; the command line wins.",
)
@run_option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new folder for this run.  [default: runs/DATASET-MODEL-N]",
)
@run_option("--resume", type=RUN, metavar="RUN", help="Go on with the run in this folder.")
@run_option(
    "--checkpoint-seconds",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="S",
    help="Save the state of the training so often.",
)
@own_file_options
@setting_options
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but the result.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout, and only that.")
@click.option("--tensorboard", is_flag=True, help="Write RUN/tensorboard as well.")
@click.pass_context
def train(
    ctx: click.Context,
    config: Path | None,
    resume: Path | None,
    run_dir: Path | None,
    quiet: bool,
    as_json: bool,
    tensorboard: bool,
    checkpoint_seconds: float,
    **_: Any,
) -> None:
    """Train a model on the nodes of a graph, or on many graphs.

    The dataset says what for: classes, several labels, or numbers. What is left out has the model's
    usual value, shown below. The run's folder gets all settings, the history, the result, the
    weights of the best training (by validation) and a picture of the curves. A run that was stopped
    goes on with --resume, and gives what it would have given.
    """
    say: Callable[[str], None] = (lambda _: None) if quiet else partial(click.echo, err=True)
    given = {
        name: value
        for name, value in ctx.params.items()
        if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
    }
    with _warnings_said(say):
        if resume is not None:
            folder, run, material = _resumed(resume, given, say)
        else:
            folder, run, material = _begun(config, run_dir, given, say)
    if folder.is_complete:
        say(f"the run in {folder.path} is complete; this is its result")
        _show(folder.result(), quiet, as_json)
        return
    say(f"{run.model} on {run.dataset}, {run.task}, {material.whole!r}")
    with folder.lock():
        try:
            if not folder.is_complete:  # another process may have ended it since we looked
                _train(folder, run, material, quiet, tensorboard, checkpoint_seconds, say)
        except (Exception, KeyboardInterrupt) as error:
            if resume is None and not _has_progress(folder):
                folder.discard()
                raise
            if not isinstance(error, KeyboardInterrupt):
                raise
            said = {"--quiet": quiet, "--json": as_json, "--tensorboard": tensorboard}
            flags = [flag for flag, on in said.items() if on]
            command = shlex.join(["gnnlib", "train", "--resume", str(folder.path), *flags])
            click.echo(f"interrupted; all is saved. To go on:\n{command}", err=True)
            ctx.exit(130)
    _show(folder.result(), quiet, as_json)


def _begun(
    config: Path | None, run_dir: Path | None, given: dict[str, Any], say: Callable[[str], None]
) -> tuple[RunFolder, RunConfig, Material]:
    """A new run, of what the file and the command line say."""
    file = read_config(config) if config else {}
    model = given.get("model", file.get("model", "gcn"))
    name, files = given.get("dataset"), own_files(given, file)
    if files is not None:
        name = files.nodes
    elif name is None and "dataset" in file:
        name = DatasetName().convert(file["dataset"], None, None)
    level = "node" if name is None else find_source(name, files).level
    settings = {name: value for name, value in given.items() if name not in NO_SETTINGS}
    check_taken(model, level, settings)
    try:
        chosen = {**from_file(file, model, level), **settings}
        recipe = recipes_of(level)[model].override(**chosen)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from None
    grid = grid_of(given["grid"]) if "grid" in given else file.get("grid", {})
    grid = checked_grid(grid, recipe)
    folds = given.get("folds", file.get("folds"))
    seeds = list(range(given["seeds"])) if "seeds" in given else file.get("seeds", [0])
    device = usable_device(given.get("device", file.get("device", "auto")))
    dataset, material = _load(name, files, folds, recipe.config, say)
    if level == "graph" and "edge_dim" in set(recipe.parameters) - {*chosen, *grid}:
        recipe = recipe.override(edge_dim=material.edge_dim)
    transforms = find_source(dataset, files).transforms
    run = RunConfig.of(
        dataset, transforms, model, recipe, seeds, str(device), material, folds, grid, files
    )
    short = Path(dataset).stem
    folder = RunFolder(run_dir) if run_dir else RunFolder.numbered("runs", f"{short}-{model}")
    folder.write_config(asdict(run))
    return folder, run, material.to(device)


def _resumed(
    path: Path, given: dict[str, Any], say: Callable[[str], None]
) -> tuple[RunFolder, RunConfig, Material]:
    """A run that was stopped, as its config says."""
    others = sorted(given.keys() - OF_THE_PROCESS)
    if others:
        flag = "--" + others[0].replace("_", "-")
        raise click.UsageError(f"--resume takes all settings from the run; it goes without {flag}")
    folder = RunFolder.open(path)
    run = RunConfig.from_dict(folder.config())
    if folder.is_complete:
        return folder, run, None  # pyright: ignore[reportReturnType]
    for package, then in run.versions.items():
        now = installed_version(package)
        if now != then:
            say(f"the run was begun with {package} {then}, this is {now}: results may differ")
    device = usable_device(run.device)
    config = run.recipe.config
    source = find_source(run.dataset, run.files)
    material = source.load(run.folds, config.metric, config.task)
    found = material.whole.num_features, material.num_outputs, material.task.name
    if found != (run.in_channels, run.out_channels, run.task):
        raise ValueError(
            f"{run.dataset} must be as it was: the run has {run.in_channels} features and "
            f"{run.out_channels} classes, got {found[0]} and {found[1]}; and it is a {run.task}, "
            f"got a {found[2]}"
        )
    return folder, run, material.to(device)


def _load(
    name: str | None,
    files: OwnFiles | None,
    folds: int | None,
    config: TrainConfig,
    say: Callable[[str], None],
) -> tuple[str, Material]:
    """The named dataset; with no name given, Cora or else digits, which is always at hand."""
    asked = folds, config.metric, config.task
    if name is not None:
        material = find_source(name, files).load(*asked)
        if files is not None and not has_masks(material.whole):
            train, val, test = (f"{fraction:.0%}" for fraction in NODES)
            say(
                f"of each class {train} of the nodes are drawn to train, {val} to validate and"
                f" {test} to test, with seed 0; --split takes a column that says which"
            )
        return name, material
    try:
        return "cora", find_source("cora").load(*asked)
    except DownloadError as error:
        say(f"training on digits, because cora is not to be had: {' '.join(str(error).split())}")
        return "digits", find_source("digits").load(*asked)


def _train(
    folder: RunFolder,
    run: RunConfig,
    material: Material,
    quiet: bool,
    tensorboard: bool,
    checkpoint_seconds: float,
    say: Callable[[str], None],
) -> None:
    config, task = run.recipe.config, material.task
    choices = run.choices
    candidates = [_candidate(run, choice, task) for choice in choices]
    folds = [partial(material.data, fold) for fold in range(material.num_folds)]
    trainings = len(folds) * (len(candidates) + len(run.seeds) - 1)
    with ExitStack() as stack:
        stack.enter_context(_warnings_said(say))
        display = stack.enter_context(_display(trainings, config.epochs, task.metric, quiet))
        board = stack.enter_context(_Boards(folder.path / "tensorboard", task.metric, tensorboard))

        def on_begin(training: Run, candidate: Candidate) -> None:
            display.begin(", ".join(filter(None, [training.name, candidate.name])))
            board.begin(training, candidate)

        def on_epoch(epoch: Epoch) -> None:
            display.epoch(epoch)
            board.epoch(epoch)

        outcome = train_folds(
            candidates,
            folds,
            run.seeds,
            folder,
            checkpoint_seconds=checkpoint_seconds,
            on_begin=on_begin,
            on_epoch=on_epoch,
            on_end=display.end,
        )
    dataset = Path(run.dataset).stem
    facts = dataset, run.model, run.task, outcome.runs, outcome.results
    record = make_record(*facts, str(folder.path))
    _picture(outcome.results, headline(record), folder.path / "curves.png", say)
    best = {
        "best_seed": outcome.best.seed,
        "best_fold": outcome.best.fold,
        "best_choice": choices[outcome.chosen[outcome.best.fold or 0]],
        "chosen": [choices[number] for number in outcome.chosen],
    }
    folder.finish({**record, **best}, outcome)


def _candidate(run: RunConfig, choice: dict[str, Any], task: Task) -> Candidate:
    """What is trained with the settings of a choice."""

    def build(data: Data) -> nn.Module:
        return run.build(choice, data)

    config = replace(run.recipe.override(**choice).config, metric=task.metric, task=task.kind)
    return Candidate(build, config, ", ".join(f"{k}={v}" for k, v in choice.items()))


@contextmanager
def _warnings_said(say: Callable[[str], None]) -> Iterator[None]:
    """A warning is one line."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        yield


class _Boards:
    """A TensorBoard folder for each training, if they are wanted."""

    def __init__(self, folder: Path, metric: str, wanted: bool):
        self._folder = folder
        self._metric = metric
        self._wanted = wanted
        self._board: TensorBoard | None = None

    def __enter__(self) -> "_Boards":
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None

    def begin(self, run: Run, candidate: Candidate) -> None:
        self.__exit__()
        if self._wanted:
            parts = run.name.replace(", ", "-").replace(" ", "-"), candidate.name
            name = "-".join(filter(None, parts)).replace(", ", "-")
            self._board = TensorBoard(self._folder / name, self._metric)

    def epoch(self, epoch: Epoch) -> None:
        if self._board is not None:
            self._board(epoch)


def _display(trainings: int, epochs: int, metric: str, quiet: bool) -> Display:
    if quiet:
        return Display(trainings, epochs, metric)
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal and console.encoding == "utf-8":
        return LiveDisplay(trainings, epochs, console, metric)
    return LineDisplay(trainings, epochs, sys.stderr, metric)


def _picture(
    results: Sequence[TrainResult], title: str, path: Path, say: Callable[[str], None]
) -> None:
    try:
        plot.curves(results, title, path)
    except ModuleNotFoundError:
        say("no picture of the curves without matplotlib: pip install 'gnnlib[plot]'")


def _has_progress(folder: RunFolder) -> bool:
    return folder.is_complete or (folder.progress.is_dir() and any(folder.progress.iterdir()))


def _show(result: dict[str, Any], quiet: bool, as_json: bool) -> None:
    record = {name: value for name, value in result.items() if name not in OF_THE_BEST}
    if not (as_json and quiet):
        print_table(record, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        click.echo(json.dumps(record, allow_nan=False))
