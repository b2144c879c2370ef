"""`gnnlib train --config FILE`."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any

import click

from .._errors import unknown_choice
from ..train import RECIPES
from ..train.run_config import RunConfig

KINDS = {
    "dataset": str,
    "model": str,
    "device": str,
    "seeds": (int, list),
    "model_args": dict,
    "train": dict,
    "folds": (int, NoneType),
    "grid": dict,
}
# Facts of a run that its config.json has, but that are no settings.
FACTS = {field.name for field in fields(RunConfig)} - KINDS.keys()


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, or in the config.json of a run.

    Keys: dataset, model, device, folds, seeds (how many, or a list of them) and the tables
    model_args and train, whose keys are the arguments of the model and the fields of TrainConfig,
    and grid, whose values are lists of what is to be tried of them.

    Raises:
        click.UsageError: a file that cannot be read as such, an unknown key or a wrong kind.
    """
    text = path.read_bytes()
    try:
        content = json.loads(text) if path.suffix == ".json" else _toml(text.decode())
    except ValueError as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise click.UsageError(f"{path} must hold settings by name")
    is_run = path.suffix == ".json" and content.keys() >= FACTS
    settings = {name: content[name] for name in content if not (is_run and name in FACTS)}
    for name, value in settings.items():
        if name not in KINDS:
            raise click.UsageError(f"{path}: {unknown_choice('a key', name, KINDS)}")
        if not isinstance(value, KINDS[name]) or isinstance(value, bool):
            raise click.UsageError(f"{path}: {name} cannot be {value!r}")
    if settings.get("model", "gcn") not in RECIPES:
        raise click.UsageError(f"{path}: {unknown_choice('model', settings['model'], RECIPES)}")
    if settings.get("folds") is not None and settings["folds"] < 2:
        raise click.UsageError(f"{path}: folds must be at least 2, got {settings['folds']}")
    for name, values in settings.get("grid", {}).items():
        if not isinstance(values, list) or not values:
            raise click.UsageError(f"{path}: grid.{name} must be a list of values, got {values!r}")
    if "seeds" in settings:
        settings["seeds"] = _seeds(settings["seeds"], path)
    return settings


def _seeds(value: Any, path: Path) -> list[int]:
    seeds = list(range(value)) if isinstance(value, int) else value
    right = all(type(seed) is int and seed >= 0 for seed in seeds)
    if not seeds or not right or len(set(seeds)) < len(seeds):
        raise click.UsageError(
            f"{path}: seeds must be how many, at least 1, or a list of different seeds; "
            f"got {value!r}"
        )
    return seeds


def _toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]
    return tomllib.loads(text)
