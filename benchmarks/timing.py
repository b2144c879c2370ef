"""The only timer: the sides of a comparison take turns in one process.

A machine's speed drifts; sides that alternate drift together, so the ratio of their medians holds
where a single time does not.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping

SHORT = 0.02  # seconds; what a call finds in the caches and in the allocator decides below this


def interleave(
    sides: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    warm_up: int = 2,
    seconds: float = 0.0,
    most: int = 101,
) -> dict[str, float]:
    """The median seconds of a call of each side, over rounds that call every side once.

    The order within a round is drawn anew (from a seed), so that no side always follows the same
    one. Where calls are short, a turn begins with a call that is not timed: what a side leaves
    behind, caches full of its arrays and memory handed back to the system, is not for its neighbour
    to pay.

    Args:
        sides: name → call.
        rounds: how many rounds there are at least.
        warm_up: calls of each side before the first round.
        seconds: further rounds begin as long as all of them have taken less than this,
        most: and there are fewer than this.
    """
    longest = 0.0
    for call in sides.values():
        for _ in range(warm_up):
            start = time.perf_counter()
            call()
            longest = max(longest, time.perf_counter() - start)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    order, shuffle = list(sides), random.Random(0).shuffle
    done, begin = 0, time.perf_counter()
    while done < rounds or (done < most and time.perf_counter() - begin < seconds):
        shuffle(order)
        for name in order:
            if longest < SHORT:
                sides[name]()
            start = time.perf_counter()
            sides[name]()
            taken[name].append(time.perf_counter() - start)
        done += 1
    return {name: statistics.median(times) for name, times in taken.items()}
