"""The only timer: the sides of a comparison take turns in one process.

A machine's speed drifts; sides that alternate drift together, so the ratio of their medians holds
where a single time does not.

On a GPU, torch's default device then, a call is timed by events on its stream, from an idle GPU and
with caches that hold nothing of it: what Python takes counts as far as the GPU waits for it.
"""

import ctypes
import random
import statistics
import time
from collections.abc import Callable, Mapping
from functools import cache

import torch

FLUSHED = 2**28  # bytes that are written before a call is timed on a GPU, beyond its caches
SHORT = 0.02  # seconds; what a call finds in the caches decides below this
SLOW, FEW = 10.0, 3  # sides that take SLOW times as long as the fastest have FEW rounds


def on_gpu() -> bool:
    """Whether torch's default device is a GPU: what is measured."""
    return torch.get_default_device().type == "cuda"


def keep_memory() -> None:
    """Memory that is freed stays with the process from now on, where the C library is glibc's.

    Else each large result is memory that the system clears first, page by page, and takes back
    afterwards: time that is the same work for every side, differs from machine to machine (most in
    virtual ones), and hides what is compared.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX
    mallopt(trim_threshold, -1)
    mallopt(mmap_max, 0)


def interleave(
    sides: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    warm_up: int = 2,
    seconds: float = 0.0,
    most: int = 101,
) -> dict[str, float]:
    """The median seconds of a call of each side, over rounds that call every side once.

    The order within a round is drawn anew (from a seed), so that no side always follows the same
    one. Where calls are short, a turn begins with a call that is not timed: caches full of a side's
    arrays are not for its neighbour to pay. A side far slower than the fastest has few rounds.

    Args:
        sides: name → call.
        rounds: how many rounds there are at least.
        warm_up: calls of each side before the first round.
        seconds: further rounds begin as long as all of them have taken less than this,
        most: and there are fewer than this.
    """
    warm = dict.fromkeys(sides, 0.0)
    timed = timed_on_gpu if on_gpu() else timed_on_cpu
    for name, call in sides.items():
        for _ in range(warm_up):
            warm[name] = timed(call)
    is_short = max(warm.values(), default=0.0) < SHORT
    slow = {name for name, took in warm.items() if took > SLOW * min(warm.values())}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    order, shuffle = list(sides), random.Random(0).shuffle
    done, begin = 0, time.perf_counter()
    while done < rounds or (done < most and time.perf_counter() - begin < seconds):
        shuffle(order)
        for name in order:
            if done >= FEW and name in slow:
                continue
            if is_short and timed is timed_on_cpu:
                sides[name]()
            taken[name].append(timed(sides[name]))
        done += 1
    return {name: statistics.median(times) for name, times in taken.items()}


def timed_on_cpu(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def timed_on_gpu(call: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    _flushing().zero_()
    torch.cuda.synchronize()
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


@cache
def _flushing() -> torch.Tensor:
    return torch.empty(FLUSHED, dtype=torch.uint8, device="cuda")
