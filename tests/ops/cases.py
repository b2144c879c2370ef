"""What the tests of the operators share: graphs as CSR, tolerances, properties, and one program of
calls that every build of the kernels must answer as the plain-torch reference does."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from gnnlib.ops import reference
from tests.graphs import GRAPHS, RECTANGULAR

TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 2e-5,
    torch.bfloat16: 1.6e-2,
    torch.float16: 2e-3,
}
# Each storage type with an index type: enough to meet all of them in a loop.
DTYPES = [
    (torch.float64, torch.int64),
    (torch.float32, torch.int32),
    (torch.bfloat16, torch.int64),
    (torch.float16, torch.int32),
]
NAMES = [*GRAPHS, *RECTANGULAR, "hub"]
SMALL = ["no_edges", "one_loop", "repeated_edges", "unsorted", "one_destination", "no_sources"]
SMALL += ["no_destinations"]

# Every way in which a row is cut into vectors, and one more and one less.
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 64, 65, 100, 127, 128, 129, 200]
SIZES += [257, 0]


class Csr(NamedTuple):
    """A CSR by destination, and the sizes that go with it. eid None: the edges are in CSR order."""

    ptr: Tensor
    col: Tensor
    eid: Tensor | None
    num_dst: int
    num_src: int

    @property
    def num_edges(self) -> int:
        return self.col.shape[0]

    @property
    def transpose(self) -> tuple[Tensor, Tensor, Tensor]:
        return reference.csr_transpose(self.ptr, self.col, self.num_src)

    @property
    def row(self) -> Tensor:
        return torch.arange(self.num_dst).repeat_interleave(self.ptr.diff().long())

    @property
    def edge(self) -> Tensor:  # what eid says, also where it is None
        return torch.arange(self.num_edges) if self.eid is None else self.eid.long()


def make_csr(name: str, index: torch.dtype = torch.int64, *, user_order: bool = True) -> Csr:
    """The corner graph of that name; without `user_order` its edges are renumbered in CSR order."""
    if name == "hub":  # one row far larger than the others, longer than any buffer's first size
        edges = torch.stack([torch.arange(700) % 31, torch.arange(700) % 35 % 5])
        edges[1, 10:650] = 2
        num_src, num_dst = 31, 5
    elif name in RECTANGULAR:
        edges, num_src, num_dst = RECTANGULAR[name]
    else:
        edges, num_src = GRAPHS[name]
        num_dst = num_src
    src, dst = edges.to(torch.get_default_device(), index)
    ptr, col, eid = reference.coo_to_csr(dst, src, num_dst)
    return Csr(ptr, col, eid if user_order else None, num_dst, num_src)


def random_csr(num_dst: int, num_src: int, num_edges: int, index: torch.dtype = torch.int64) -> Csr:
    dst = torch.randint(num_dst, (num_edges,)).to(index)
    src = torch.randint(num_src, (num_edges,)).to(index)
    return Csr(*reference.coo_to_csr(dst, src, num_dst), num_dst, num_src)


def values(*shape: int, dtype: torch.dtype = torch.float64, grad: bool = False) -> Tensor:
    """Numbers of either sign whose products stay of the order of one."""
    magnitude = torch.rand(shape, dtype=torch.float64) + 0.5
    signed = magnitude * (torch.randint(0, 2, shape) * 2 - 1)
    return signed.to(dtype).requires_grad_(grad)


def assert_close(actual: Tensor, expected: Tensor, label: object = "") -> None:
    tolerance = TOLERANCE.get(expected.dtype, 0)
    same = (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if same and torch.allclose(actual, expected, tolerance, tolerance, equal_nan=True):
        return  # the same question, asked faster
    torch.testing.assert_close(
        actual,
        expected,
        rtol=tolerance,
        atol=tolerance,
        equal_nan=True,
        msg=lambda text: f"{label}: {text}",
    )


# properties --------------------------------------------------------------------------------------


def check_gradients(function: Callable, *inputs: Tensor) -> None:
    """First and second derivatives in float64."""
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def check_threads(function: Callable[[], tuple[Tensor, ...]]) -> None:
    """Every bit is the same on one, two and three threads, and again."""
    torch.set_num_threads(1)
    expected = function()
    for threads in (2, 3, 2):
        torch.set_num_threads(threads)
        for a, b in zip(function(), expected, strict=True):
            assert torch.equal(a, b), f"{threads} threads"


def check_vmap(function: Callable, in_dims: tuple[int | None, ...], *inputs: Tensor) -> None:
    """vmap gives what a loop gives: for the function, for its gradients, and grad over vmap."""
    size = next(t.shape[d] for t, d in zip(inputs, in_dims) if d is not None)
    argnums = tuple(range(len(inputs)))

    def loss(*args):
        return function(*args).sin().sum()

    def loop(f):
        results = []
        for k in range(size):
            out = f(*(t if d is None else t.select(d, k) for t, d in zip(inputs, in_dims)))
            results.append(out if isinstance(out, tuple) else (out,))
        return [torch.stack(parts) for parts in zip(*results)]

    for f in (function, torch.func.grad(loss, argnums)):
        actual = torch.func.vmap(f, in_dims)(*inputs)
        actual = actual if isinstance(actual, tuple) else (actual,)
        for a, b in zip(actual, loop(f), strict=True):
            assert_close(a, b, in_dims)

    def total(*args):
        return torch.func.vmap(loss, in_dims)(*args).sum()

    outer = torch.func.grad(total, argnums)(*inputs)
    for a, b, dim in zip(outer, loop(torch.func.grad(loss, argnums)), in_dims):
        assert_close(a, b.sum(0) if dim is None else b.movedim(0, dim), in_dims)


def check_compile(function: Callable, *cases: tuple) -> None:
    """One dynamic graph for all cases, forward and backward, equal to eager."""
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for arguments in cases:
        leaves = [a for a in arguments if isinstance(a, Tensor) and a.requires_grad]
        outcome = []
        for f in (function, compiled):
            out = f(*arguments)
            outcome.append([out, *torch.autograd.grad(out.sin().sum(), leaves)])
        for k, (a, b) in enumerate(zip(*outcome)):
            assert_close(b, a, f"result {k}")


def refused(match: str, function: Callable, *args, **kwargs) -> None:
    """A ValueError whose whole text matches."""
    with pytest.raises(ValueError, match=f"^{match}$"):
        function(*args, **kwargs)


# the program -------------------------------------------------------------------------------------


def answers(
    op: Callable[[str], Callable], dtype: torch.dtype, index: torch.dtype
) -> Iterator[tuple[str, Tensor]]:
    """What the operators that `op` finds by name give for every size of a row, with labels."""
    torch.manual_seed(1)
    csr = random_csr(7, 9, 40, index)
    ptr, col, eid = csr[:3]
    t_ptr, t_row, t_pos = csr.transpose
    t_eid = csr.edge.to(index)[t_pos.long()]
    square = random_csr(9, 9, 40, index)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    row_scale, col_scale = values(7, dtype=wide), values(9, dtype=wide)

    for size in SIZES:
        shapes = [((size,), (40,)), ((3, size), (40, 3))]
        if size in (5, 17):
            shapes.append(((size, 3), (40,)))
        for shape, weight_shape in shapes:
            x, grad = values(9, *shape, dtype=dtype), values(7, *shape, dtype=dtype)
            weight, edges = values(*weight_shape, dtype=dtype), values(40, *shape, dtype=dtype)
            label = f"{dtype} {index} {shape}"
            for reduce in ("sum", "mean", "mul"):
                for w in (None, weight, edges):
                    yield (
                        f"spmm {reduce} {label} weighted={None if w is None else tuple(w.shape)}",
                        op("spmm")(ptr, col, eid, w, x, reduce, None, None),
                    )
                yield (
                    f"spmm {reduce} {label} scaled",
                    op("spmm")(ptr, col, eid, weight, x, reduce, row_scale, col_scale),
                )
                yield f"scatter {reduce} {label}", op("scatter")(edges, col, 11, reduce)
                yield (
                    f"segment {reduce} {label}",
                    op("spmm")(ptr, eid, None, None, edges, reduce, None, None),
                )
            for reduce in ("max", "min"):
                for w in (None, weight, edges):
                    yield (
                        f"spmm {reduce} {label}",
                        op("spmm")(ptr, col, eid, w, x, reduce, None, None),
                    )
                    out, arg = op("spmm_arg")(ptr, col, eid, w, x, reduce)
                    yield f"spmm_arg {reduce} {label}", out
                    yield f"arg of {reduce} {label}", arg
                    for back in ((t_ptr, t_row, t_pos), (None, None, None)):
                        yield (
                            f"spmm_arg_backward {reduce} {label}",
                            op("spmm_arg_backward")(col, eid, w, grad, arg, 9, *back),
                        )
                    yield (
                        f"spmm_arg_weight {reduce} {label}",
                        op("spmm_arg_weight")(ptr, col, eid, grad, x, arg, 40),
                    )
                for name, result in zip(
                    ("scatter_arg", "its arg"), op("scatter_arg")(edges, col, 11, reduce)
                ):
                    yield f"{name} {reduce} {label}", result
            rows = x.flatten(1)
            for names in ("std,max,sum,min,mean", "max", "mean,std"):
                results = op("spmm_multi")(ptr, col, rows, names)
                for name, result in zip(("out", "mean", "arg_max", "arg_min"), results):
                    yield f"spmm_multi {names} {name} {label}", result
            even, spread, mean = (values(7, rows.shape[1], dtype=wide) for _ in range(3))
            out = op("spmm_multi_backward")(t_ptr, t_row, rows, even, spread, mean)
            yield f"spmm_multi_backward {label}", out
            scales = (values(9, dtype=wide) * 0.3, col_scale * 0.3)
            for steps in (0, 1, 3):
                for w in (None, edges.flatten(1)[:, 0] if size and len(shape) == 1 else None):
                    args = (*square[:3], w, x)
                    out = op("propagate")(*args, steps, 0.25, *scales)
                    yield f"propagate {steps} {label}", out
                    out = op("propagate_powers")(*args, steps, None, scales[1])
                    yield f"propagate_powers {steps} {label}", out
            if len(shape) > 1:
                out = op("propagate_horner")(*square[:3], None, x, *scales)
                yield f"propagate_horner {label}", out
            # The sums, with rows or numbers of the edges or without; the gate also turned round.
            for edge in (None, edges, edges.flatten(1)[:, :1].sum(1)):
                named = f"{label} {None if edge is None else edge.dim()}"
                for relu, reduce in ((True, "sum"), (False, "mean")):
                    out = op("spmm_add")(ptr, col, eid, x, grad, edge, -0.5, relu, reduce)
                    yield f"spmm_add {relu} {reduce} {named}", out
                gate = op("spmm_add_gate")
                own = gate(ptr, col, eid, x, grad, edge, 2.0, grad, True)
                yield f"spmm_add_gate own {named}", own
                turned = gate(t_ptr, t_row, t_eid, None, x, edge, 2.0, grad, False)
                yield f"spmm_add_gate turned {named}", turned
                if edge is None:
                    continue
                for reduce in ("max", "min"):
                    out, arg = op("spmm_add_arg")(ptr, col, eid, x, edge, 0.5, reduce)
                    yield f"spmm_add_arg {reduce} {named}", out
                    yield f"arg of spmm_add {reduce} {named}", arg
                out = op("spmm_add_edge")(ptr, col, eid, x, grad, edge, -0.5, grad)
                yield f"spmm_add_edge {named}", out
            yield f"sddmm dot {label}", op("sddmm")(ptr, col, eid, grad, x, "dot")
            for kind in ("add", "sub", "mul", "copy"):
                a = None if kind == "copy" else grad.flatten(1)
                out = op("sddmm")(ptr, col, eid, a, x.flatten(1), kind)
                yield f"sddmm {kind} {label}", out
            soft = op("segment_softmax")(ptr, eid, edges)
            yield f"segment_softmax {label}", soft
            yield (
                f"segment_softmax_backward {label}",
                op("segment_softmax_backward")(ptr, eid, soft, edges.flip(0)),
            )
            seed = torch.tensor(2**40 + size)
            if x.dim() == 3:
                narrow = (edges[..., 0] if size else values(40, x.shape[1])).to(wide)
                att, score = x[0].to(wide), values(9, x.shape[1], dtype=wide)
                for kind, tensors in (
                    ("gat", (x, score, None, narrow)),
                    ("gatv2", (x, grad, att)),
                    ("dot", (grad, x, x.flip(0), narrow)),
                ):
                    how = (0.2, 0.3, seed)
                    out, lse = op(f"attention_{kind}")(ptr, col, eid, *tensors, *how)
                    yield f"attention_{kind} {label}", out
                    yield f"lse of {kind} {label}", lse
                    results = (ptr, col, eid, t_ptr, t_row, t_pos, *tensors, out, lse, grad)
                    for n, gradient in enumerate(op(f"attention_{kind}_backward")(*results, *how)):
                        top = gradient.abs().max().clamp(min=1) if gradient.numel() else 1
                        # Rounded like out, which they are computed from.
                        yield f"gradient {n} of {kind} {label}", (gradient / top).to(dtype)
            dropped = op("edge_dropout")(edges.flatten(1), eid, 0.3, seed)
            yield f"edge_dropout {label}", dropped
            yield f"segment_expand {label}", op("segment_expand")(ptr, eid, grad, 40)
            yield f"gather_rows {label}", op("gather_rows")(x, col)
            total = values(9, *shape, dtype=wide)
            op("scatter_add_")(total, edges, col)
            yield f"scatter_add_ {label}", total
