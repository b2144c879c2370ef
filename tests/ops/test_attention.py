"""Fused attention: each kind against the reference, its gradients, and what it refuses."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gnnlib import _extension, ops
from gnnlib.ops import _attention_grad, reference
from tests.ops.cases import (
    DTYPES,
    NAMES,
    SMALL,
    Csr,
    assert_close,
    check_compile,
    check_gradients,
    check_threads,
    check_vmap,
    make_csr,
    random_csr,
    refused,
    values,
)

KINDS = ("gat", "gatv2", "dot")
SHAPES = [
    (1, 4),
    (3, 5),
    (8, 8),
    (2, 16),
    (20, 1),
    (1, 64),
    (1, 128),
    (2, 40),
    (33, 4),
    (4, 2),
    (0, 3),
    (2, 0),
]


def seed(value: int = 7) -> Tensor:
    return torch.tensor(value)


def operands(
    kind: str,
    csr: Csr,
    heads: int,
    dim: int,
    dtype: torch.dtype = torch.float64,
    grad: bool = False,
) -> list[Tensor]:
    """gat: x and three scores; gatv2: x_src, x_dst, att; dot: query, key, value, score_edge."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    sources, targets = (csr.num_src, heads, dim), (csr.num_dst, heads, dim)
    if kind == "gat":
        shapes = [sources, sources[:2], targets[:2], (csr.num_edges, heads)]
    elif kind == "gatv2":
        shapes = [sources, targets, (heads, dim)]
    else:
        shapes = [targets, sources, sources, (csr.num_edges, heads)]
    rows = [dtype if len(shape) == 3 else wide for shape in shapes]
    return [values(*shape, dtype=d, grad=grad) for shape, d in zip(shapes, rows)]


def call(kind: str, csr: Csr, *tensors: Tensor | None, **options) -> Tensor:
    function = getattr(ops, f"attention_{kind}")
    return function(csr.ptr, csr.col, *tensors, eid=csr.eid, transpose=csr.transpose, **options)


def expected_of(kind: str, csr: Csr, *tensors, number=0.2, dropout=0.0, seed=None):
    function = getattr(reference, f"attention_{kind}")
    return function(csr.ptr, csr.col, csr.eid, *tensors, number, dropout, seed)


def option(kind: str, number: float) -> dict[str, float]:
    return {"scale" if kind == "dot" else "negative_slope": number}


def composite(kind: str, csr: Csr, *tensors, number=0.2, dropout=0.0, seed=None) -> Tensor:
    """The same by sddmm, softmax, dropout and spmm, in the user's order, for autograd."""
    ptr, col, edge = csr.ptr, csr.col.long(), csr.edge
    if kind == "gat":
        value, src, dst, more = tensors
        score = src[col] + dst[csr.row] + more[edge]
        score = torch.nn.functional.leaky_relu(score, number)
    elif kind == "gatv2":
        value, target, att = tensors
        hidden = torch.nn.functional.leaky_relu(value[col] + target[csr.row], number)
        score = (hidden * att).sum(-1)
    else:
        query, key, value, more = tensors
        score = (query[csr.row] * key[col]).sum(-1) * number + more[edge]
    alpha = ops.segment_softmax(ptr, score)
    if dropout:
        alpha = ops.edge_dropout(alpha, dropout, eid=csr.eid, seed=seed)
    return ops.spmm(ptr, csr.col, value, alpha)


# values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_with_the_reference(name, kind, user_order):
    for dtype, index in DTYPES:
        csr = make_csr(name, index, user_order=user_order)
        for heads, dim in ((1, 4), (3, 5), (8, 8)):
            tensors = operands(kind, csr, heads, dim, dtype)
            out = call(kind, csr, *tensors, **option(kind, 0.3))
            assert out.shape == (csr.num_dst, heads, dim)
            expected = expected_of(kind, csr, *tensors, number=0.3)[0]
            assert_close(out, expected, (dtype, heads, dim))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_shape_of_a_row_and_its_gradients(kind, shape):
    """Against plain torch in float64, so that no part of the kernels is compared with itself."""
    csr = random_csr(6, 9, 90)
    tensors = operands(kind, csr, *shape, grad=True)
    mask = {"dropout": 0.3, "seed": seed()}
    out = call(kind, csr, *tensors, **option(kind, 0.3), **mask)
    expected = composite(kind, csr, *tensors, number=0.3, **mask)
    assert_close(out, expected)
    weights = values(*out.shape)
    grads = torch.autograd.grad(out, tensors, weights)
    for k, grad in enumerate(torch.autograd.grad(expected, tensors, weights)):
        assert_close(grads[k], grad, k)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_the_backward_operator_agrees_with_the_reference(name, kind):
    for dtype, index in DTYPES:
        csr = make_csr(name, index)
        for dropout in (0.0, 0.4):
            tensors = operands(kind, csr, 3, 5, dtype)
            out, lse = expected_of(kind, csr, *tensors, dropout=dropout, seed=seed())
            arguments = (*csr[:3], *csr.transpose, *tensors, out, lse)
            arguments += (values(*out.shape, dtype=dtype), 0.2, dropout, seed())
            operator = getattr(torch.ops.gnnlib, f"attention_{kind}_backward")
            expected = getattr(reference, f"attention_{kind}_backward")(*arguments)
            for k, (a, b) in enumerate(zip(operator(*arguments), expected, strict=True)):
                scale = b.abs().max().clamp(min=1) if b.numel() else 1
                assert_close(a / scale, b / scale, (dtype, k))


@pytest.mark.parametrize("given", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)])
def test_gat_takes_any_of_the_scores(given):
    csr = make_csr("directed_random")
    x, *scores = operands("gat", csr, 2, 3, grad=True)
    some = [score if wanted else None for score, wanted in zip(scores, given)]
    filled = [score if wanted else score * 0 for score, wanted in zip(scores, given)]
    out, expected = call("gat", csr, x, *some), composite("gat", csr, x, *filled)
    assert_close(out, expected)
    leaves = [x, *(score for score in some if score is not None)]
    weights = values(*out.shape)
    for a, b in zip(*(torch.autograd.grad(o, leaves, weights) for o in (out, expected))):
        assert_close(a, b)


def test_dot_needs_no_edge_scores_and_scales_by_the_root_of_the_width():
    csr = make_csr("directed_random")
    query, key, value, edge = operands("dot", csr, 2, 3, grad=True)
    out = call("dot", csr, query, key, value)
    expected = composite("dot", csr, query, key, value, edge * 0, number=3**-0.5)
    assert_close(out, expected)
    grads = [torch.autograd.grad(o.sin().sum(), (query, key, value)) for o in (out, expected)]
    for a, b in zip(*grads):
        assert_close(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_has_the_mask_of_edge_dropout(kind):
    """With equal weights and one source a row, out shows the mask of each edge and head."""
    csr = Csr(torch.arange(41), torch.arange(40), torch.randperm(40), 40, 40)
    tensors = [torch.zeros_like(t) for t in operands(kind, csr, 3, 1)]
    tensors[2 if kind == "dot" else 0].fill_(1)
    out = call(kind, csr, *tensors, dropout=0.4, seed=seed())
    mask = ops.edge_dropout(torch.ones(40, 3).double(), 0.4, eid=csr.eid, seed=seed())
    assert torch.equal(out.squeeze(-1), mask)
    assert 0 < (mask == 0).sum() < mask.numel()
    assert torch.equal(call(kind, csr, *tensors, dropout=0.4, seed=seed()), out)
    torch.manual_seed(0)
    first, second = (call(kind, csr, *tensors, dropout=0.4) for _ in range(2))
    torch.manual_seed(0)
    assert torch.equal(first, call(kind, csr, *tensors, dropout=0.4))
    assert not torch.equal(first, second)
    assert (call(kind, csr, *tensors, dropout=1.0, seed=seed()) == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_edges_gives_zero_and_no_gradient(kind):
    csr = make_csr("isolated_nodes")
    tensors = operands(kind, csr, 2, 3, grad=True)
    out, lse = getattr(torch.ops.gnnlib, f"attention_{kind}")(*csr[:3], *tensors, 0.2, 0.0, None)
    alone = csr.ptr.diff() == 0
    assert alone.any() and (out[alone] == 0).all() and (lse[alone] == -torch.inf).all()
    grads = torch.autograd.grad(call(kind, csr, *tensors).sum(), tensors)
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("degree", [3, 32, 33, 100])
def test_scores_may_be_large_or_minus_infinity(dtype, degree):
    csr = Csr(torch.tensor([0, degree]), torch.arange(degree), None, 1, degree)
    x = values(degree, 2, 3, dtype=dtype)
    edge = torch.empty(degree, 2, dtype=dtype).uniform_(-1e4, 1e4)
    edge[degree // 2, 0] = -torch.inf
    edge[: degree - 1, 1] = -torch.inf
    out = call("gat", csr, x, None, None, edge, negative_slope=1.0)
    expected = (edge.softmax(0).unsqueeze(-1) * x).sum(0)
    assert_close(out[0], expected)
    assert torch.equal(out[0, 1], x[-1, 1])
    assert call("gat", csr, x, None, None, edge * 0 - torch.inf).isnan().all()  # as softmax


def test_a_masked_part_of_a_long_row_counts_nothing():
    # On a GPU a row of 2048 edges is four pieces: two of very low scores, and then two of none.
    csr = Csr(torch.tensor([0, 2048]), torch.arange(2048), None, 1, 2048)
    x, edge = values(2048, 2, 3, dtype=torch.float32), torch.full((2048, 2), -200.0)
    edge[1024:] = -torch.inf
    out = call("gat", csr, x, None, None, edge, negative_slope=1.0)
    assert_close(out[0], x[:1024].double().mean(0).float())


@pytest.mark.parametrize("kind", KINDS)
def test_large_scores_have_finite_gradients(kind):
    csr = make_csr("hub")
    tensors = [(t * 100).detach().requires_grad_() for t in operands(kind, csr, 2, 3)]
    expected = composite(kind, csr, *tensors, number=1.0)
    out = call(kind, csr, *tensors, **option(kind, 1.0))
    for a, b in zip(*(torch.autograd.grad(o.sum(), tensors) for o in (out, expected))):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_stays_in_its_row_and_head(kind):
    csr = make_csr("directed_random")
    tensors = operands(kind, csr, 3, 4)
    clean = call(kind, csr, *tensors)
    tensors[2 if kind == "gat" else 1 if kind == "gatv2" else 0][3, 1] = torch.nan  # destination 3
    out = call(kind, csr, *tensors)
    assert out[3, 1].isnan().all()
    out[3, 1] = clean[3, 1]
    assert torch.equal(out, clean)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hub_of_a_million_edges(kind):
    degree = 1_000_000
    csr = Csr(torch.tensor([0, 1, degree]), torch.arange(degree) % 50, None, 2, 50)
    tensors = operands(kind, csr, 2, 3, torch.float32, grad=True)
    wide = [t.detach().double().requires_grad_() for t in tensors]
    out, expected = call(kind, csr, *tensors), composite(kind, csr, *wide, number=_default(kind))
    torch.testing.assert_close(out, expected.float(), rtol=1e-3, atol=1e-4)
    grads = torch.autograd.grad(out.sum(), tensors), torch.autograd.grad(expected.sum(), wide)
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b.float(), rtol=1e-3, atol=1e-4)


def _default(kind: str) -> float:
    return 3**-0.5 if kind == "dot" else 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_operands_need_not_be_contiguous(kind):
    csr = make_csr("directed_random")
    tensors = operands(kind, csr, 3, 4)
    apart = [torch.stack([t, t], -1)[..., 0] for t in tensors]
    assert not any(t.is_contiguous() for t in apart)
    assert torch.equal(call(kind, csr, *apart), call(kind, csr, *tensors))


# gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SMALL)
def test_first_and_second_derivatives(name, kind):
    csr = make_csr(name)
    for options in ({}, {"dropout": 0.4, "seed": seed()}):
        check_gradients(
            lambda *tensors, o=options: call(kind, csr, *tensors, **option(kind, 0.3), **o),
            *operands(kind, csr, 2, 2, grad=True),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_each_operand_alone(kind):
    csr = make_csr("unsorted")
    tensors = operands(kind, csr, 2, 3)
    for k, tensor in enumerate(tensors):

        def alone(t, k=k):
            return call(kind, csr, *tensors[:k], t, *tensors[k + 1 :], **option(kind, 0.3))

        check_gradients(alone, tensor.clone().requires_grad_())


@pytest.mark.parametrize("kind", ["gatv2", "dot"])
def test_derivatives_where_one_tensor_is_several_operands(kind):
    csr = make_csr("self_loops")
    x, att = values(csr.num_src, 2, 2, grad=True), values(2, 2)
    if kind == "gatv2":
        check_gradients(lambda x: call(kind, csr, x, x, att), x)
    else:
        check_gradients(lambda x: call(kind, csr, x, x, x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fused_backward_runs_unless_it_is_differentiated(kind, monkeypatch):
    csr = make_csr("unsorted")
    tensors = operands(kind, csr, 2, 3, grad=True)
    calls = []
    original = getattr(_attention_grad, kind)
    monkeypatch.setattr(_attention_grad, kind, lambda *a: calls.append(1) or original(*a))
    first = torch.autograd.grad(call(kind, csr, *tensors).sin().sum(), tensors)
    assert not calls
    again = torch.autograd.grad(call(kind, csr, *tensors).sin().sum(), tensors, create_graph=True)
    assert calls
    for a, b in zip(first, again):
        assert_close(a, b)


# how it is called --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_operators_keep_the_contract_of_torch_library(kind, dropout):
    csr = make_csr("directed_random")
    tensors = operands(kind, csr, 2, 3)
    how = (0.2, dropout, seed() if dropout else None)
    operator = getattr(torch.ops.gnnlib, f"attention_{kind}").default
    torch.library.opcheck(operator, (*csr[:3], *tensors, *how))
    out, lse = operator(*csr[:3], *tensors, *how)
    backward = getattr(torch.ops.gnnlib, f"attention_{kind}_backward").default
    back = (*csr[:3], *csr.transpose, *tensors, out, lse, values(*out.shape), *how)
    torch.library.opcheck(backward, back)


@pytest.mark.parametrize("kind", KINDS)
def test_it_compiles_into_one_graph(kind):
    def f(ptr, col, eid, t_ptr, t_row, t_pos, *tensors):
        function: Callable = getattr(ops, f"attention_{kind}")
        where = {"eid": eid, "transpose": (t_ptr, t_row, t_pos)}
        out = function(ptr, col, *tensors, **where)
        if kind == "gatv2":
            out = out + function(ptr, col, tensors[0], tensors[0], tensors[2], **where)
        return out + function(ptr, col, *tensors, dropout=0.5, seed=torch.tensor(3), **where)

    cases = []
    for name in ("directed_random", "power_law"):
        csr = make_csr(name)
        cases.append((*csr[:3], *csr.transpose, *operands(kind, csr, 2, 3, grad=True)))
    check_compile(f, *cases)


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_gives_what_a_loop_gives(kind):
    csr = make_csr("unsorted")
    several = [torch.stack([t, t * 2, -t]) for t in operands(kind, csr, 2, 3)]
    f = functools.partial(call, kind, csr)
    check_vmap(f, (0,) * len(several), *several)
    for k in range(len(several)):
        dims = tuple(1 if n == k else None for n in range(len(several)))
        given = [t.movedim(0, 1) if n == k else t[0] for n, t in enumerate(several)]
        check_vmap(f, dims, *given)


@pytest.mark.parametrize("kind", KINDS)
def test_under_vmap_the_gradient_has_the_mask_of_the_forward_pass(kind):
    csr = make_csr("unsorted")
    tensors = operands(kind, csr, 2, 3, grad=True)
    options = {"dropout": 0.5, "seed": seed()}
    out = call(kind, csr, *tensors, **options)
    directions = values(4, *out.shape)
    at_once = torch.autograd.grad(
        out, tensors, directions, is_grads_batched=True, retain_graph=True
    )
    one_by_one = [torch.autograd.grad(out, tensors, d, retain_graph=True) for d in directions]
    for a, b in zip(at_once, zip(*one_by_one)):
        assert_close(a, torch.stack(b))

    several = [torch.stack([t, t * 2]).detach() for t in tensors]

    def total(*given):
        def one(*sample: Any):
            return call(kind, csr, *sample, **options).sin().sum()

        return torch.vmap(one)(*given).sum()

    for k, grad in enumerate(torch.func.grad(total, tuple(range(len(several))))(*several)):
        moved = [t.clone() for t in several]
        step = values(*several[k].shape)
        up, down = [
            (moved[k].copy_(several[k] + s * step), total(*moved))[1] for s in (1e-6, -1e-6)
        ]
        torch.testing.assert_close((grad * step).sum(), (up - down) / 2e-6, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_casts_the_rows_and_keeps_the_scores(kind):
    csr = make_csr("power_law", torch.int32)
    tensors = operands(kind, csr, 2, 8, torch.float32, grad=True)
    expected = call(kind, csr, *tensors)
    with torch.autocast("cpu", torch.bfloat16):
        out = call(kind, csr, *tensors)
    assert out.dtype == torch.bfloat16
    assert (out - expected).abs().max() <= 0.05 * expected.abs().max()
    for grad in torch.autograd.grad(out.float().sin().sum(), tensors):
        assert grad.dtype == torch.float32 and grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 8), (3, 5)])
def test_results_and_gradients_do_not_depend_on_the_threads(kind, shape):
    csr = random_csr(500, 400, 120_000, torch.int32)  # above the serial threshold
    heads, dim = shape
    tensors = operands(kind, csr, heads, dim, torch.float32, grad=True)

    def run():
        out = call(kind, csr, *tensors, dropout=0.1, seed=seed())
        return out, *torch.autograd.grad(out.square().sum(), tensors)

    check_threads(run)


# what it refuses ---------------------------------------------------------------------------------


def test_bad_arguments_are_named():
    csr = make_csr("unsorted")
    x, src, dst, edge = operands("gat", csr, 2, 3)

    def f(csr=csr, x=x, src: Any = src, dst: Any = dst, edge: Any = edge, **options):
        return ops.attention_gat(csr.ptr, csr.col, x, src, dst, edge, eid=csr.eid, **options)

    with pytest.raises(TypeError, match="one of score_src, score_dst, score_edge must be given"):
        f(src=None, dst=None, edge=None)
    for dropout in (-0.1, 1.5, float("nan")):
        refused(r"dropout must lie in \[0, 1\], got .*", f, dropout=dropout)
    for slope in (float("inf"), float("nan")):
        refused(r"negative_slope must be finite, got .*", f, negative_slope=slope)
    if not _extension.has_kernels:
        return
    op = "attention_gat"
    refused(rf"{op}: x must have shape \(num_src, H, D\), got \(5, 2\)", f, x=x[..., 0])
    refused(rf"{op}: score_src must have shape \(5, 2\), got \(4, 2\)", f, src=src[:4])
    refused(rf"{op}: score_dst must have shape \(5, 2\), got \(5, 1\)", f, dst=dst[:, :1])
    refused(rf"{op}: score_edge must have shape \(7, 2\), got \(6, 2\)", f, edge=edge[:6])
    refused(rf"{op}: x must be float32, .* got int64", f, x=x.long(), src=None, dst=None)
    refused(rf"{op}: eid must have one id per edge: .*", f, csr=csr._replace(eid=csr.edge[:3]))
    query, key, value, _ = operands("dot", csr, 2, 3)
    for wrong, name in ((query[:4], "query"), (query.float(), "query")):
        refused(
            rf"attention_dot: {name} .*", ops.attention_dot, csr.ptr, csr.col, wrong, key, value
        )
    refused(
        r"attention_dot: key must have shape \(5, 2, 3\), got \(4, 2, 3\)",
        ops.attention_dot, csr.ptr, csr.col, query, key[:4], value,
    )  # fmt: skip
    refused(
        r"attention_gatv2: att must have shape \(2, 3\), got \(2, 2\)",
        ops.attention_gatv2, csr.ptr, csr.col, x, x, value[0, :, :2],
    )  # fmt: skip
    raw = torch.ops.gnnlib.attention_gat
    refused(
        r"attention_gat: score_src must be float64 for float64 rows .* got float32 with float64",
        raw, *csr[:3], x, src.float(), None, None, 0.2, 0.0, None,
    )  # fmt: skip
    refused(
        "attention_gat: seed must be given for dropout",
        raw, *csr[:3], x, src, None, None, 0.2, 0.5, None,
    )  # fmt: skip
    refused(
        "attention_gat: seed must be one int64 on the device of the values",
        raw, *csr[:3], x, src, None, None, 0.2, 0.5, torch.tensor(1.0),
    )  # fmt: skip
