"""Kinds of values on the command line."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import torch
from click.shell_completion import CompletionItem

from .. import _extension
from .._errors import unknown_choice
from ..train.sources import SOURCES


class Number(click.FloatRange):
    """A number of a range that is not NaN, which click takes for one of any range, nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


COUNT = click.IntRange(min=1)
PROBABILITY = Number(0, 1, max_open=True)
FRACTION = Number(0, 1, min_open=True, max_open=True)
POSITIVE = Number(min=0, min_open=True)
RUN = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


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

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self.choices if name.startswith(incomplete)]


class Optional(click.ParamType):
    """A value of another type, or "none" for None."""

    def __init__(self, kind: click.ParamType):
        self.kind = kind
        self.name = kind.name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        choices = self.kind.get_metavar(param, ctx)
        return choices and f"{choices[:-1]}|none]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value == "none" else self.kind.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        none = [CompletionItem("none")] if "none".startswith(incomplete) else []
        return self.kind.shell_complete(ctx, param, incomplete) + none


class Weights(click.ParamType):
    """ "balanced", or numbers with commas between them."""

    name = "weights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "balanced" or not isinstance(value, str):
            return value
        try:
            return tuple(float(number) for number in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither balanced nor numbers such as 1,0.5,2", param, ctx)


class DatasetName(click.ParamType):
    """The name of a dataset, or the file of a graph."""

    name = "dataset"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in SOURCES:
            return value
        if Path(value).is_file():
            return str(Path(value).resolve())
        if Path(value).suffix or "/" in value:
            message = f"there is no file {value!r}"
        else:
            message = f"{unknown_choice('dataset', value, SOURCES)}, and there is no such file"
        return self.fail(message, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = [CompletionItem(name) for name in SOURCES if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


def usable_device(name: str) -> torch.device:
    """The device with this name; "auto" is CUDA where it can be used.

    Raises:
        click.UsageError: no such kind of device.
        ValueError: it cannot be used here.
    """
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
