"""What the doors of several functions share: checks and error texts."""

import difflib
from collections.abc import Iterable


def unknown_choice(argument: str, value: object, choices: Iterable[str]) -> ValueError:
    """The error for a name that is not among `choices`; the nearest choices come first.

    Example:
        >>> print(unknown_choice("reduce", "maxx", ["sum", "mul", "max"]))
        reduce must be one of 'max', 'sum', 'mul'; got 'maxx'
    """
    names = list(choices)
    near = difflib.get_close_matches(str(value).lower(), names, n=len(names), cutoff=0.4)
    ordered = near + [name for name in names if name not in near]
    return ValueError(f"{argument} must be one of {', '.join(map(repr, ordered))}; got {value!r}")


def chosen_reduce(argument: str, value: str, choices: Iterable[str]) -> str:
    """The reducer of that name, by which PyG's 'add' is 'sum'.

    Raises:
        ValueError: it is not among `choices`.

    Example:
        >>> chosen_reduce("aggr", "add", ["sum", "mean"])
        'sum'
    """
    name = "sum" if value == "add" else value
    if name not in choices:
        raise unknown_choice(argument, value, choices)
    return name


def check_dropout(dropout: float) -> None:
    """The door of a dropout probability.

    Raises:
        ValueError: it is outside [0, 1).
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")
