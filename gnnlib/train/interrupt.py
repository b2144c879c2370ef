"""Ctrl-C that waits for a good moment."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """While the block runs, the first Ctrl-C is only noted; the second interrupts at once.

    Yields a function that says whether there was one; the block should then come to an end, at
    which the KeyboardInterrupt is raised. The handler that was there before is back after the
    block. Outside the main thread, and where Ctrl-C is ignored or handled by no Python code,
    nothing changes.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C, and the block has ended without another error.

    Example:
        >>> try:
        ...     with deferred_interrupt() as interrupted:
        ...         signal.raise_signal(signal.SIGINT)
        ...         print(interrupted())
        ... except KeyboardInterrupt:
        ...     print("now")
        True
        now
    """
    previous = signal.getsignal(signal.SIGINT)
    asked = False

    def note(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    ours = threading.current_thread() is threading.main_thread() and callable(previous)
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, previous)
    if asked:  # only now: no Ctrl-C is lost between the last look at it and the end of the block
        raise KeyboardInterrupt
