# What a report or a tensor may lack is there in these tests; wrong kinds are given on purpose.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportAttributeAccessIssue=false

import copy
import warnings

import pytest
import torch

from gnnlib.fixed_point import (
    Anderson,
    FixedPointDivergence,
    FixedPointWarning,
    Implicit,
    Picard,
    Status,
    Stop,
    solve,
)

from .maps import Affine, joined


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_divergence_names_the_rate_and_the_remedies(dtype):
    f = Affine(norm=2.0, symmetric=True, dtype=dtype)
    with pytest.raises(FixedPointDivergence) as caught:
        solve(f, f.start, lipschitz=2.0, solver=Picard())
    text = str(caught.value)
    assert "Lipschitz bound is 2" in text and "Contraction(kappa=0.9)" in text
    assert caught.value.graphs == [0]
    assert caught.value.report.status[0] in (Status.DIVERGED, Status.NONFINITE)
    assert f"{caught.value.report.rate.item():.3g}" in text


def test_divergence_in_a_batch_names_the_graphs():
    f, z0, ptr, _ = joined([Affine(), Affine(norm=3.0, symmetric=True), Affine(norm=4.0, seed=2)])
    with pytest.raises(FixedPointDivergence, match=r"in 2 of 3 graphs \(1, 2\)") as caught:
        solve(f, z0, segments=ptr, solver=Picard())
    assert caught.value.graphs == [1, 2]


def test_nan_at_the_start_is_no_matter_of_steps():
    f = Affine()
    f.bias[2, 1] = torch.nan
    with pytest.raises(FixedPointDivergence, match="look for NaN or infinity in x"):
        solve(f, f.start)


def test_a_certified_map_that_meets_nan_is_not_told_to_contract():
    steps = []

    def f(z):
        steps.append(1)
        return 0.9 * z + (torch.nan if len(steps) == 4 else 1.0)

    with pytest.raises(FixedPointDivergence, match="certified contraction"):
        solve(f, torch.zeros(3), lipschitz=0.9)


def test_max_iter_is_a_warning_with_the_residual_reached():
    f = Affine(norm=0.99, symmetric=True)
    with pytest.warns(FixedPointWarning, match=r"max_iter=7 steps: residual \d\.\de-\d+ is above"):
        _, report = solve(f, f.start, stop=Stop(max_iter=7))
    assert report.status == [Status.MAX_ITER] and not report.all_converged
    assert report.iterations.item() == 7


def test_a_warning_at_max_iter_promises_no_end_where_there_is_none():
    with pytest.warns(FixedPointWarning, match=r"rate 1\.01 a step; such steps do not converge"):
        solve(lambda z: 1.01 * z + 1, torch.zeros(3), solver=Picard(), stop=Stop(max_iter=20))
    with pytest.warns(FixedPointWarning, match="a larger max_iter or tol, or a smaller kappa"):
        solve(lambda z: 0.99 * z + 1, torch.zeros(3), solver=Picard(), stop=Stop(max_iter=20))


def test_warn_warns_of_both_and_ignore_of_none():
    f = Affine(norm=3.0, symmetric=True)
    with pytest.warns(FixedPointWarning, match="diverges"):
        solve(f, f.start, on_fail="warn", solver=Picard())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, report = solve(f, f.start, on_fail="ignore", solver=Picard())
    assert report.status == [Status.DIVERGED]


@pytest.mark.parametrize("solver", ["gmres", "anderson", "picard"])
def test_a_failed_adjoint_is_never_silent(solver):
    f = Affine(norm=0.99, symmetric=True)
    f.bias.requires_grad_()
    z, report = solve(f, f.start, backward=Implicit(solver, max_iter=3), solver=Anderson())
    with pytest.warns(FixedPointWarning, match="linear system is not solved: residual"):
        z.sum().backward()
    assert not report.backward.all_converged


def test_a_gradient_that_is_not_finite_is_an_error():
    f = Affine()
    f.bias.requires_grad_()
    z, _ = solve(f, f.start)
    with pytest.raises(FixedPointDivergence, match="linear system"):
        (z * torch.inf).sum().backward()


def test_growth_that_a_nilpotent_map_has_is_no_divergence():
    shift = torch.diag(torch.full((39,), 9.0, dtype=torch.float64), -1)
    z0 = torch.zeros(40, 1, dtype=torch.float64)
    _, report = solve(lambda z: shift @ z + 1, z0, nilpotent=40)
    assert report.all_converged


def test_a_report_is_one_line():
    f = Affine(norm=0.5)
    f.bias.requires_grad_()
    z, report = solve(f, f.start, lipschitz=0.5)
    z.sum().backward()
    text = str(report)
    assert "\n" not in text and "certified" in text and "backward converged in" in text


def test_an_error_can_be_copied():
    """And so be sent from one process to another, which goes by the same way."""
    with pytest.raises(FixedPointDivergence) as caught:
        solve(lambda z: z + torch.nan, torch.zeros(3))
    error = copy.deepcopy(caught.value)
    assert str(error) == str(caught.value) and error.graphs == [0]
    assert error.report.status == [Status.NONFINITE]


def test_what_is_not_finite_is_not_certified():
    _, report = solve(lambda z: z / 2 + torch.nan, torch.zeros(3), lipschitz=0.5, on_fail="ignore")
    assert not report.certified and report.lipschitz_bound is None and report.error_bound is None
