"""All that says what a run is: the content of its config.json."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .._errors import unknown_choice
from ..graph import Graph
from .config import TrainConfig
from .recipes import RECIPES, Recipe
from .state import digest


@dataclass(frozen=True)
class RunConfig:
    """What is trained on what, and how; JSON can hold all of it.

    Args:
        dataset: a name, or the path of a graph's file.
        transforms: the reprs of what is done to the graph before.
        model: a name in RECIPES.
        model_args: the model's arguments between in_channels and out_channels.
        train: the fields of TrainConfig.
        seeds: one training for each.
        device: "cpu", "cuda" or "cuda:N".
        graph: the digest of the graph that is trained on.
        in_channels: features of a node.
        out_channels: classes.
        versions: of the packages that it was begun with.
    """

    dataset: str
    transforms: list[str]
    model: str
    model_args: dict[str, Any]
    train: dict[str, Any]
    seeds: list[int]
    device: str
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
        graph: Graph,
        out_channels: int,
    ) -> "RunConfig":
        return cls(
            dataset,
            [repr(transform) for transform in transforms],
            model,
            dict(recipe.model_args),
            asdict(recipe.config),
            list(seeds),
            device,
            digest(graph),
            graph.num_features,
            out_channels,
            {name: installed_version(name) for name in ("gnnlib", "torch")},
        )

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "RunConfig":
        """The config whose `dataclasses.asdict` is `content`.

        Raises:
            ValueError: something is missing, is of a wrong kind or is no setting of the model.
        """
        kinds = {"transforms": list, "seeds": list, "in_channels": int, "out_channels": int}
        kinds |= {"model_args": dict, "train": dict, "versions": dict}
        for field in fields(cls):
            if field.name not in content:
                raise ValueError(f"the run's config lacks {field.name!r}")
            kind, value = kinds.get(field.name, str), content[field.name]
            if not isinstance(value, kind):
                raise ValueError(f"{field.name} must be a {kind.__name__} in the run's config")
        config = cls(**{field.name: content[field.name] for field in fields(cls)})
        if config.model not in RECIPES:
            raise unknown_choice("model", config.model, RECIPES)
        known = {
            "model_args": RECIPES[config.model].parameters,
            "train": [field.name for field in fields(TrainConfig)],
        }
        for table, names in known.items():
            for name in content[table]:
                if name not in names:
                    raise unknown_choice(f"{table} of the run's config", name, names)
        if not config.seeds or not all(type(seed) is int for seed in config.seeds):
            raise ValueError("seeds must be integers, and at least one, in the run's config")
        return config

    @property
    def recipe(self) -> Recipe:
        model = RECIPES[self.model].model
        return Recipe(model, self.model_args, TrainConfig(**self.train))


def installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
