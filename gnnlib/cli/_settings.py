"""The options of `gnnlib train` that set something of the model or of its training."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import click

from .._errors import unknown_choice
from ..models.readout import POOLS
from ..train import RECIPES, Recipe, TrainConfig
from ..train.config import METRICS, PRECISIONS, SCHEDULERS, TASKS
from ..train.loss import LOSSES
from ..train.recipes import GRAPH_RECIPES, recipes_of
from ._program import Grouped
from ._types import COUNT, FRACTION, POSITIVE, PROBABILITY, Choice, Number, Optional, Weights


@dataclass(frozen=True)
class Setting:
    """An option on the command line, a key in a config file.

    Args:
        name: as the model or TrainConfig calls it.
        flags: of the command line.
        kind: of its values.
        help: for one line.
        metavar: stands for the value in the help; None for what `kind` says.
    """

    name: str
    flags: str
    kind: click.ParamType
    help: str
    metavar: str | None = None

    def option(self, heading: str, whose: str = "") -> Callable[..., Any]:
        return click.option(
            *self.flags.split(),
            self.name,
            type=self.kind,
            default=None,
            metavar=self.metavar,
            help=f"{self.help} {whose}".rstrip(),
            cls=Grouped,
            heading=heading,
        )

    def convert(self, value: Any, table: str) -> Any:
        """A value from a config file, held to the rules of the command line.

        Raises:
            click.UsageError: it breaks them.
        """
        kind = self.kind.kind if isinstance(self.kind, Optional) else self.kind
        fits = {
            bool: kind is click.BOOL,
            list: isinstance(kind, Weights),
            type(None): isinstance(self.kind, Optional),
        }.get(type(value), isinstance(value, (str, float, int)) and kind is not click.BOOL)
        if not fits:
            raise click.UsageError(f"{table}.{self.name} cannot be {value!r}")
        if value is None or isinstance(value, (bool, list)):
            return tuple(value) if isinstance(value, list) else value
        try:
            return self.kind.convert(str(value), None, None)
        except click.BadParameter as error:
            raise click.UsageError(f"{table}.{self.name}: {error.message}") from None


JK = Choice(["cat", "max", "lstm"])
LAPLACIANS = Choice(["sym", "rw"])
AGGREGATIONS = Choice(["mean", "sum", "max", "min", "sym", "attention"])
TRANSITIONS = Choice(["linear", "mlp"])
CONTRACTIONS = Choice(["spectral", "inf_projection", "penalty"])

# Those that no model takes are not offered. `v2` is no option: gatv2 is a model of its own.
MODEL = [
    Setting("hidden_channels", "--hidden-channels", COUNT, "Features between the layers.", "N"),
    Setting("num_layers", "--layers", COUNT, "Number of layers.", "N"),
    Setting("dropout", "--dropout", PROBABILITY, "Dropout probability.", "P"),
    Setting("heads", "--heads", COUNT, "Attention heads, except in the last layer.", "N"),
    Setting("output_heads", "--output-heads", COUNT, "Heads of the last layer.", "N"),
    Setting("negative_slope", "--negative-slope", click.FLOAT, "Slope of the LeakyReLU.", "S"),
    Setting("edge_dim", "--edge-dim", Optional(COUNT), "Features of edge_attr to use.", "N|none"),
    Setting("K", "--hops", COUNT, "Steps along the edges: K in the paper.", "N"),
    Setting("alpha", "--alpha", Number(0, 1), "Teleport probability.", "P"),
    Setting("normalization", "--normalization", Optional(LAPLACIANS), "Of the Laplacian."),
    Setting("aggr", "--aggr", AGGREGATIONS, "How neighbours are aggregated."),
    Setting("train_eps", "--train-eps/--fixed-eps", click.BOOL, "Learn the weight of a node."),
    Setting("jk", "--jk", Optional(JK), "Jumping knowledge."),
    Setting("kappa", "--kappa", FRACTION, "Bound on the transition's contraction.", "K"),
    Setting(
        "state_channels", "--state-channels", Optional(COUNT), "Features of the state.", "N|none"
    ),
    Setting("transition", "--transition", TRANSITIONS, "Form of the transition."),
    Setting("contraction", "--contraction", CONTRACTIONS, "What keeps the bound kappa."),
    Setting("tol", "--tol", POSITIVE, "Relative residual to reach.", "TOL"),
    Setting("pool", "--pool", Choice(POOLS), "From nodes to graphs."),
]
TRAINING = [
    Setting("epochs", "--epochs", COUNT, "The most epochs to train.", "N"),
    Setting(
        "patience", "--patience", Optional(COUNT), "Stop after N epochs without progress.", "N|none"
    ),
    Setting("batch_size", "--batch-size", COUNT, "Graphs in a mini-batch.", "N"),
    Setting("lr", "--lr", click.FLOAT, "Learning rate of Adam.", "RATE"),
    Setting(
        "transition_lr", "--transition-lr", click.FLOAT, "Times --lr, inside a fixed point.", "F"
    ),
    Setting("weight_decay", "--weight-decay", click.FLOAT, "L2 penalty.", "L2"),
    Setting(
        "decay_layers", "--decay-layers", Optional(COUNT), "Of the first N layers only.", "N|none"
    ),
    Setting(
        "scheduler", "--scheduler", Optional(Choice(SCHEDULERS)), "How the learning rate changes."
    ),
    Setting("scheduler_epochs", "--scheduler-epochs", COUNT, "After so many (step, plateau).", "N"),
    Setting(
        "scheduler_factor", "--scheduler-factor", click.FLOAT, "By how much (step, plateau).", "F"
    ),
    Setting(
        "grad_clip",
        "--grad-clip",
        Optional(click.FLOAT),
        "Largest norm of a gradient.",
        "NORM|none",
    ),
    Setting("loss", "--loss", Optional(Choice(LOSSES)), "What is made small; mse: quadratic."),
    Setting(
        "class_weights",
        "--class-weights",
        Optional(Weights()),
        "Weight of each class in the loss.",
        "balanced|none|W0,W1,…",
    ),
    Setting(
        "task",
        "--task",
        Optional(Choice(TASKS)),
        "What the labels are; none: what they look like.",
    ),
    Setting(
        "metric",
        "--metric",
        Optional(Choice(METRICS)),
        "What the best epoch is best in; none: the dataset's own.",
    ),
    Setting("amp", "--amp", Optional(Choice(PRECISIONS)), "Run the model in lower precision."),
    Setting(
        "check_finite",
        "--check-finite/--no-check-finite",
        click.BOOL,
        "Name the layer and node where NaN begins; slow.",
    ),
]


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of MODEL and TRAINING."""
    for setting in reversed(TRAINING):
        command = setting.option("Training")(command)
    for setting in reversed(MODEL):
        takers = [n for n, recipe in GRAPH_RECIPES.items() if setting.name in recipe.parameters]
        others = [name for name in RECIPES if name not in takers]
        few = len(takers) <= len(others)
        whose = f"({', '.join(takers)})" if few else f"(not {', '.join(others)})" if others else ""
        if takers:
            command = setting.option("Model", whose)(command)
    return command


def check_taken(model: str, level: str, given: Iterable[str]) -> None:
    """The options of the command line that not every model takes must be of this one.

    Raises:
        click.UsageError: one is not.
    """
    taken = recipes_of(level)[model].parameters
    for setting in MODEL:
        if setting.name == "pool" and "pool" in given and level == "node":
            raise click.UsageError("--pool is for datasets of many graphs, not for nodes of one")
        if setting.name in given and setting.name not in taken:
            flags = ", ".join(other.flags for other in MODEL if other.name in taken)
            raise click.UsageError(f"{model} does not take {setting.flags}; it takes {flags}")
    if "transition_lr" in given and not hasattr(RECIPES[model].model, "transition_parameters"):
        raise click.UsageError(
            f"{model} does not take --transition-lr: no parameter of it is inside a fixed point"
        )


def from_file(content: Mapping[str, Any], model: str, level: str) -> dict[str, Any]:
    """The settings of the tables model_args and train of a config file, checked.

    Raises:
        click.UsageError: an unknown key, or a value that the command line would refuse.
    """
    known = {
        "model_args": recipes_of(level)[model].parameters,
        "train": [field.name for field in fields(TrainConfig)],
    }
    rules = {setting.name: setting for setting in [*MODEL, *TRAINING]}
    settings = {}
    for table, names in known.items():
        for name, value in content.get(table, {}).items():
            if name not in names:
                raise click.UsageError(str(unknown_choice(f"a key of {table}", name, names)))
            settings[name] = rules[name].convert(value, table) if name in rules else value
    return settings


def grid_of(texts: Iterable[str]) -> dict[str, list[str]]:
    """What to try of each setting, of texts such as "lr=0.01,0.001".

    Raises:
        click.UsageError: another text, or a setting twice.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values or name in grid:
            raise click.UsageError(f"--grid must be NAME=VALUE,VALUE,… for each NAME, got {text!r}")
        grid[name] = values.split(",")
    return grid


def checked_grid(grid: Mapping[str, Iterable[Any]], recipe: Recipe) -> dict[str, list[Any]]:
    """The grid with each setting by its own name, which may be that of its option, and its values.

    Raises:
        click.UsageError: no setting of the model, a value that its option or TrainConfig would
            refuse, or a value twice; or the task, or the metric, by which the grid is chosen from.
    """
    train = [field.name for field in fields(TrainConfig) if field.name not in ("metric", "task")]
    rules = {s.name: s for s in [*MODEL, *TRAINING] if s.name in [*recipe.parameters, *train]}
    flags = {rule.flags.split("/")[0].lstrip("-"): rule for rule in rules.values()}
    checked: dict[str, list[Any]] = {}
    for name, values in grid.items():
        rule = rules.get(name) or flags.get(name)
        if rule is None:
            raise click.UsageError(str(unknown_choice("a setting of grid", name, rules)))
        tried = [rule.convert(_parsed(rule, value), "grid") for value in values]
        if rule.name in checked or len(set(tried)) < len(tried):
            raise click.UsageError(f"grid must try each value of {name} once, got {tried}")
        for value in tried:
            try:
                recipe.override(**{rule.name: value})
            except (ValueError, TypeError) as error:
                raise click.UsageError(f"grid: {error}") from None
        checked[rule.name] = tried
    return checked


def _parsed(setting: Setting, value: Any) -> Any:
    """Yes and no of a switch; of other settings the value as it is."""
    if setting.kind is not click.BOOL or not isinstance(value, str):
        return value
    return {"true": True, "false": False}.get(value.lower(), value)


def usual_settings() -> list[tuple[str, str]]:
    """Each model with what its recipe sets, for the help."""
    nodes = [(name, _shown(recipe)) for name, recipe in RECIPES.items()]
    graphs = [(f"{name}, graphs", _shown(recipe)) for name, recipe in GRAPH_RECIPES.items()]
    return nodes + graphs


def _shown(recipe: Recipe) -> str:
    rules = {setting.name: setting.flags.split("/")[0] for setting in [*MODEL, *TRAINING]}
    config = recipe.config
    changed = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name in ("epochs", "lr", "weight_decay")
        or getattr(config, field.name) != field.default
    }
    settings = {**recipe.model_args, **changed}
    return " ".join(f"{rules[name]} {value}" for name, value in settings.items() if name in rules)
