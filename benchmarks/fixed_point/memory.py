"""Memory that a forward pass keeps for its backward pass, on Cora with 64 states.

    python -m benchmarks.fixed_point.memory

Every storage made during the forward pass that is still alive after it is counted, whatever keeps
it; inputs and parameters are not.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.fixed_point.problem import STATES, cora, graph
from benchmarks.report import write

LIMIT = 1.5  # MiB, for the solve
UNROLLED = 300  # steps


class Storages(TorchDispatchMode):
    """Notes every storage that operators make while it is on."""

    def __init__(self):
        super().__init__()
        self.made: dict[StorageWeakRef, int] = {}
        self.given: set[StorageWeakRef] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.given |= {ref for ref, _ in references((args, kwargs))} - self.made.keys()
        out = func(*args, **kwargs)
        self.made |= {ref: size for ref, size in references(out) if ref not in self.given}
        return out

    def kept_mib(self) -> float:
        return sum(size for ref, size in self.made.items() if not ref.expired()) / 2**20


def references(tree: object) -> list[tuple[StorageWeakRef, int]]:
    storages = [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return [(StorageWeakRef(storage), storage.nbytes()) for storage in storages]


def kept_mib(forward: Callable[[], object]) -> float:
    """What is alive after a forward pass, its result included."""
    with Storages() as storages:
        result = forward()
    kept = storages.kept_mib()
    del result
    return kept


def solved(kappa: float) -> tuple[Callable[[], object], str]:
    from gnnlib.fixed_point import Stop, solve

    problem = cora(kappa)
    stop = Stop(tol=1e-6, max_iter=1500)
    _, report = solve(problem.step, problem.start, stop=stop)
    steps = str(int(report.iterations))
    return lambda: solve(problem.step, problem.start, stop=stop), steps


def unrolled() -> object:
    problem = cora(0.9)
    state = problem.start
    for _ in range(UNROLLED):
        state = problem.step(state)
    return state


def layer() -> tuple[Callable[[], object], str]:
    from gnnlib.conv import GNNConv

    torch.manual_seed(0)
    conv = GNNConv(graph().num_features, STATES)
    conv(graph().x, graph())
    assert conv.last_report is not None
    return lambda: conv(graph().x, graph()), str(int(conv.last_report.iterations))


def main() -> None:
    sides = {f"solve, W = {kappa} I": solved(kappa) for kappa in (0.9, 0.98, 0.999)}
    sides["GNNConv(1433, 64), encoder included"] = layer()
    sides[f"unrolled, {UNROLLED} steps"] = unrolled, str(UNROLLED)
    rows: list[dict[str, object]] = [
        {
            "side": name,
            "steps": steps,
            "MiB": kept_mib(forward),
            "limit": LIMIT if "solve" in name else "",
        }
        for name, (forward, steps) in sides.items()
    ]
    write(
        "fixed_point_memory",
        "Memory kept for the backward pass, Cora, 64 states, float32",
        "python -m benchmarks.fixed_point.memory",
        rows,
    )


if __name__ == "__main__":
    main()
