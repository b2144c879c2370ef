# What a report or a tensor may lack is there in these tests; wrong kinds are given on purpose.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import pytest
import torch

from gnnlib.fixed_point import (
    Anderson,
    Auto,
    Implicit,
    Lipschitz,
    Phantom,
    Picard,
    Status,
    Stop,
    Unrolled,
    solve,
)
from gnnlib.fixed_point.anderson import _mixture

from .maps import Affine, joined

SOLVERS = [Auto(), Picard(), Picard(damping=0.5), Anderson(), Anderson(m=2), Anderson(damping=0.8)]


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("kind", ["graph", "node", "error"])
def test_every_solver_finds_the_fixed_point_by_every_rule(solver, kind):
    f = Affine(norm=0.9)
    stop = Stop(tol=1e-9, kind=kind, max_iter=500)
    z, report = solve(f, f.start, solver=solver, stop=stop, lipschitz=0.9)
    assert torch.allclose(z, f.fixed_point, rtol=1e-7)
    assert report.status == [Status.CONVERGED] and report.residual.item() <= 1e-9
    assert report.evaluations == report.iterations.item() == report.history[-1][0]
    assert report.node_updates == 5 * report.evaluations


def test_a_state_of_n_rows_is_one_problem_not_n():
    _, report = solve(f := Affine(rows=7), f.start)
    assert report.iterations.shape == (1,)


@pytest.mark.parametrize("shape", [(), (4,), (3, 2, 2), (0, 3), (3, 0)])
def test_states_may_have_any_shape(shape):
    z, report = solve(lambda z: 0.5 * z + 1, torch.zeros(shape))
    assert z.shape == shape and torch.allclose(z, torch.full(shape, 2.0))
    assert report.all_converged


def test_the_value_is_the_same_with_and_without_gradients():
    f = Affine()
    expected, _ = solve(f, f.start)
    f.weight.requires_grad_()
    z, _ = solve(f, f.start)
    with torch.no_grad():
        plain, _ = solve(f, f.start)
    assert torch.equal(z, expected) and torch.equal(plain, expected)
    assert z.requires_grad and not plain.requires_grad


@pytest.mark.parametrize("factor", [1e-18, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("solver", [Picard(), Anderson()], ids=str)
@pytest.mark.parametrize("kind", ["graph", "node"])
def test_the_scale_of_a_problem_changes_nothing(factor, solver, kind):
    """Absolute tolerances, and absolute regularisers, would."""
    f = Affine(norm=0.99, dtype=torch.float32, symmetric=True)
    stop = Stop(tol=1e-5, kind=kind, max_iter=2000)
    _, report = solve(f, f.start, solver=solver, stop=stop)
    f.bias = f.bias * factor
    _, scaled = solve(f, f.start, solver=solver, stop=stop)
    assert abs(report.iterations.item() - scaled.iterations.item()) <= 2
    assert scaled.all_converged


def test_a_dtype_is_not_asked_for_more_digits_than_it_has():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        z, report = solve(lambda z: 0.5 * z + 1, torch.zeros(3, dtype=dtype), stop=Stop(tol=1e-12))
        assert report.tol == 16 * torch.finfo(dtype).eps and report.all_converged
        assert z.dtype == dtype


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_a_start_at_the_fixed_point_takes_one_step(solver):
    f = Affine()
    _, report = solve(f, f.fixed_point, solver=solver)
    assert report.iterations.item() == 1


def test_auto_predicts_how_many_plain_steps_remain():
    fast, slow = Affine(norm=0.3), Affine(norm=0.99, symmetric=True)
    assert solve(fast, fast.start)[1].solver == "auto: picard"
    _, report = solve(slow, slow.start)
    assert report.solver == "auto: anderson"
    _, plain = solve(slow, slow.start, solver=Picard(), stop=Stop(max_iter=5000))
    assert report.iterations.item() < plain.iterations.item() / 10


def test_anderson_survives_a_singular_system():
    """All residuals are parallel from the second step on."""
    z, report = solve(
        lambda z: 0.9 * z + 1, torch.zeros(6), solver=Anderson(), stop=Stop(tol=1e-12)
    )
    assert report.all_converged and torch.allclose(z, torch.full((6,), 10.0))
    z, report = solve(lambda z: torch.ones(6), torch.zeros(6), solver=Anderson())
    assert report.iterations.item() == 2


def test_a_rate_is_that_of_plain_steps():
    f = Affine(norm=0.8, symmetric=True)
    _, report = solve(f, f.start, solver=Picard(), stop=Stop(tol=1e-10))
    assert report.rate.item() == pytest.approx(0.8, abs=0.02)
    _, rare = solve(f, f.start, solver=Picard(), stop=Stop(tol=1e-10, check_every=4))
    assert rare.rate.item() == pytest.approx(0.8, abs=0.02)
    assert [step for step, _ in rare.history] == list(range(4, rare.evaluations + 1, 4))


@pytest.mark.parametrize("norm", ["frobenius", "node"])
def test_the_error_bound_holds(norm):
    f = Affine(rows=6, norm=0.95)
    bound = Lipschitz(0.95, norm)
    for max_iter in (1, 3, 10, 30):
        stop = Stop(tol=1e-9, max_iter=max_iter)
        z, report = solve(f, f.start, stop=stop, lipschitz=bound, on_fail="ignore")
        error = torch.linalg.vector_norm(z - f.fixed_point, dim=1)
        error = error.norm() if norm == "frobenius" else error.max()
        assert error <= report.error_bound.item() * (1 + 1e-9)
    assert report.certified and report.lipschitz_bound == 0.95 and report.norm == norm


def test_stopping_by_error_bounds_the_relative_error():
    f = Affine(norm=0.97, symmetric=True)
    z, _ = solve(f, f.start, stop=Stop(tol=1e-6, kind="error"), lipschitz=0.97)
    assert (z - f.fixed_point).norm() <= 1e-6 * z.norm()


def test_a_small_error_is_not_asked_of_float32_where_rounding_alone_is_larger():
    f = Affine(rows=50, norm=0.999, dtype=torch.float32, symmetric=True)
    stop = Stop(tol=1e-7, kind="error", max_iter=20_000)
    _, report = solve(f, f.start, stop=stop, lipschitz=Lipschitz(0.999, "node"), solver=Picard())
    assert report.all_converged and report.tol == pytest.approx(16 * 999 * 2**-23)


def test_without_a_bound_nothing_is_certified():
    _, report = solve(f := Affine(), f.start)
    assert not report.certified and report.lipschitz_bound is None and report.error_bound is None


def test_a_nilpotent_map_is_exact_after_its_steps_whatever_max_iter():
    shift = torch.diag(torch.full((29,), 7.0, dtype=torch.float64), -1)  # expands, yet ends
    start = torch.zeros(30, 1, dtype=torch.float64)
    bias = torch.zeros_like(start).index_fill(0, torch.tensor([0]), 1.0)
    z, report = solve(lambda z: shift @ z + bias, start, nilpotent=30, stop=Stop(max_iter=3))
    assert report.iterations.item() == 30 and report.all_converged and report.residual == 0
    assert torch.allclose(z.squeeze(), 7.0 ** torch.arange(30, dtype=torch.float64), rtol=1e-14)


def test_the_rule_by_node_sees_what_the_sum_over_nodes_does_not():
    """What arrives at the far end of a chain is a 1e-12th of what is at its beginning."""
    chain = torch.diag(torch.full((39,), 0.5), -1)
    bias = torch.zeros(40, 1).index_fill(0, torch.tensor([0]), 1.0)
    expected = 0.5 ** torch.arange(40)
    for kind, last in (("node", expected[-1]), ("graph", 0)):
        stop = Stop(kind=kind)
        z, _ = solve(lambda z: chain @ z + bias, torch.zeros(40, 1), stop=stop, solver=Picard())
        assert z[-1] == last


# Batches


def test_each_problem_of_a_batch_stops_as_it_would_alone():
    maps = [Affine(rows=n, norm=k, seed=n) for n, k in ((3, 0.2), (5, 0.9), (1, 0.6), (4, 0.99))]
    f, z0, ptr, narrow = joined(maps)
    alone = [solve(m, m.start) for m in maps]
    for small in (None, narrow):
        z, report = solve(f, z0, segments=ptr, narrow=small)
        steps = torch.cat([r.iterations for _, r in alone])
        assert (report.iterations - steps).abs().max() <= 1  # rounding may take or save one
        assert torch.allclose(z, torch.cat([z for z, _ in alone]), atol=1e-5)
        assert report.all_converged and report.evaluations == max(report.iterations)
        rate = torch.cat([r.rate for _, r in alone])
        assert torch.allclose(report.rate, rate, equal_nan=True, rtol=1e-6)
    assert report.node_updates < 0.6 * report.evaluations * 13


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_every_solver_solves_a_batch_with_compaction(solver):
    maps = [Affine(rows=n % 4, norm=0.1 * n, seed=n) for n in range(1, 10)]
    f, z0, ptr, narrow = joined(maps)
    stop = Stop(tol=1e-10, max_iter=1000)
    z, report = solve(f, z0, segments=ptr, narrow=narrow, solver=solver, stop=stop)
    assert report.all_converged
    assert torch.allclose(z, torch.cat([m.fixed_point for m in maps]), rtol=1e-7)


def test_one_diverging_problem_leaves_the_others_alone():
    maps = [Affine(norm=0.5), Affine(norm=3.0, symmetric=True), Affine(norm=0.7)]
    f, z0, ptr, narrow = joined(maps)
    z, report = solve(f, z0, segments=ptr, narrow=narrow, on_fail="ignore", solver=Picard())
    assert report.status == [Status.CONVERGED, Status.DIVERGED, Status.CONVERGED]
    assert torch.allclose(z[10:], maps[2].fixed_point, atol=1e-5)


def test_an_empty_batch_and_empty_problems_have_arrived():
    for counts in ([0], [0, 0, 0], [0, 0, 2, 2]):
        ptr = torch.tensor(counts)
        z, report = solve(lambda z: 0.5 * z + 1, torch.zeros(counts[-1], 3), segments=ptr)
        assert report.all_converged and report.residual.shape == (len(counts) - 1,)
        assert torch.allclose(z, torch.full_like(z, 2.0))


# Options


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"solver": "anderson"}, TypeError, "solver must be"),
        ({"stop": "error"}, TypeError, "stop must be a Stop"),
        ({"backward": 3}, TypeError, "backward must be"),
        ({"on_fail": "explode"}, ValueError, "on_fail must be one of"),
        ({"stop": Stop(kind="error")}, ValueError, "needs a Lipschitz bound below 1, got None"),
        ({"stop": Stop(kind="error"), "lipschitz": 1.5}, ValueError, "below 1, got 1.5"),
        ({"lipschitz": -1.0}, ValueError, "bound must be 0 or more"),
        ({"nilpotent": 0}, ValueError, "nilpotent must be"),
        ({"segments": [0, 5]}, TypeError, "segments must be a tensor"),
        ({"segments": torch.tensor([0, 4])}, ValueError, "rise from 0 to the 5 rows"),
        ({"segments": torch.tensor([0, 3, 2, 5])}, ValueError, "rise from 0 to the 5 rows"),
        ({"stop_mode": "rel"}, TypeError, "stop_mode"),
    ],
)
def test_an_option_that_is_wrong_or_unknown_is_refused(options, error, text):
    f = Affine()
    with pytest.raises(error, match=text):
        solve(f, f.start, **options)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Stop(tol=0), ValueError),
        (lambda: Stop(tol=float("nan")), ValueError),
        (lambda: Stop(tol="small"), TypeError),
        (lambda: Stop(kind="abs"), ValueError),
        (lambda: Stop(max_iter=0), ValueError),
        (lambda: Stop(check_every=1.5), TypeError),
        (lambda: Picard(damping=0), ValueError),
        (lambda: Picard(damping=1.1), ValueError),
        (lambda: Anderson(m=0), ValueError),
        (lambda: Implicit("lu"), ValueError),
        (lambda: Implicit(tol=-1), ValueError),
        (lambda: Implicit(restart=0), ValueError),
        (lambda: Phantom(k=0), ValueError),
        (lambda: Phantom(tau=0), ValueError),
        (lambda: Unrolled(0), ValueError),
        (lambda: Lipschitz(0.5, "max"), ValueError),
        (lambda: Lipschitz(0.5, certified=False), ValueError),
    ],
)
def test_settings_out_of_their_range_are_refused(make, error):
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(
    ("f", "z0", "error", "text"),
    [
        (lambda z: z[:2], torch.zeros(3), ValueError, "fn must keep the shape"),
        (lambda z: z.double(), torch.zeros(3), ValueError, "fn must keep the shape"),
        (lambda z: None, torch.zeros(3), TypeError, "fn must return a tensor"),
        (3, torch.zeros(3), TypeError, "fn must be callable"),
        (lambda z: z, [0.0], TypeError, "z0 must be a tensor"),
        (lambda z: z, torch.zeros(3, dtype=torch.long), TypeError, "z0 must be a floating tensor"),
    ],
)
def test_a_map_or_a_start_of_a_wrong_kind_is_refused(f, z0, error, text):
    with pytest.raises(error, match=text):
        solve(f, z0)


def test_auto_takes_plain_steps_where_each_row_counts():
    """Anderson fits the large rows: those far away, yet to be reached, would take its noise."""
    path = 0.45 * (torch.diag(torch.ones(99), 1) + torch.diag(torch.ones(99), -1))
    bias = torch.zeros(100, 1).index_fill(0, torch.tensor([0]), 1.0)
    stop = Stop(kind="node", max_iter=1000)
    z, report = solve(lambda z: path @ z + bias, torch.zeros(100, 1), stop=stop, lipschitz=0.9)
    exact = torch.linalg.solve(torch.eye(100).double() - path.double(), bias.double())
    assert report.all_converged and report.solver == "auto: picard"
    assert torch.allclose(z.double(), exact, rtol=1e-3, atol=0)


def test_rounding_in_the_products_of_residuals_does_not_lead_astray():
    """A ridge below the rounding error of float32 lets noise choose the mix; on a certified
    contraction the state then ran away."""
    rates = torch.tensor([0.9, 0.6, 0.2])
    for seed in range(50):
        basis = torch.randn(3, 4000, generator=torch.Generator().manual_seed(seed))
        residuals = torch.stack([rates**k @ basis for k in range(8)])
        gram = torch.stack([residuals @ r for r in residuals]).double()
        ridge = 8 * torch.finfo(torch.float32).eps
        known = torch.ones(1, 8, dtype=torch.bool)
        (alpha,) = _mixture(gram[None], known, 7, ridge)
        mixed = torch.linalg.vector_norm(alpha @ residuals.double())
        assert mixed <= 2e-3 * torch.linalg.vector_norm(residuals[-1])


@pytest.mark.parametrize("factor", [1e-28, 1e28])
def test_numbers_whose_squares_float32_does_not_hold_are_measured_too(factor):
    z, report = solve(lambda z: 0.5 * z + factor, torch.zeros(3, 4), lipschitz=0.5)
    assert torch.allclose(z / factor, torch.full((3, 4), 2.0), rtol=1e-5)
    assert report.all_converged and report.error_bound is not None
    error = torch.linalg.vector_norm(z.double() - 2 * factor).item()
    rounding = torch.finfo(torch.float32).eps * torch.linalg.vector_norm(z.double()).item()
    assert 0 < report.error_bound.item() < 10 * error
    assert error <= report.error_bound.item() + 2 * rounding


def test_in_a_batch_each_nilpotent_problem_is_exact_by_itself():
    shift = torch.diag(torch.full((29,), 1.5, dtype=torch.float64), -1)
    slow = Affine(rows=3, size=1, norm=0.99)
    bias = torch.zeros(30, 1, dtype=torch.float64).index_fill(0, torch.tensor([0]), 1.0)

    def f(z):
        return torch.cat([shift @ z[:30] + bias, slow(z[30:])])

    for check_every in (1, 7):
        z, report = solve(
            f, torch.zeros(33, 1).double(), segments=torch.tensor([0, 30, 33]),
            nilpotent=torch.tensor([30, 0]), stop=Stop(max_iter=20, check_every=check_every),
        )  # fmt: skip
        assert report.status == [Status.CONVERGED, Status.CONVERGED]
        assert report.iterations.tolist()[0] == 30 and report.solver == "auto: anderson"
        assert torch.allclose(z[:30, 0], 1.5 ** torch.arange(30).double(), rtol=1e-14)
        assert torch.allclose(z[30:], slow.fixed_point, rtol=1e-5)
    _, report = solve(
        f, torch.zeros(33, 1).double(), segments=torch.tensor([0, 30, 33]), solver=Picard(),
        nilpotent=torch.tensor([30, 0]), stop=Stop(max_iter=20), on_fail="ignore",
    )  # fmt: skip
    assert report.status == [Status.CONVERGED, Status.MAX_ITER]
    assert report.iterations.tolist() == [30, 20]
