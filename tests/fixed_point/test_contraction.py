from typing import Any

import numpy as np
import pytest
import torch

from gnnlib.fixed_point import Contraction
from gnnlib.fixed_point.contraction import project_rows, spectral_norm

SHAPES = [(4, 4), (3, 5), (5, 3), (1, 4), (4, 1), (1, 1)]
HARD: list[Any] = ["auto", "spectral", "inf_projection"]


def _weights(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, dtype=torch.float64)


def _norm(method: str, weight: torch.Tensor) -> float:
    """The norm that a method bounds."""
    order = float("inf") if method == "inf_projection" else 2
    return float(torch.linalg.matrix_norm(weight, order))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-30, 0.1, 10.0, 1e30])
@pytest.mark.parametrize("method", HARD)
def test_the_bound_holds_for_every_weight(method, scale, shape):
    contraction = Contraction(0.7, method)
    weight = _weights(*shape, scale=scale)
    assert _norm(method, contraction(weight)) <= 0.7 * (1 + 1e-12)
    for factors in (2, 3):
        norm = _norm(method, contraction(weight, factors))
        assert norm <= 0.7 ** (1 / factors) * (1 + 1e-12)


@pytest.mark.parametrize("method", HARD)
def test_a_weight_inside_the_bound_stays_as_it_is(method):
    for weight in (_weights(4, 4, scale=0.05), torch.zeros(4, 4), 0.7 * torch.eye(4)):
        assert torch.equal(Contraction(0.7, method)(weight), weight)


def test_a_penalty_leaves_the_weight_alone():
    weight = _weights(4, 4, scale=10.0)
    contraction = Contraction(0.7, "penalty")
    assert contraction(weight) is weight
    assert not contraction.is_hard and Contraction(0.7).is_hard


def test_the_penalty_is_that_of_the_paper():
    sums = torch.tensor([0.2, 0.7, 1.0, 1.7])
    torch.testing.assert_close(Contraction(0.7, "penalty").penalty(sums), torch.tensor(1.09))


def test_the_spectral_method_keeps_directions():
    weight = _weights(4, 4, scale=10.0)
    bounded = Contraction(0.7)(weight)
    torch.testing.assert_close(bounded * torch.linalg.matrix_norm(weight, 2) / 0.7, weight)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_spectral_norm_is_exact_with_two_derivatives(shape):
    weight = _weights(*shape).requires_grad_()
    torch.testing.assert_close(spectral_norm(weight), torch.linalg.matrix_norm(weight, 2))
    assert torch.autograd.gradcheck(spectral_norm, weight, atol=1e-6, rtol=1e-6)
    assert torch.autograd.gradgradcheck(spectral_norm, weight, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("method", HARD)
@pytest.mark.parametrize("scale", [0.01, 5.0])
def test_gradients_flow_through_the_bound(scale, method):
    weight = _weights(4, 4, scale=scale).requires_grad_()
    contraction = Contraction(0.7, method)
    assert torch.autograd.gradcheck(contraction, weight, atol=1e-6, rtol=1e-6)
    assert torch.autograd.gradgradcheck(contraction, weight, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("method", HARD)
@pytest.mark.parametrize(
    "weight",
    [torch.zeros(3, 3), 0.7 * torch.eye(3), 2 * torch.eye(3), torch.ones(3, 3), torch.zeros(2, 3)],
    ids=["zero", "at_the_bound", "all_singular_values_alike", "ties", "zero_rectangle"],
)
def test_gradients_are_finite_at_the_kinks(weight, method):
    weight = weight.clone().requires_grad_()
    out = Contraction(0.7, method)(weight)
    (grad,) = torch.autograd.grad(out.square().sum(), weight, create_graph=True)
    assert grad.isfinite().all()
    if grad.requires_grad:
        assert torch.autograd.grad(grad.square().sum(), weight)[0].isfinite().all()


def test_at_the_bound_the_gradient_is_that_of_the_weight_itself():
    weight = (0.9 * torch.eye(5)).requires_grad_()
    seed = torch.randn(5, 5)
    (grad,) = torch.autograd.grad(Contraction(0.9)(weight), weight, seed)
    assert torch.equal(grad, seed)


def test_a_weight_that_is_not_finite_stays_visible():
    weight = torch.eye(3)
    weight[0, 1] = torch.nan
    for method in HARD:
        assert Contraction(0.7, method)(weight).isnan().any()


def _projected_row(row: np.ndarray, radius: float) -> np.ndarray:
    """θ by bisection of Σ max(|w| − θ, 0) = radius."""
    if np.abs(row).sum() <= radius:
        return row
    low, high = 0.0, np.abs(row).max()
    for _ in range(200):
        theta = (low + high) / 2
        inside = np.maximum(np.abs(row) - theta, 0).sum() <= radius
        low, high = (low, theta) if inside else (theta, high)
    return np.sign(row) * np.maximum(np.abs(row) - theta, 0)


def test_the_projection_is_the_nearest_point_of_the_ball():
    weight = torch.cat([_weights(20, 7), _weights(20, 7, scale=0.05), torch.ones(1, 7).double()])
    expected = np.stack([_projected_row(row, 0.8) for row in weight.numpy()])
    torch.testing.assert_close(project_rows(weight, 0.8), torch.from_numpy(expected))


@pytest.mark.parametrize("kappa", [0, 1, -0.1, 1.5, float("nan")])
def test_kappa_must_be_inside_zero_and_one(kappa):
    with pytest.raises(ValueError, match=f"kappa must be strictly between 0 and 1, got {kappa}"):
        Contraction(kappa)


def test_bad_options_are_named():
    with pytest.raises(TypeError, match="kappa must be a number, got '0.9'"):
        Contraction("0.9")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="method must be one of 'spectral', .*; got 'spectre'"):
        Contraction(0.9, "spectre")  # pyright: ignore[reportArgumentType]
