"""The transitions of GNNConv: what one step of the iteration does with the gathered states."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._errors import unknown_choice
from .._memo import is_tracing
from ..fixed_point import Contraction

ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda z: z,
    "relu": torch.relu,
    "tanh": torch.tanh,
}
"""All of them stretch no distance, entry by entry: their Lipschitz constant is 1."""


class Rows(NamedTuple):
    """What a step reads of each node beside the states; it does not change over the iterations.

    forcing: added to the result, [N, S].
    hidden: added inside a perceptron, [N, S], or None.
    mask: of dropout, [N, S], or the number it is in evaluation, or None.
    """

    forcing: Tensor
    hidden: Tensor | None = None
    mask: Tensor | float | None = None

    def keep(self, rows: Tensor) -> Rows:
        hidden = None if self.hidden is None else self.hidden[rows]
        mask = self.mask[rows] if isinstance(self.mask, Tensor) else self.mask
        return Rows(self.forcing[rows], hidden, mask)

    def masked(self, z: Tensor) -> Tensor:
        return z if self.mask is None else z * self.mask


Aggregate = Callable[[Tensor], Tensor]
Step = Callable[[Tensor, Aggregate, Rows], Tensor]
"""step(z, aggregate, rows) -> z, with the weights as they are for one solve."""


class Linear(nn.Module):
    """Z ← act(mask ⊙ C Z Ŵᵀ + forcing)."""

    def __init__(self, channels: int, contraction: Contraction | None, act: str | None):
        super().__init__()
        self.contraction = contraction
        self.act = act
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        scaled_identity_(self.weight, self.contraction)

    def step(self, dtype: torch.dtype) -> Step:
        weight = constrained(self.weight.to(dtype), self.contraction)
        act = ACTIVATIONS[self.act]

        def step(z: Tensor, aggregate: Aggregate, rows: Rows) -> Tensor:
            # W first: then z, which the gradient of W needs, is all that is kept.
            return act(rows.masked(aggregate(F.linear(z, weight))) + rows.forcing)

        return step

    def magnitude(self) -> Tensor:
        """Bounds of the entries of the Jacobian of one message, without C: |W|, [S, S]."""
        return self.weight.abs()

    def norm(self) -> float:
        """A bound of the 2-norm of that Jacobian, for the weight as it is now."""
        return norm_of(self.weight, self.contraction)


class Perceptron(nn.Module):
    """Z ← Ŵ₂ act(Ŵ₁ (mask ⊙ C Z) + hidden) + forcing, ‖Ŵ₁‖ ‖Ŵ₂‖ ≤ κ."""

    def __init__(self, channels: int, contraction: Contraction | None, act: str | None):
        super().__init__()
        self.contraction = contraction
        self.act = "tanh" if act is None else act
        self.weight_in = nn.Parameter(torch.empty(channels, channels))
        self.weight_out = nn.Parameter(torch.empty(channels, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for weight in (self.weight_in, self.weight_out):
            scaled_identity_(weight, self.contraction, factors=2)

    def step(self, dtype: torch.dtype) -> Step:
        weight_in, weight_out = (
            constrained(weight.to(dtype), self.contraction, factors=2)
            for weight in (self.weight_in, self.weight_out)
        )
        act = ACTIVATIONS[self.act]

        def step(z: Tensor, aggregate: Aggregate, rows: Rows) -> Tensor:
            assert rows.hidden is not None
            hidden = F.linear(rows.masked(aggregate(z)), weight_in) + rows.hidden
            return F.linear(act(hidden), weight_out) + rows.forcing

        return step

    def magnitude(self) -> Tensor:
        return self.weight_out.abs() @ self.weight_in.abs()

    def norm(self) -> float:
        out, into = (norm_of(w, self.contraction, 2) for w in (self.weight_out, self.weight_in))
        return out * into


class Custom(nn.Module):
    """Z ← module(mask ⊙ C Z, forcing): anything, and therefore nothing is known of it."""

    def __init__(self, module: nn.Module):
        super().__init__()
        for name, part in module.named_modules():
            if isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0:
                raise ValueError(
                    f"transition must not draw random numbers: {name or 'it'} is {part}, which"
                    " draws anew in each iteration, so that there is no fixed point; GNNConv(…,"
                    " dropout=…) keeps one mask over the iterations"
                )
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                raise ValueError(
                    f"transition must treat nodes independently: {name or 'it'} is {part}, which"
                    " couples all nodes and graphs and changes from iteration to iteration;"
                    " normalise before or after the layer"
                )
        self.module = module
        self._is_checked = False

    def reset_parameters(self) -> None:
        for part in self.module.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()  # pyright: ignore[reportCallIssue]

    def step(self, dtype: torch.dtype) -> Step:
        def step(z: Tensor, aggregate: Aggregate, rows: Rows) -> Tensor:
            return self._call(rows.masked(aggregate(z)), rows.forcing)

        return step

    def check(self, forcing: Tensor) -> None:
        """Call the module twice, the first time that it is in training, and compare."""
        if self._is_checked or not self.training or is_tracing():
            return
        with torch.no_grad():
            first, second = (self._call(forcing, forcing) for _ in range(2))
        if first.shape != forcing.shape:
            raise ValueError(
                "transition must return a state for each node, [num_nodes, state_channels] ="
                f" {tuple(forcing.shape)}, got {tuple(first.shape)}"
            )
        if not torch.equal(torch.nan_to_num(first), torch.nan_to_num(second)):
            raise ValueError(
                "transition must return the same for the same input: two calls in training differ"
                f" by {float((first - second).abs().max()):.2g}; what is random or changes from"
                " call to call has no fixed point (for dropout: GNNConv(…, dropout=…))"
            )
        self._is_checked = True

    def _call(self, aggregated: Tensor, forcing: Tensor) -> Tensor:
        parameter = next(self.module.parameters(), forcing)
        return self.module(aggregated.to(parameter.dtype), forcing.to(parameter.dtype)).to(
            forcing.dtype
        )


def make_transition(
    transition: str | nn.Module, channels: int, contraction: Contraction | None, act: str | None
) -> Linear | Perceptron | Custom:
    """The transition of that name, or the user's module."""
    if isinstance(transition, nn.Module):
        if act is not None:
            raise ValueError(f"act={act!r} belongs to 'linear' and 'mlp', not to a module")
        return Custom(transition)
    kinds = {"linear": Linear, "mlp": Perceptron}
    if transition not in kinds:
        raise unknown_choice("transition", transition, kinds)
    if act not in ACTIVATIONS:
        raise unknown_choice("act", act, [name for name in ACTIVATIONS if name is not None])
    return kinds[transition](channels, contraction, act)


def constrained(weight: Tensor, contraction: Contraction | None, factors: int = 1) -> Tensor:
    return weight if contraction is None else contraction(weight, factors)


def scaled_identity_(
    weight: nn.Parameter, contraction: Contraction | None, factors: int = 1
) -> None:
    """W = κ I: the longest memory that the bound allows, and no direction of x preferred."""
    kappa = 1.0 if contraction is None else contraction.kappa
    nn.init.eye_(weight)
    with torch.no_grad():
        weight.mul_(kappa ** (1 / factors))


def norm_of(weight: Tensor, contraction: Contraction | None, factors: int = 1) -> float:
    """‖Ŵ‖₂, NaN where W is not finite."""
    weight = weight.detach()
    weight = weight if weight.dtype == torch.float64 else weight.float()
    if not weight.isfinite().all():
        return math.nan
    return float(torch.linalg.matrix_norm(constrained(weight, contraction, factors), 2))
