"""One warning instead of one per epoch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def warned_once(category: type[Warning]) -> Iterator[None]:
    """While the block runs, the first warning of a category is shown and the others are not.

    Python's own "once" shows every new text, and a text with a measured number is always new.
    """
    with warnings.catch_warnings():
        show, seen = warnings.showwarning, []

        def show_first(
            message: Warning | str, kind: type[Warning], *args: Any, **kwargs: Any
        ) -> None:
            if issubclass(kind, category):
                if seen:
                    return
                seen.append(message)
            show(message, kind, *args, **kwargs)

        warnings.showwarning = show_first
        yield
