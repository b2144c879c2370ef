"""A case: one piece of work, done by several libraries. Checked first, then timed in turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from benchmarks import ceilings
from benchmarks.peers import MissingPeer, Structures
from benchmarks.timing import interleave

OURS = "gnnlib"
FORWARD, BOTH = "forward", "forward + backward"

Call = Callable[[], Any]  # gives a Tensor, or a tuple of them
Prepare = Callable[[], Call]  # builds what may be built before timing, and gives the call
Row = dict[str, Any]


class Differs(Exception):
    """What a side computes is not what gnnlib computes."""


@dataclass(frozen=True)
class Traffic:
    """Bytes of a call: what it must move, and what it moves if no row is found in a cache twice."""

    compulsory: float
    gathered: float
    features: int = 0  # the width of the gathered rows; 0: the rows are read one after the other


@dataclass(frozen=True)
class Case:
    """The sides are compared with `gnnlib`, as far as both return something."""

    name: str
    size: str
    passes: str
    sides: Mapping[str, Prepare]
    traffic: Traffic | None = None
    rtol: float = 1e-4


@dataclass(frozen=True)
class Settings:
    """What the command line asks for."""

    graphs: Sequence[str] | None = None
    rounds: int = 7
    quick: bool = False
    only: str = ""
    command: str = "python -m benchmarks"
    failures: list[str] = field(default_factory=list)  # what makes the program exit with 1

    @property
    def seconds(self) -> float:
        """For how long a case goes on with further rounds, once it has had its least number."""
        return (0.1 if self.quick else 0.5) if self.rounds >= 7 else 0.0

    def wants(self, name: str) -> bool:
        return self.only.lower() in name.lower()


def both(prepare: Prepare, inputs: Sequence[Tensor], cotangent: Tensor, kept: int = 1) -> Prepare:
    """The same side with its backward pass: the result and the gradients of the first `kept`."""

    def prepared() -> Call:
        forward = prepare()

        def call() -> tuple[Tensor, ...]:
            out = forward()
            return out, *torch.autograd.grad(out, inputs, cotangent)[:kept]

        return call

    return prepared


def tie_free(num_rows: int, num_features: int) -> Tensor:
    """No two values of a column are equal, and none is 0: libraries differ in who gets the gradient
    of a tie, and in what a maximum of nothing is."""
    ranks = torch.rand(num_rows, num_features).argsort(0)
    return (ranks + 0.25) / num_rows - 0.5


def measure(case: Case, structures: Structures, settings: Settings) -> Row:
    """Check the sides against each other, and time those that agree."""
    calls, failed = _prepared(case)
    row: Row = {
        "graph": structures.edges.name,
        "nodes": structures.num_nodes,
        "edges": structures.edges.num_edges,
        "case": case.name,
        "size": case.size,
        "pass": case.passes,
    }
    seconds = interleave(calls, settings.rounds, 1, settings.seconds)
    row["seconds"] = seconds
    row["failed"] = failed
    if OURS in failed or any(why.startswith("differs") for why in failed.values()):
        where = " / ".join(str(row[key]) for key in ("graph", "case", "size", "pass"))
        settings.failures.append(f"{where}: {failed}")
    if case.traffic is not None and OURS in seconds:
        row |= _against_ceilings(case.traffic, seconds[OURS], structures)
    return row


def _prepared(case: Case) -> tuple[dict[str, Call], dict[str, str]]:
    """The calls of the sides that work and agree, and why others do not."""
    calls: dict[str, Call] = {}
    failed: dict[str, str] = {}
    ours: tuple[Tensor, ...] = ()
    for side, prepare in case.sides.items():
        try:
            call = prepare()
            result = call()
        except MissingPeer:
            continue
        except Differs as error:
            failed[side] = f"differs: {error}"
            continue
        except Exception as error:  # a peer's limits are a result, not the end of the run
            failed[side] = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
            continue
        results = result if isinstance(result, tuple) else (result,)
        if side == OURS:
            ours = results
        elif why := difference(ours, results, case.rtol):
            failed[side] = why
            continue
        calls[side] = call
    return calls, failed


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor], rtol: float) -> str | None:
    """Where a side's result, or one of the gradients after it, is not ours; None if all agree."""
    for n, (mine, other) in enumerate(zip(ours, theirs)):
        mine, other = mine.detach().float(), other.detach().float()
        if mine.shape != other.shape:
            return f"differs: shape {tuple(mine.shape)}, {tuple(other.shape)}"
        if not mine.numel():
            continue
        # A maximum of nothing is an infinity in some versions of DGL, and 0 elsewhere.
        other = other.masked_fill(other.isinf(), 0.0)
        # Sums of thousands of terms, in another order: the error grows with the largest of them.
        atol = rtol / 10 * float(other.abs().max())
        if torch.allclose(mine, other, rtol=rtol, atol=atol):
            continue
        # The derivative jumps where the argument of a LeakyReLU is 0 within rounding: of millions a
        # few fall on either side, so single entries of a gradient may differ.
        if n == 0 or float((mine - other).norm()) > rtol * float(other.norm()):
            return f"differs: by up to {float((mine - other).abs().max()):.2g}"
    return None


def _against_ceilings(traffic: Traffic, seconds: float, structures: Structures) -> Row:
    shares: Row = {
        "GB/s": traffic.gathered / seconds / 1e9,
        "of copy": traffic.compulsory / seconds / ceilings.copy(),
    }
    if traffic.features:
        gather = ceilings.gather(structures, traffic.features)
        shares["of gather"] = traffic.gathered / seconds / gather
    return shares
