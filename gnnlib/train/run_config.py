"""All that says what a run is: the content of its config.json."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from types import NoneType
from typing import Any

import torch
from torch import nn

from .._errors import unknown_choice
from ..models import Rescaled
from .config import TrainConfig
from .examples import Data, examples_of
from .loss import mean_and_deviation
from .material import Material
from .own_files import OwnFiles
from .recipes import Recipe, recipes_of
from .state import digest
from .task import Kind, Level


@dataclass(frozen=True)
class RunConfig:
    """What is trained on what, and how; JSON can hold all of it.

    Args:
        dataset: a name, or the path of a graph's file, or of a file of nodes.
        files: the user's own files that the graph is in; None: it is in none.
        transforms: the reprs of what is done to the graph before.
        model: a name in RECIPES.
        model_args: the model's arguments between in_channels and out_channels.
        train: the fields of TrainConfig.
        seeds: one training for each.
        device: "cpu", "cuda" or "cuda:N".
        task: the name of a Task, such as "node-classification".
        folds: how many splits of the data are trained on; None: the one that it has.
        grid: what the settings are tried of, by name; the validation part chooses.
        graph: the digest of the graph, or of all graphs.
        in_channels: features of a node.
        out_channels: classes, labels or numbers.
        versions: of the packages that it was begun with.
    """

    dataset: str
    files: OwnFiles | None
    transforms: list[str]
    model: str
    model_args: dict[str, Any]
    train: dict[str, Any]
    seeds: list[int]
    device: str
    task: str
    folds: int | None
    grid: dict[str, list[Any]]
    graph: str
    in_channels: int
    out_channels: int
    versions: dict[str, str | None]

    @classmethod
    def of(
        cls,
        dataset: str,
        transforms: Sequence[Any],
        model: str,
        recipe: Recipe,
        seeds: Sequence[int],
        device: str,
        material: Material,
        folds: int | None = None,
        grid: Mapping[str, Sequence[Any]] | None = None,
        files: OwnFiles | None = None,
    ) -> "RunConfig":
        return cls(
            dataset,
            files,
            [repr(transform) for transform in transforms],
            model,
            dict(recipe.model_args),
            asdict(recipe.config),
            list(seeds),
            device,
            material.task.name,
            folds,
            {name: list(values) for name, values in (grid or {}).items()},
            digest(material.whole),
            material.whole.num_features,
            material.num_outputs,
            {name: installed_version(name) for name in ("gnnlib", "torch")},
        )

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "RunConfig":
        """The config whose `dataclasses.asdict` is `content`.

        Raises:
            ValueError: something is missing, is of a wrong kind or is no setting of the model.
        """
        kinds = {"transforms": list, "seeds": list, "in_channels": int, "out_channels": int}
        kinds |= {"model_args": dict, "train": dict, "versions": dict, "grid": dict}
        kinds |= {"folds": (int, NoneType), "files": (dict, NoneType)}
        for field in fields(cls):
            if field.name not in content:
                raise ValueError(f"the run's config lacks {field.name!r}")
            kind, value = kinds.get(field.name, str), content[field.name]
            if not isinstance(value, kind):
                names = " or ".join(k.__name__ for k in (kind if type(kind) is tuple else (kind,)))
                raise ValueError(f"{field.name} must be a {names} in the run's config")
        files = content["files"] and OwnFiles.from_dict(content["files"])
        known = {field.name: content[field.name] for field in fields(cls)}
        config = cls(**{**known, "files": files})
        recipes, train = recipes_of(config.level), [field.name for field in fields(TrainConfig)]
        if config.model not in recipes:
            raise unknown_choice("model", config.model, recipes)
        parameters = recipes[config.model].parameters
        for table, names in (
            ("model_args", parameters),
            ("train", train),
            ("grid", parameters + train),
        ):
            for name in content[table]:
                if name not in names:
                    raise unknown_choice(f"{table} of the run's config", name, names)
        if not config.seeds or not all(type(seed) is int for seed in config.seeds):
            raise ValueError("seeds must be integers, and at least one, in the run's config")
        return config

    @property
    def level(self) -> Level:
        return "graph" if self.task.startswith("graph-") else "node"

    @property
    def kind(self) -> Kind:
        return self.task.partition("-")[2]  # pyright: ignore[reportReturnType]

    @property
    def recipe(self) -> Recipe:
        model = recipes_of(self.level)[self.model].model
        return Recipe(model, self.model_args, TrainConfig(**self.train))

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The settings of each candidate: every combination of the grid's values."""
        rows = product(*self.grid.values())
        return [dict(zip(self.grid, values, strict=True)) for values in rows]

    def build(self, choice: Mapping[str, Any], data: Data | None = None) -> nn.Module:
        """A model of one of `choices` with fresh weights.

        A model of numbers is a `Rescaled` one, with mean and deviation of the labels that `data`
        trains on; without `data` they are to be loaded.
        """
        model = self.recipe.override(**choice).build(self.in_channels, self.out_channels)
        if self.kind != "regression":
            return model
        shift, scale = torch.zeros(self.out_channels), torch.ones(self.out_channels)
        if data is not None:
            found = mean_and_deviation(examples_of(data).y["train"].cpu())
            shift, scale = (each.to(shift.dtype) for each in found)
        return Rescaled(model, shift, scale)


def installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
