"""Error texts that more than one door needs."""

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
