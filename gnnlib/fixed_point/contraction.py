"""Weights whose map is a contraction, whatever an optimiser writes into them."""

from dataclasses import dataclass
from numbers import Real
from typing import Literal

import torch
from torch import Tensor

from .._errors import unknown_choice

METHODS = ("auto", "spectral", "inf_projection", "penalty")


@dataclass(frozen=True)
class Contraction:
    """A bound κ on a weight matrix, kept by computing with Ŵ = contraction(W) in place of W.

    - "spectral": Ŵ = W · min(1, κ / ‖W‖₂). The map z ↦ Ŵ z shortens every 2-norm by κ at least,
      and the directions of W keep their proportions.
    - "inf_projection": each row of W is projected on the ball Σ_k abs(w_k) ≤ κ, so that the
      absolute row sums ‖Ŵ‖_∞ are at most κ. Other rows do not matter to a row; small entries
      become 0.
    - "penalty": Ŵ = W. The 2009 paper adds a term to the loss instead, `penalty`, which discourages
      W from leaving the ball and does not prevent it: nothing is certified.
    - "auto": "spectral".

    Gradients of all orders up to the second flow through Ŵ. ‖W‖₂ is exact, not a power iteration's
    guess from below.

    Args:
        kappa: κ, strictly between 0 and 1. What a node sends fades by κ with each step, so κ is
            also the reach of the fixed point: 1 / (1 − κ) steps.
        method: one of the above.

    Raises:
        TypeError: a kappa that is no number.
        ValueError: a kappa outside (0, 1), an unknown method.

    Papers: "The Graph Neural Network Model", IEEE TNN 2009 (penalty); "Implicit Graph Neural
    Networks", NeurIPS 2020 (inf_projection).

    Example:
        >>> contraction = Contraction(kappa=0.5)
        >>> contraction(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.0833]])
        >>> Contraction(0.5, "inf_projection")(torch.tensor([[3.0, 0.0], [0.3, -0.4]]))
        tensor([[ 0.5000,  0.0000],
                [ 0.2000, -0.3000]])
    """

    kappa: float = 0.9
    method: Literal["auto", "spectral", "inf_projection", "penalty"] = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.kappa, Real) or isinstance(self.kappa, bool):
            raise TypeError(f"kappa must be a number, got {self.kappa!r}")
        if not 0 < self.kappa < 1:
            raise ValueError(f"kappa must be strictly between 0 and 1, got {self.kappa}")
        if self.method not in METHODS:
            raise unknown_choice("method", self.method, METHODS)

    @property
    def is_hard(self) -> bool:
        """Whether the bound holds for any weight; a penalty's does not."""
        return self.method != "penalty"

    def __call__(self, weight: Tensor, factors: int = 1) -> Tensor:
        """Ŵ [M, N] of a weight [M, N]; as one of several factors of a map it gets κ^(1/factors)."""
        kappa = self.kappa ** (1 / factors)
        if self.method == "penalty":
            return weight
        if self.method == "inf_projection":
            return project_rows(weight, kappa)
        norm = spectral_norm(weight)
        # Slack for rounding: at W = κ I, where many start, the bound should not be felt.
        outside = norm > kappa * (1 + 16 * torch.finfo(weight.dtype).eps)
        return weight * torch.where(outside, kappa / torch.where(outside, norm, 1), 1)

    def penalty(self, column_sums: Tensor) -> Tensor:
        """Σ L(s) over the absolute column sums s of the Jacobian ∂F/∂H: the paper's penalty term.

        L(s) = (s − κ)² for s > κ, else 0.
        """
        return (column_sums - self.kappa).clamp(min=0).square().sum()


def spectral_norm(weight: Tensor) -> Tensor:
    """‖W‖₂, the largest singular value of W [M, N], with a gradient of first and second order.

    Where the largest singular value is a multiple one, as that of κ I, the norm has a kink and the
    gradient is one of its subgradients; it is finite everywhere.
    """
    # PyTorch's own second derivative divides by the gaps between all singular values. Here W is a
    # constant W₀, plus D = W − W₀ = 0; what is differentiated is the norm's expansion in D:
    # σ₁ + s₁₁ + ½ Σ_{i>1} (σ₁ (s_{i1}² + s_{1i}²) + 2 σᵢ s_{i1} s_{1i}) / (σ₁² − σᵢ²), s = Uᵀ D V.
    constant = weight.detach()
    # A weight that is not finite has no SVD; its NaN are seen where the weight itself is used.
    left, sigma, right = torch.linalg.svd(torch.nan_to_num(constant))
    change = weight - constant
    column = left.t() @ (change @ right[0])  # s_{i1}, [M]
    row = right @ (change.t() @ left[:, 0])  # s_{1i}, [N]
    longest = max(weight.shape)
    sigma = torch.cat([sigma, sigma.new_zeros(longest - sigma.shape[0])])
    column = torch.cat([column, column.new_zeros(longest - column.shape[0])])
    row = torch.cat([row, row.new_zeros(longest - row.shape[0])])
    top = sigma[0]
    gap = top.square() - sigma.square()
    resolved = gap > 64 * torch.finfo(weight.dtype).eps * top.square()
    curvature = top * (column.square() + row.square()) + 2 * sigma * column * row
    bend = torch.where(resolved, curvature, 0) / torch.where(resolved, gap, 1)
    return top + column[0] + bend.sum() / 2


def project_rows(weight: Tensor, radius: float) -> Tensor:
    """Each row of W moved to the nearest point of the ball Σ_k |w_k| ≤ `radius`.

    w_k → sign(w_k) max(|w_k| − θ, 0), with one θ a row, found among the sorted entries.

    Paper: "Efficient Projections onto the l1-Ball for Learning in High Dimensions", ICML 2008.
    """
    size = weight.abs()
    descending = size.sort(dim=1, descending=True).values
    count = torch.arange(1, weight.shape[1] + 1, dtype=weight.dtype, device=weight.device)
    # With the k largest entries left, θ would be levels[k]; as many are left as exceed it.
    levels = (descending.cumsum(1) - radius) / count
    left = (descending > levels).sum(1, keepdim=True).clamp(min=1)
    theta = levels.gather(1, left - 1).clamp(min=0)
    return weight.sign() * (size - theta).clamp(min=0)
