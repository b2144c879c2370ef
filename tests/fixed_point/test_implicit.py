# What a report or a tensor may lack is there in these tests; wrong kinds are given on purpose.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from gnnlib.fixed_point import Anderson, Implicit, Phantom, Picard, Stop, Unrolled, solve

from .maps import Affine, joined

TIGHT = Stop(tol=1e-12, max_iter=400)
METHODS = [Implicit("gmres"), Implicit("anderson"), Implicit("picard"), Implicit(restart=2)]


def tanh_map(weight, bias):
    return lambda z: torch.tanh(z @ weight.T + bias)


def inputs(rows=3, size=2, norm=0.7):
    f = Affine(rows, size, norm)
    return f.weight.requires_grad_(), f.bias.requires_grad_()


@pytest.mark.parametrize("backward", [*METHODS, Unrolled(60)], ids=str)
@pytest.mark.parametrize("segments", [None, torch.tensor([0, 1, 1, 3])], ids=["one", "batch"])
def test_the_gradient_is_that_of_the_fixed_point(backward, segments):
    def run(weight, bias):
        f, z0 = tanh_map(weight, bias), torch.zeros_like(bias)
        return solve(f, z0, stop=TIGHT, backward=backward, segments=segments)[0]

    assert gradcheck(run, inputs(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("backward", METHODS[:2], ids=str)
@pytest.mark.parametrize("segments", [None, torch.tensor([0, 2, 3])], ids=["one", "batch"])
def test_so_is_the_gradient_of_the_gradient(backward, segments):
    def run(weight, bias):
        f, z0 = tanh_map(weight, bias), torch.zeros_like(bias)
        return solve(f, z0, stop=TIGHT, backward=backward, segments=segments)[0]

    assert gradgradcheck(run, inputs(norm=0.4), atol=1e-6, rtol=1e-6)


def test_a_third_derivative_is_right_too():
    k = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    z, _ = solve(lambda z: k * z + 1, torch.zeros(1, dtype=torch.float64), stop=TIGHT)
    for order in range(1, 4):  # z = 1 / (1 − k)
        (z,) = torch.autograd.grad(z.sum(), k, create_graph=True)
        factorial = [1, 1, 2, 6][order]
        assert z.item() == pytest.approx(factorial / 0.6 ** (order + 1), rel=1e-9)


def test_a_tensor_made_of_another_captured_one_is_counted_once():
    weight, bias = inputs()

    def run(weight, bias):
        double = 2 * bias  # both are taken from outside
        f = lambda z: torch.tanh(z @ weight.T + double * bias)  # noqa: E731
        return solve(f, torch.zeros_like(bias), stop=TIGHT)[0]

    assert gradcheck(run, (weight, bias), atol=1e-6)
    assert gradgradcheck(run, (weight, bias), atol=1e-5)


def test_an_unsymmetric_map_has_the_gradient_of_its_transpose():
    """IGNN's code assumes symmetry, and is wrong by its own size on directed graphs."""
    nilpotent = torch.tensor([[0.0, 5.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    z, _ = solve(lambda z: nilpotent @ z + bias, torch.zeros_like(bias), stop=TIGHT)
    z[0].sum().backward()
    assert torch.allclose(nilpotent.grad, torch.tensor([[11.0, 2.0], [55.0, 10.0]]).double())


def test_two_forwards_before_one_backward():
    """Hooks kept on a module, as others have them, mix the two up."""
    layer = nn.Linear(3, 3).double()
    with torch.no_grad():
        layer.weight.mul_(0.3)
    first, second = torch.randn(2, 4, 3, dtype=torch.float64)

    def run(x):
        return solve(lambda z: torch.tanh(layer(z) + x), torch.zeros_like(x), stop=TIGHT)[0]

    one, two = run(first), run(second)
    (one.sum() + 2 * two.sum()).backward()
    both = layer.weight.grad.clone()
    layer.zero_grad()
    run(first).sum().backward()
    (2 * run(second)).sum().backward()
    assert torch.allclose(both, layer.weight.grad, rtol=1e-9)


def test_gradients_are_the_same_in_eval_mode():
    layer = nn.Linear(3, 3).double().eval()
    with torch.no_grad():
        layer.weight.mul_(0.3)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    f = lambda x: solve(lambda z: torch.tanh(layer(z) + x), torch.zeros_like(x), stop=TIGHT)[0]  # noqa: E731
    assert gradcheck(f, x, atol=1e-6)


def test_a_graph_can_be_gone_through_twice():
    f = Affine()
    f.bias.requires_grad_()
    z, _ = solve(f, f.start, stop=TIGHT)
    z.sum().backward(retain_graph=True)
    once = f.bias.grad.clone()
    z.sum().backward()
    assert torch.equal(f.bias.grad, 2 * once)


def test_only_what_needs_a_gradient_gets_one():
    f = Affine()
    z, report = solve(f, f.start)
    assert not z.requires_grad and report.backward is None
    f.weight.requires_grad_()
    z, report = solve(f, f.start)
    z.sum().backward()
    assert f.weight.grad is not None and f.bias.grad is None and f.start.grad is None
    assert report.backward.all_converged


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


def test_an_autograd_function_in_the_map_has_its_gradient_and_refuses_the_second():
    """What goes to it is not seen, so a second derivative would be wrong: it is refused."""
    c = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def run(c):
        return solve(lambda z: 0.3 * z + Square.apply(c), torch.zeros(1).double(), stop=TIGHT)[0]

    assert gradcheck(run, c)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(run(c).sum(), c, create_graph=True)


def test_a_message_passing_layer_in_the_map_has_its_gradients():
    from gnnlib import Graph
    from gnnlib.conv import MessagePassing

    class Blocks(MessagePassing):
        def __init__(self):
            super().__init__(reduce="mean")
            self.weight = nn.Parameter(0.3 * torch.eye(2, dtype=torch.float64))

        def forward(self, x, graph):
            return self.propagate(graph, src=x)

        def message(self, src, dst, edge):
            return torch.tanh(src @ self.weight)

    graph = Graph([[0, 1, 2, 2], [1, 2, 0, 1]], num_nodes=3)
    conv, bias = Blocks(), torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

    def run(weight, bias):
        conv.weight.data = weight.detach()
        f = lambda z: conv(z, graph) + bias + 0 * weight.sum()  # noqa: E731
        return solve(f, torch.zeros_like(bias), stop=TIGHT)[0]

    z = run(conv.weight, bias)
    found = torch.autograd.grad((z**2).sum(), (conv.weight, bias))
    z = solve(lambda z: conv(z, graph) + bias, torch.zeros_like(bias), backward=Unrolled(80))[0]
    expected = torch.autograd.grad((z**2).sum(), (conv.weight, bias))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-8)


@pytest.mark.parametrize("norm", [0.3, 0.95])
def test_each_gradient_of_a_batch_is_solved_for_itself(norm):
    maps = [Affine(rows=n, norm=k, seed=n) for n, k in ((3, 0.2), (5, norm), (1, 0.6))]
    weights = torch.tensor([1e-9, 1.0, 1e6], dtype=torch.float64).repeat_interleave(
        torch.tensor([3, 5, 1])
    )
    for m in maps:
        m.bias.requires_grad_()
    f, z0, ptr, narrow = joined(maps)
    z, report = solve(f, z0, segments=ptr, narrow=narrow, stop=Stop(tol=1e-9))
    (z * weights.unsqueeze(1)).sum().backward()
    assert report.backward.all_converged and report.backward.iterations.shape == (3,)
    for m, scale in zip(maps, (1e-9, 1.0, 1e6), strict=True):
        eye = torch.eye(4, dtype=torch.float64)
        expected = scale * torch.linalg.solve(eye - m.weight.T, torch.ones(4).double())
        assert torch.allclose(m.bias.grad, expected.expand_as(m.bias), rtol=1e-7, atol=0)


def test_plain_steps_serve_the_adjoint_where_they_are_fast():
    for norm, expected in ((0.3, "picard"), (0.95, "gmres")):
        f = Affine(norm=norm, symmetric=True)
        f.bias.requires_grad_()
        z, report = solve(f, f.start, solver=Picard(), stop=Stop(tol=1e-8, max_iter=1000))
        z.sum().backward()
        assert report.backward.solver == expected


def test_the_adjoint_of_a_nilpotent_map_is_exact():
    shift = torch.diag(torch.full((59,), 0.9, dtype=torch.float64), -1)
    bias = torch.zeros(60, 1, dtype=torch.float64, requires_grad=True)
    z, report = solve(lambda z: shift @ z + bias, torch.zeros_like(bias), nilpotent=60)
    z[-1].sum().backward()
    expected = 0.9 ** torch.arange(59, -1, -1, dtype=torch.float64)
    assert torch.allclose(bias.grad.squeeze(), expected, rtol=1e-12)
    assert report.backward.all_converged


@pytest.mark.parametrize("depth", [10, 400])
def test_what_is_kept_for_backward_does_not_grow_with_the_steps(depth):
    f = Affine(rows=50, size=8, norm=0.9, dtype=torch.float32, symmetric=True)
    f.weight.requires_grad_()
    f.bias.requires_grad_()
    kept: dict[int, int] = {}

    def pack(t):
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    stop = Stop(tol=0.5 if depth == 10 else 1e-9, max_iter=depth)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        solve(lambda z: torch.relu(f(z)), f.start, stop=stop, solver=Picard(), on_fail="ignore")
    assert sum(kept.values()) <= 2 * 50 * 8 * 4 + 8 * 8 * 4


def test_phantom_gradients_are_those_of_damped_steps_from_the_fixed_point():
    f = Affine(norm=0.6)
    f.bias.requires_grad_()
    z, _ = solve(f, f.start, stop=TIGHT, backward=Phantom(k=3, tau=0.7))
    z.sum().backward()
    expected, jacobian = torch.zeros(4).double(), torch.eye(4).double()
    for _ in range(3):
        expected = expected + 0.7 * jacobian.T @ torch.ones(4).double()
        jacobian = jacobian @ (0.3 * torch.eye(4).double() + 0.7 * f.weight)
    assert torch.allclose(f.bias.grad, expected.expand(5, 4), rtol=1e-9)


@pytest.mark.parametrize("backward", [Phantom(k=1, tau=0.1), Phantom(k=3, tau=0.5)], ids=str)
def test_phantom_steps_leave_the_result_within_its_error_bound(backward):
    k = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    z, report = solve(
        lambda z: k * z + 1, torch.zeros(3).double(), lipschitz=0.1, backward=backward,
        stop=Stop(tol=0.1),
    )  # fmt: skip
    assert (z - 1 / 0.9).norm().item() <= report.error_bound.item() * (1 + 1e-9)


def test_phantom_steps_leave_the_result_of_a_nilpotent_map_exact():
    weight = torch.diag(torch.ones(3), 1).requires_grad_()
    z, _ = solve(lambda z: weight @ z + 1, torch.zeros(4, 1), nilpotent=4, backward=Phantom())
    assert z.flatten().tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("solver", ["gmres", "anderson", "picard"])
@pytest.mark.parametrize("scale", [1e-27, 1e27])
def test_gradients_may_be_of_any_size(solver, scale):
    """In float32 the square of a number like these is 0 or infinite."""
    f = Affine(norm=0.8, dtype=torch.float32)
    f.bias.requires_grad_()
    z, report = solve(f, f.start, backward=Implicit(solver))
    (plain,) = torch.autograd.grad(z.sum(), f.bias, retain_graph=True)
    (scaled,) = torch.autograd.grad(z.sum() * scale, f.bias)
    assert report.backward.all_converged
    assert torch.allclose(scaled / scale, plain, rtol=1e-4)


def test_plain_steps_that_did_not_do_are_counted():
    """The rate of the first steps is not that of the adjoint: plain steps are tried, then GMRES."""
    slow = torch.tensor([0.5, 0.99], requires_grad=True)
    start = torch.tensor([0.0, 100.0])
    z, report = solve(lambda z: slow * z + 1, start, stop=Stop(tol=1e-4))
    z.sum().backward()
    assert report.rate.item() < 0.6 and report.backward.solver == "gmres"
    assert report.backward.iterations.item() > 200


def test_unrolling_backpropagates_through_its_steps_and_reports_the_last():
    f = Affine(norm=0.9)
    f.bias.requires_grad_()
    start = f.start.clone().requires_grad_()
    z, report = solve(f, start, backward=Unrolled(4))
    expected = start
    for _ in range(4):
        before, expected = expected, f(expected)
    assert torch.equal(z, expected)
    assert report.iterations.item() == 4 and not report.all_converged
    residual = ((expected - before).norm() / expected.norm()).item()
    assert report.residual.item() == pytest.approx(residual, rel=1e-9)
    z.sum().backward()
    assert start.grad is not None and f.bias.grad is not None


def test_unrolling_compiles_without_a_break():
    f = Affine(norm=0.9, dtype=torch.float32)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(z0):
        return solve(f, z0, backward=Unrolled(3))[0]

    assert torch.allclose(run(f.start), f(f(f(f.start))))


@pytest.mark.parametrize("twice", [False, True])
def test_what_a_solve_kept_is_gone_with_its_result(twice):
    """Without the help of the garbage collector, which would come late in a training loop."""
    weight, bias = inputs()
    gc.collect()
    gc.disable()
    try:
        taken = bias * 1
        z, report = solve(tanh_map(weight, taken), torch.zeros_like(bias))
        (gradient,) = torch.autograd.grad(z.square().sum(), weight, create_graph=twice)
        if twice:
            gradient.square().sum().backward()
        kept = [weakref.ref(taken), weakref.ref(z)]
        del taken, z, gradient
        assert report.backward is not None and [ref() for ref in kept] == [None, None]
    finally:
        gc.enable()


def test_a_tensor_changed_in_place_is_noticed():
    f = Affine()
    f.weight.requires_grad_()
    z, _ = solve(f, f.start)
    with torch.no_grad():
        f.weight.mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_autocast_around_backward_leaves_its_system_exact():
    f = Affine(norm=0.95, dtype=torch.float32)
    f.bias.requires_grad_()
    z, report = solve(f, f.start)
    with torch.autocast("cpu", torch.bfloat16):
        z.sum().backward()
    assert report.backward.all_converged
    expected = torch.linalg.solve(torch.eye(4) - f.weight.T, torch.ones(4, 1)).flatten()
    torch.testing.assert_close(f.bias.grad, expected.expand(5, 4), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_has_a_gradient_too(dtype):
    """A small system in bfloat16 would crash the LU of LAPACK."""
    bias = torch.ones(3, 2, dtype=dtype, requires_grad=True)
    z, _ = solve(lambda z: 0.5 * z + bias, torch.zeros_like(bias), solver=Anderson())
    z.sum().backward()
    assert bias.grad.dtype == dtype
    assert torch.allclose(bias.grad.float(), torch.full((3, 2), 2.0), rtol=0.2)
