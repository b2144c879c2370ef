"""What is known of a map's Lipschitz constant."""

from dataclasses import dataclass
from typing import Literal

from .._errors import unknown_choice

NORMS = ("frobenius", "node")


@dataclass(frozen=True)
class Lipschitz:
    """A bound on how much a map stretches distances, and the norm it holds in.

    ‖f(a) − f(b)‖ ≤ L ‖a − b‖ for all a and b, where L is `bound`. With L < 1 the map is a
    contraction: by Banach's theorem it has exactly one fixed point, every start leads to it, and
    ‖f(z) − z*‖ ≤ L / (1 − L) ‖f(z) − z‖.

    Args:
        bound: L, or None where no number is known.
        norm: "frobenius" is the 2-norm of all entries of a problem; "node" the largest 2-norm of a
            row.
        certified: there is a proof that the fixed point is unique and the iteration reaches it.
            None: what the bound says, `bound < 1`.

    Raises:
        ValueError: a negative or NaN bound, an unknown norm, `certified=False` beside a bound
            below 1.

    Example:
        >>> Lipschitz(0.9).certified, Lipschitz(1.5).certified, Lipschitz(None).certified
        (True, False, False)
    """

    bound: float | None
    norm: Literal["frobenius", "node"] = "frobenius"
    certified: bool | None = None

    def __post_init__(self) -> None:
        if self.bound is not None and not self.bound >= 0:
            raise ValueError(f"bound must be 0 or more, got {self.bound}")
        if self.norm not in NORMS:
            raise unknown_choice("norm", self.norm, NORMS)
        contracts = self.bound is not None and self.bound < 1
        if self.certified is None:
            object.__setattr__(self, "certified", contracts)
        elif contracts and not self.certified:
            raise ValueError(f"a bound below 1 is a proof: certified=False beside {self.bound}")

    @property
    def contracts(self) -> bool:
        """Whether the bound itself is below 1, so that it bounds the error."""
        return self.bound is not None and self.bound < 1
