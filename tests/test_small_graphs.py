"""Random graphs of at most 8 nodes: every operator equals its reference, every conv its formula.

Loops, repeated edges, isolated nodes, no nodes, no features, NaN and both index types happen. Each
test looks at 1 000 graphs, and at fewer where it is not asked for slow tests.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gnnlib import Graph, conv, ops
from gnnlib.ops import _schema, reference
from tests.conv.cases import CASES, message_formula
from tests.conv.formulas import FORMULAS, Edges
from tests.ops.cases import assert_close

AMOUNTS = [60, pytest.param(1000, marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _one_thread(_same_start: None) -> None:
    torch.set_num_threads(1)


class Small(NamedTuple):
    """A graph, and the numbers that belong to it."""

    edges: list[tuple[int, int]]
    num_src: int
    num_dst: int
    features: int
    index: torch.dtype
    has_nan: bool
    seed: int

    @property
    def edge_index(self) -> Tensor:
        return torch.tensor(self.edges, dtype=self.index).reshape(-1, 2).T

    def numbers(self) -> Callable[..., Tensor]:
        """Draws tensors by shape, the same ones in each sequence of calls: from 0.5 to 1.5 in
        absolute value, some NaN if there are any."""
        generator = torch.Generator().manual_seed(self.seed)

        def draw(*shape: int, dtype: torch.dtype = torch.float64, positive: bool = False) -> Tensor:
            value = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
            kind = torch.rand(shape, generator=generator)
            value = value if positive else torch.where(kind < 0.5, -value, value)
            value = torch.where(kind > 0.95, torch.nan, value) if self.has_nan else value
            return value.to(dtype)

        return draw


@st.composite
def small_graphs(draw: Any, *, square: bool, least_features: int = 0) -> Small:
    num_dst = draw(st.integers(0, 8))
    num_src = num_dst if square else draw(st.integers(0, 8))
    # A byte an edge: drawn far faster than pairs of numbers.
    codes = draw(st.binary(max_size=20)) if num_src and num_dst else b""
    return Small(
        [(code // 16 % num_src, code % 16 % num_dst) for code in codes],
        num_src,
        num_dst,
        draw(st.integers(least_features, 5)),
        draw(st.sampled_from([torch.int32, torch.int64])),
        draw(st.booleans()),
        draw(st.integers(0, 2**16)),
    )


def reference_csr(small: Small) -> tuple[Tensor, Tensor, Tensor]:
    src, dst = small.edge_index.contiguous()
    return reference.coo_to_csr(dst, src, small.num_dst)


def _edges_of(small: Small) -> Edges:
    src, dst = small.edge_index.long()
    return Edges(src, dst, small.num_dst)


def look_at(amount: int, check: Callable[[Small], None], **graphs: Any) -> None:
    """Call check on that many random graphs."""

    @settings(max_examples=amount)
    @given(small_graphs(**graphs))
    def each(small: Small) -> None:
        check(small)

    each()


# operators ---------------------------------------------------------------------------------------

HEADS = 2


def _kind(small: Small) -> tuple[torch.dtype, tuple[int, ...]]:
    """The dtype, and the shape of what comes before the features of a row."""
    dtype = (torch.float64, torch.float32)[small.seed % 2]
    return dtype, ((), (HEADS,))[small.seed // 2 % 2]


def _layout(op: Any, name: str, small: Small) -> Iterator[Any]:
    src, dst = small.edge_index.contiguous()
    ptr, col, eid = reference_csr(small)
    if name == "coo_to_csr":
        yield op.coo_to_csr(dst, src, small.num_dst)
    elif name == "csr_transpose":
        yield op.csr_transpose(ptr, col, small.num_src)
    elif small.num_src == small.num_dst:
        yield op.csr_add_loops(ptr, col, eid)
        yield op.csr_add_loops(ptr, col, None)


def _spmm(op: Any, name: str, small: Small) -> Iterator[Any]:
    ptr, col, eid = reference_csr(small)
    dtype, heads = _kind(small)
    number, num_edges = small.numbers(), col.shape[0]
    shape = (*heads, small.features)
    x, grad = (number(n, *shape, dtype=dtype) for n in (small.num_src, small.num_dst))
    scales = [number(n, dtype=dtype) for n in (small.num_dst, small.num_src)]
    for weight in (None, number(num_edges, *heads, dtype=dtype)):
        if name == "spmm":
            for reduce in ("sum", "mean", "mul"):
                yield op.spmm(ptr, col, eid, weight, x, reduce, None, None)
                yield op.spmm(ptr, col, None, weight, x, reduce, *scales)
            continue
        for reduce in ("max", "min"):
            out, arg = op.spmm_arg(ptr, col, eid, weight, x, reduce)
            if name == "spmm_arg":
                yield out, arg
            elif name == "spmm_arg_backward":
                for back in (reference.csr_transpose(ptr, col, small.num_src), (None,) * 3):
                    yield op.spmm_arg_backward(col, eid, weight, grad, arg, small.num_src, *back)
            else:
                yield op.spmm_arg_weight(ptr, col, eid, grad, x, arg, num_edges)


def _steps(op: Any, name: str, small: Small) -> Iterator[Any]:
    ptr, col, eid = reference_csr(small)
    dtype, _ = _kind(small)
    number, num_edges = small.numbers(), col.shape[0]
    if name.startswith("spmm"):
        x = number(small.num_src, small.features, dtype=dtype)
        if name == "spmm_multi":
            yield op.spmm_multi(ptr, col, x, "min,sum,std,max,mean")
            yield op.spmm_multi(ptr, col, x, "mean")
        else:
            back = reference.csr_transpose(ptr, col, small.num_src)[:2]
            rows = (number(small.num_dst, small.features, dtype=dtype) for _ in range(3))
            yield op.spmm_multi_backward(*back, x, *rows)
        return
    num_nodes = max(small.num_src, small.num_dst)
    ptr = torch.cat([ptr, ptr[-1:].expand(num_nodes - small.num_dst)])
    x = number(num_nodes, 2, small.features, dtype=dtype)
    scale = number(num_nodes, dtype=dtype)
    for weight in (None, number(num_edges, dtype=dtype)):
        if name == "propagate":
            yield op.propagate(ptr, col, eid, weight, x, 2, 0.5, scale, None)
        elif name == "propagate_powers":
            yield op.propagate_powers(ptr, col, eid, weight, x, 2, None, scale)
        else:
            yield op.propagate_horner(ptr, col, eid, weight, x, scale, scale)


def _edges(op: Any, name: str, small: Small) -> Iterator[Any]:
    ptr, col, eid = reference_csr(small)
    dtype, heads = _kind(small)
    number, num_edges = small.numbers(), col.shape[0]
    shape = (*heads, small.features)
    x, rows = (number(n, *shape, dtype=dtype) for n in (small.num_src, small.num_dst))
    scores, grad = (number(num_edges, *shape, dtype=dtype) for _ in range(2))
    for ids in (None, eid):
        if name == "sddmm":
            yield op.sddmm(ptr, col, ids, rows, x, "dot")
            for kind in ("add", "sub", "mul", "copy"):
                left = None if kind == "copy" else rows.flatten(1)
                yield op.sddmm(ptr, col, ids, left, x.flatten(1), kind)
        elif name == "segment_expand":
            yield op.segment_expand(ptr, ids, rows, num_edges)
        elif name == "segment_softmax":
            yield op.segment_softmax(ptr, ids, scores)
        elif name == "segment_softmax_backward":
            out = reference.segment_softmax(ptr, ids, scores)
            yield op.segment_softmax_backward(ptr, ids, out, grad)
        else:
            yield op.edge_dropout(scores.flatten(1), ids, 0.3, torch.tensor(small.seed))


def _sums(op: Any, name: str, small: Small) -> Iterator[Any]:
    ptr, col, eid = reference_csr(small)
    dtype, _ = _kind(small)
    number = small.numbers()
    x, y = (number(n, small.features, dtype=dtype) for n in (small.num_src, small.num_dst))
    rows, numbers = number(len(col), small.features, dtype=dtype), number(len(col), dtype=dtype)
    for edge in (rows, numbers):
        if name == "spmm_add":
            yield op.spmm_add(ptr, col, eid, x, y, edge, -0.5, True, "sum")
            yield op.spmm_add(ptr, col, None, x, y, None, 1.0, False, "mean")
        elif name == "spmm_add_arg":
            yield op.spmm_add_arg(ptr, col, eid, x, edge, 0.5, "max")
        elif name == "spmm_add_gate":
            yield op.spmm_add_gate(ptr, col, eid, x, y, edge, 0.5, y, True)
        else:
            yield op.spmm_add_edge(ptr, col, eid, x, y, edge, 0.5, y)


def _attention(op: Any, name: str, small: Small) -> Iterator[Any]:
    ptr, col, eid = reference_csr(small)
    dtype, _ = _kind(small)
    number = small.numbers()
    ends = ((n, HEADS, small.features) for n in (small.num_src, small.num_dst))
    x, y = (number(*shape, dtype=dtype) for shape in ends)
    scores = (number(n, HEADS, dtype=dtype) for n in (small.num_src, small.num_dst, len(col)))
    src, dst, edge = scores
    kind = name.split("_")[1]
    att = number(HEADS, small.features, dtype=dtype)
    tensors = {"gat": (x, src, dst, edge), "gatv2": (x, y, att), "dot": (y, x, x, edge)}[kind]
    # What dropout leaves out is no NaN for the kernels; times 0 it is one for the reference.
    how = (0.4, 0.0 if small.has_nan else 0.3, torch.tensor(small.seed))
    if not name.endswith("_backward"):
        yield getattr(op, name)(ptr, col, eid, *tensors, *how)
        return
    results = getattr(reference, f"attention_{kind}")(ptr, col, eid, *tensors, *how)
    back = reference.csr_transpose(ptr, col, small.num_src)
    yield getattr(op, name)(ptr, col, eid, *back, *tensors, *results, y, *how)


def _scatter(op: Any, name: str, small: Small) -> Iterator[Any]:
    index = small.edge_index[0].contiguous()
    dtype, _ = _kind(small)
    number = small.numbers()
    x = number(small.num_src, small.features, dtype=dtype)
    rows = number(index.shape[0], small.features, dtype=dtype)
    if name == "gather_rows":
        yield op.gather_rows(x, index)
    elif name == "scatter":
        for reduce in ("sum", "mean", "mul"):
            yield op.scatter(rows, index, small.num_src, reduce)
    elif name == "scatter_arg":
        for reduce in ("max", "min"):
            yield op.scatter_arg(rows, index, small.num_src, reduce)
    else:
        op.scatter_add_(x, rows, index)
        yield x


FAMILIES = {
    _layout: ("coo_to_csr", "csr_transpose", "csr_add_loops"),
    _spmm: ("spmm", "spmm_arg", "spmm_arg_backward", "spmm_arg_weight"),
    _steps: (
        "spmm_multi", "spmm_multi_backward", "propagate", "propagate_powers", "propagate_horner",
    ),
    _sums: ("spmm_add", "spmm_add_arg", "spmm_add_gate", "spmm_add_edge"),
    _attention: tuple(
        f"attention_{kind}{way}" for kind in ("gat", "gatv2", "dot") for way in ("", "_backward")
    ),
    _edges: (
        "sddmm", "segment_expand", "segment_softmax", "segment_softmax_backward", "edge_dropout",
    ),
    _scatter: ("gather_rows", "scatter", "scatter_arg", "scatter_add_"),
}  # fmt: skip
CALLS = {name: calls for calls, names in FAMILIES.items() for name in names}


def test_every_operator_is_looked_at():
    assert set(CALLS) == set(_schema.SCHEMAS)


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", CALLS)
def test_an_operator_equals_its_reference(name, amount):
    def check(small: Small) -> None:
        results = (CALLS[name](op, name, small) for op in (torch.ops.gnnlib, reference))
        for k, (actual, expected) in enumerate(zip(*results, strict=True)):
            both = (r if isinstance(r, tuple) else (r,) for r in (actual, expected))
            for a, b in zip(*both, strict=True):
                assert_close(a, b, f"call {k}")

    look_at(amount, check, square=name == "csr_add_loops")


def _by_reference(small: Small, name: str, option: str) -> tuple[Callable, Callable, list[Tensor]]:
    """A differentiable operator, the same in plain torch, and what they take."""
    ptr, col, eid = reference_csr(small)
    number, num_edges = small.numbers(), col.shape[0]
    shape = (HEADS, small.features)
    x, rows = number(small.num_src, *shape), number(small.num_dst, *shape)
    edges, weight = number(num_edges, *shape), number(num_edges, HEADS)
    extreme = option in ("max", "min")
    if name == "spmm":
        plain = reference.spmm_arg if extreme else reference.spmm
        scales = () if extreme else (None, None)
        return (
            lambda x, w: ops.spmm(ptr, col, x, w, eid=eid, reduce=option),
            lambda x, w: _first(plain(ptr, col, eid, w, x, option, *scales)),
            [x, weight],
        )
    if name == "sddmm":
        a, b = (rows, x) if option == "dot" else (rows.flatten(1), x.flatten(1))
        return (
            lambda a, b: ops.sddmm(ptr, col, a, b, eid=eid, op=option),
            lambda a, b: reference.sddmm(ptr, col, eid, a, b, option),
            [a, b],
        )
    if name == "segment_reduce":
        into = _edges_of(small)
        return (
            lambda e: ops.segment_reduce(ptr, e, eid=eid, reduce=option),
            lambda e: into.reduce(e, option),
            [edges],
        )
    if name == "segment_softmax":
        return (
            lambda e: ops.segment_softmax(ptr, e, eid=eid),
            lambda e: reference.segment_softmax(ptr, eid, e),
            [edges],
        )
    if name == "segment_expand":
        return (
            lambda rows: ops.segment_expand(ptr, rows, num_edges, eid=eid),
            lambda rows: reference.segment_expand(ptr, eid, rows, num_edges),
            [rows],
        )
    index = small.edge_index[1].contiguous()
    if name == "gather_rows":
        return (
            lambda x: ops.gather_rows(x, index),
            lambda x: reference.gather_rows(x, index),
            [rows],
        )
    plain = reference.scatter_arg if extreme else reference.scatter
    return (
        lambda e: ops.scatter(e, index, small.num_dst, option),
        lambda e: _first(plain(e, index, small.num_dst, option)),
        [edges],
    )


def _first(results: Any) -> Tensor:
    return results[0] if isinstance(results, tuple) else results


REDUCES = ("sum", "mean", "max", "min", "mul")
DIFFERENTIABLE = {
    "spmm": REDUCES,
    "sddmm": ("dot", "add", "sub", "mul"),
    "segment_reduce": REDUCES,
    "scatter": REDUCES,
    "segment_softmax": ("",),
    "segment_expand": ("",),
    "gather_rows": ("",),
}


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_the_gradient_of_an_operator_is_that_of_its_reference(name, amount):
    options = DIFFERENTIABLE[name]

    def check(small: Small) -> None:
        option = options[small.seed % len(options)]
        assert_same_gradients(*_by_reference(small._replace(has_nan=False), name, option))

    look_at(amount, check, square=False)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_a_standard_deviation_is_that_of_torch(amount):
    def check(small: Small) -> None:
        operator, plain, tensors = _by_reference(small, "segment_reduce", "std")
        assert_close(operator(*tensors), plain(*tensors))

    look_at(amount, check, square=False)


def assert_same_gradients(actual: Callable, expected: Callable, tensors: list[Tensor]) -> None:
    """And the same results."""
    results = []
    for function in (actual, expected):
        leaves = [t.detach().clone().requires_grad_() for t in tensors]
        out = function(*leaves)
        weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
        grads = (
            torch.autograd.grad(out, leaves, weights, allow_unused=True)
            if out.requires_grad
            else [None] * len(leaves)
        )
        filled = [torch.zeros_like(t) if g is None else g for t, g in zip(leaves, grads)]
        results.append((out.detach(), *filled))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


# convs -------------------------------------------------------------------------------------------


def test_every_conv_has_a_formula_and_a_case():
    convs = {
        name for name, value in vars(conv).items()
        if isinstance(value, type) and issubclass(value, nn.Module)
    }  # fmt: skip
    assert set(CASES) == convs
    assert {made.__name__ for made in FORMULAS} == convs - {"MessagePassing"}


@functools.cache
def _built(name: str, number: int, features: int) -> nn.Module:
    torch.manual_seed(0)
    layer = CASES[name][number].make(features).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    return layer


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", CASES)
def test_a_conv_equals_its_formula(name, amount):
    cases = CASES[name]

    def check(small: Small) -> None:
        which = small.seed % len(cases)
        case, number = cases[which], small.numbers()
        layer = _built(name, which, max(small.features, case.least_features))
        formula: Callable = FORMULAS.get(type(layer), message_formula)
        edges = _edges_of(small)
        graph = Graph(small.edge_index, num_nodes=small.num_dst)
        num_edges = graph.num_edges
        shapes = {"edge_weight": (num_edges,), "edge_attr": (num_edges, 3)}
        x = number(small.num_dst, max(small.features, case.least_features))
        given = [number(*shapes[key], positive=True) for key in case.edges]

        def by_layer(x: Tensor, *tensors: Tensor) -> Tensor:
            return layer(x, graph, **dict(zip(case.edges, tensors)))

        def by_formula(x: Tensor, *tensors: Tensor) -> Tensor:
            return formula(layer, x, edges, **dict(zip(case.edges, tensors)))

        if small.has_nan:
            expected = by_formula(x, *given)
            torch.testing.assert_close(
                by_layer(x, *given), expected, rtol=1e-9, atol=1e-9, equal_nan=True
            )
        else:
            assert_same_gradients(by_layer, by_formula, [x, *given])

    look_at(amount, check, square=True)
