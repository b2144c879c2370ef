"""Memory that was freed, given back to the system."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def return_freed_memory() -> None:
    """Hands pages that hold nothing back to the system; does nothing where the C library cannot.

    glibc before 2.38 seldom uses a freed block again for an aligned one
    (https://sourceware.org/bugzilla/show_bug.cgi?id=14581), and torch aligns each tensor: a training
    of thousands of epochs would fill any memory with holes.

    Example:
        >>> return_freed_memory()
    """
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library than glibc
        return None
