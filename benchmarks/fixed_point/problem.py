"""The function that every solver gets, on Cora, and a float64 solve to hold gradients against.

    Z = relu(Â Z Wᵀ + B),  W = κ I,  B = Â X R,  R = 0.3 randn(1433, 64)

Â is the adjacency normalised as GCN has it, with self-loops, X the row-normalised words. The loss
is Σ G ∘ Z with G = randn(2708, 64), so the adjoint fixed point is U = G + Jᵀ U. It starts at zero.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import graphs
from gnnlib import Graph, ops

STATES = 64


class Problem(NamedTuple):
    """Z ← step(Z), with what is differentiated and the gradient of the loss by Z."""

    step: Callable[[Tensor], Tensor]
    weight: Tensor  # W [S, S], S = 64
    forcing: Tensor  # B [N, S]
    start: Tensor  # zeros [N, S]
    cotangent: Tensor  # G [N, S]

    def gradients(self, state: Tensor) -> tuple[Tensor, ...]:
        """Those of the loss by W and B, from a differentiable state."""
        return torch.autograd.grad((state * self.cotangent).sum(), [self.weight, self.forcing])


@functools.cache
def graph() -> Graph:
    return graphs.cora()


def cora(kappa: float, seed: int = 0, dtype: torch.dtype = torch.float32) -> Problem:
    adj = graph().adj.with_loops()
    scale = adj.degree(dtype=dtype).rsqrt()
    structure = adj.ptr, adj.col
    options = {
        "eid": adj.eid,
        "row_scale": scale,
        "col_scale": scale,
        "transpose": adj.transpose,
    }
    generator = torch.Generator().manual_seed(seed)
    num_nodes, num_words = graph().x.shape
    mixing = 0.3 * torch.randn(num_words, STATES, generator=generator)
    cotangent = torch.randn(num_nodes, STATES, generator=generator).to(dtype)
    words = graph().x.to_dense() @ mixing
    forcing = ops.spmm(*structure, words.to(dtype), **options).requires_grad_()
    weight = (kappa * torch.eye(STATES, dtype=dtype)).requires_grad_()

    def step(state: Tensor) -> Tensor:
        return (ops.spmm(*structure, state @ weight.t(), **options) + forcing).relu()

    return Problem(step, weight, forcing, torch.zeros_like(forcing), cotangent)


@functools.cache
def exact(kappa: float, seed: int = 0) -> tuple[Tensor, ...]:
    """The gradients in float64, by plain steps down to a residual of 1e-13."""
    problem = cora(kappa, seed, torch.float64)
    with torch.no_grad():
        state = iterate(problem.step, problem.start)
    state.requires_grad_()
    image = problem.step(state)

    def adjoint(u: Tensor) -> Tensor:
        return torch.autograd.grad(image, state, u, retain_graph=True)[0] + problem.cotangent

    u = iterate(adjoint, torch.zeros_like(state))
    return torch.autograd.grad(image, [problem.weight, problem.forcing], u)


def iterate(step: Callable[[Tensor], Tensor], state: Tensor, tol: float = 1e-13) -> Tensor:
    while True:
        image = step(state)
        done = bool((image - state).norm() <= tol * image.norm())
        state = image
        if done:
            return state


def errors(gradients: tuple[Tensor, ...], reference: tuple[Tensor, ...]) -> list[float]:
    """‖gradient − reference‖ / ‖reference‖, of each."""
    pairs = zip(gradients, reference, strict=True)
    return [float((ours.double() - true).norm() / true.norm()) for ours, true in pairs]
