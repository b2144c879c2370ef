"""What the operators are where there are no values, as in tracing and on 'meta': shapes."""

import functools
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._schema import SCHEMAS


def fake_rule(operator: str) -> Callable[[Callable], Any]:
    """Makes the function below it the one that makes an operator's results without values.

    torch also calls it where some arguments alone are on 'meta'; those are refused here, so that
    the operators themselves need not look.
    """
    name = operator.removeprefix("gnnlib::")
    arguments = re.findall(r"(\w+)[,)]", SCHEMAS[name].split("->")[0].replace("(a!)", ""))

    def register(function: Callable) -> Any:
        @functools.wraps(function)
        def checked(*values: Any) -> Any:
            _check_devices(name, zip(arguments, values, strict=True))
            return function(*values)

        return torch.library.register_fake(operator)(checked)

    return register


def _check_devices(operator: str, arguments) -> None:
    first = None
    for name, value in arguments:
        if not isinstance(value, Tensor) or name == "seed":  # that is on the CPU always
            continue
        first = first or (name, value.device)
        if value.device != first[1]:
            raise ValueError(
                f"{operator}: {name} must be on the device of {first[0]}: {first[1]}, got"
                f" {value.device}"
            )
