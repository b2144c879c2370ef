"""The only timer: the sides of a comparison take turns in one process.

A machine's speed drifts; sides that alternate drift together, so the ratio of their medians holds
where a single time does not.
"""

import statistics
import time
from collections.abc import Callable, Mapping


def interleave(
    sides: Mapping[str, Callable[[], object]], rounds: int = 15, warm_up: int = 2
) -> dict[str, float]:
    """The median seconds of a call of each side, over `rounds` rounds that call every side once.

    The order within a round is reversed every time, so that no side always follows the same one.
    """
    for call in sides.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for _ in range(rounds):
        for name in order:
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
        order.reverse()
    return {name: statistics.median(times) for name, times in seconds.items()}
