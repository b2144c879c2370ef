"""IGNNConv: the implicit graph neural network of Gu et al."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from .._errors import unknown_choice
from .._memo import is_tracing
from .._resolve import as_features, check_matrices, resolve
from ..fixed_point import (
    Anderson,
    Auto,
    Contraction,
    Implicit,
    Lipschitz,
    Phantom,
    Picard,
    Stop,
    Unrolled,
)
from ..fixed_point.failure import OnFail
from ..linear import Linear
from ..ops._dtypes import accumulate_dtype
from ._aggregation import Aggregation, bounded
from ._fixed_point import FixedPointLayer
from ._norm import with_loops
from ._segments import segments_of
from ._transition import scaled_identity_

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


class IGNNConv(FixedPointLayer):
    """The implicit graph neural network: a state that no further step of a graph layer changes.

    Z = φ(Â Z Ŵᵀ + x Ωᵀ + b),  Â = D_in^-½ (A + I)ᵀ D_out^-½

    where Ω and b are `lin`, φ is `act`, and Ŵ is `weight` with each row projected on the ball
    Σ_k abs(w_k) ≤ κ, so that ‖Ŵ‖_∞ ≤ κ. The degrees are those of abs(`edge_weight`), self-loops
    included: then the spectral radius of abs(Â) is at most 1 for any weights and directions, κ
    times it below 1, and by the theorem of Perron and Frobenius, as in the paper, Z exists, is
    unique and is reached from any start. The weight starts as κ I: projected random weights forget
    what is a few edges away.

    Args:
        in_channels: features of x.
        out_channels: features of Z, the result.
        kappa: κ, strictly between 0 and 1; a state reaches about 1 / (1 − κ) edges far.
        act: 'relu' or 'tanh'.
        bias: False leaves b out.
        solver: Auto(), Picard(damping=…) or Anderson(m=…); None: Auto().
        stop: when the iteration has arrived; None: Stop().
        backward: Implicit(…) or Phantom(…); None: Implicit(). Unrolled(steps) iterates so many
            times and differentiates through the steps: the mode that torch.compile takes.
        on_fail: "raise" an error on divergence and warn at max_iter, "warn" on both, or "ignore":
            the report alone says so.

    Shapes:
        x: [N, in_channels], dense or sparse; edge_weight: [E]; batch: [N], the graph
        of each node, ascending (a Batch has it); result: [N, out_channels].

    Raises:
        ValueError: for a wrong number of rows or features, a kappa outside (0, 1), or an unknown
            act.
        FixedPointDivergence: NaN or infinity in x, edge_weight or the parameters.

    Paper: "Implicit Graph Neural Networks", NeurIPS 2020.

    Example:
        >>> from gnnlib import Graph
        >>> graph = Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3))
        >>> layer = IGNNConv(3, 16, kappa=0.5)
        >>> layer(graph.x, graph).shape
        torch.Size([3, 16])
        >>> layer.last_report.certified
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kappa: float = 0.95,
        act: Literal["relu", "tanh"] = "relu",
        bias: bool = True,
        solver: Auto | Picard | Anderson | None = None,
        stop: Stop | None = None,
        backward: Implicit | Phantom | Unrolled | None = None,
        on_fail: OnFail = "raise",
    ):
        super().__init__(solver, stop, backward, on_fail)
        if act not in ACTIVATIONS:
            raise unknown_choice("act", act, ACTIVATIONS)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.contraction = Contraction(kappa, "inf_projection")
        self.act = act
        self.lin = Linear(in_channels, out_channels, bias=bias)
        self.weight = nn.Parameter(torch.empty(out_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        self.lin.reset_parameters()
        scaled_identity_(self.weight, self.contraction)

    def transition_parameters(self) -> list[nn.Parameter]:
        """What the contraction bounds; it learns best at a tenth of the other parameters' rate."""
        return [self.weight]

    def forward(
        self, x, graph, edge_weight: Tensor | None = None, batch: Tensor | None = None
    ) -> Tensor:
        x = as_features(x)
        check_matrices(x)
        adj, edge_weight, _ = resolve(graph, x, edge_weight=edge_weight)
        segments = segments_of(graph, adj, batch)
        forcing = self.lin(x)
        dtype = accumulate_dtype(forcing.dtype)
        with torch.autocast(forcing.device.type, enabled=False):
            adj, edge_weight = with_loops(adj, edge_weight)
            aggregate = bounded("sym", adj, edge_weight, None, None, dtype)
            z = self._solve(forcing.to(dtype), aggregate, segments)
        return z.to(forcing.dtype)

    def _solve(self, forcing: Tensor, aggregate: Aggregation, segments: Tensor | None) -> Tensor:
        weight = self.contraction(self.weight.to(forcing.dtype))
        act = ACTIVATIONS[self.act]

        def step_of(aggregate: Aggregation, forcing: Tensor) -> Callable[[Tensor], Tensor]:
            return lambda z: act(forcing + aggregate(z @ weight.t()))

        def narrow(graphs: Tensor) -> Callable[[Tensor], Tensor]:
            kept, rows = aggregate.keep(segments, graphs)  # pyright: ignore[reportArgumentType]
            return step_of(kept, forcing[rows])

        lipschitz = None if is_tracing() else _bound(weight.detach())
        return self._fixed_point(
            step_of(aggregate, forcing), act(forcing), segments, narrow, lipschitz
        )

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kappa={self.contraction.kappa},"
            f" act={self.act!r}"
        )


def _bound(weight: Tensor) -> Lipschitz:
    """‖Ŵ‖₂, which may be 1 or more: the proof is by Perron and Frobenius, without a number."""
    finite = bool(weight.isfinite().all())
    norm = float(torch.linalg.matrix_norm(weight, 2)) if finite else None
    return Lipschitz(norm, "frobenius", certified=finite)
