"""Each operator against the reference for whatever structure, layout and dtype comes up.

`GNNLIB_FUZZ=5000 pytest tests/ops/test_fuzz.py` looks at that many examples, new ones each time.
"""

import mmap
import os
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib import ops
from gnnlib.ops import reference
from gnnlib.ops._schema import SCHEMAS
from tests.ops.cases import DTYPES, SIZES, Csr, assert_close, refused

LONG = int(os.environ.get("GNNLIB_FUZZ", "0"))
FUZZ = settings(max_examples=LONG or 60, derandomize=not LONG)
LAYOUTS = ["plain", "turned", "sliced", "offset", "expanded", "flipped"]


def _laid(tensor, layout):
    """The same values, but for 'expanded', in another layout of memory."""
    if layout == "turned":
        return (
            tensor.permute(*reversed(range(tensor.dim())))
            .contiguous()
            .permute(*reversed(range(tensor.dim())))
        )
    if layout == "sliced":
        wide = tensor.new_zeros((*tensor.shape[:-1], 2 * tensor.shape[-1] + 1))
        wide[..., 1::2] = tensor
        return wide[..., 1::2]
    if layout == "offset":
        return torch.cat([tensor[:1], tensor, tensor[:1]])[min(1, len(tensor)) :][: len(tensor)]
    if layout == "expanded" and tensor.is_floating_point():
        return tensor[..., :1].expand_as(tensor)
    if layout == "flipped":
        return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor.flip(0).flip(0)
    return tensor


@st.composite
def cases(draw):
    """A label, and calls of all operators on one structure: (name, arguments)."""
    size = st.integers(0, 12)
    num_dst = draw(size)
    num_src = num_dst if draw(st.booleans()) else draw(size)
    num_edges = draw(st.integers(0, 60)) if num_dst and num_src else 0
    hub = draw(st.booleans())  # half of the edges in one row
    by_user = draw(st.booleans())
    dtype, index = (
        draw(st.sampled_from(DTYPES))[0],
        draw(st.sampled_from([torch.int32, torch.int64])),
    )
    heads, dim = draw(st.integers(0, 4)), draw(st.sampled_from(SIZES[:18]) | st.just(0))
    layouts = [draw(st.sampled_from(LAYOUTS)) for _ in range(4)]
    p = draw(st.sampled_from([0.0, 0.3, 1.0]))
    number = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))

    def ids(high, count=num_edges):
        drawn = torch.randint(max(high, 1), (count,), generator=number, device="cpu")
        return drawn.to(torch.get_default_device(), index)

    def values(*shape, layout=layouts[0]):
        signs = torch.randint(0, 2, shape, generator=number, device="cpu") * 2 - 1
        numbers = (torch.rand(shape, generator=number, device="cpu") + 0.5) * signs
        return _laid(numbers.to(torch.get_default_device(), dtype), layout)

    dst = ids(num_dst)
    if hub and num_edges:
        dst[: num_edges // 2] = dst[0].clone()
    dst, src = _laid(dst, layouts[1]), _laid(ids(num_src), layouts[2])
    ptr, col, eid = reference.coo_to_csr(dst, src, num_dst)
    if by_user:  # any permutation is an order of the user's
        order = torch.randperm(num_edges, generator=number, device="cpu")
        eid = order.to(torch.get_default_device(), index)
    csr = Csr(ptr, col, eid if draw(st.booleans()) else None, num_dst, num_src)
    t_ptr, t_row, _ = csr.transpose
    ptr, col, t_row = (_laid(t, layouts[3]) for t in (ptr, col, t_row))
    eid = None if csr.eid is None else _laid(csr.eid, layouts[1])

    wide = torch.float64 if dtype == torch.float64 else torch.float32
    shape = draw(st.sampled_from([(dim,), (heads, dim)]))
    per_head = draw(st.booleans()) and len(shape) == 2
    x = values(num_src, *shape)
    grad = values(num_dst, *shape, layout=layouts[1])
    weight = values(num_edges, *shape[: int(per_head)], layout=layouts[2])
    edges = values(num_edges, *shape, layout=layouts[3])
    row_scale, col_scale = values(num_dst).to(wide), values(num_src).to(wide)
    maybe = draw(st.sampled_from([None, weight]))
    calls = [
        ("coo_to_csr", dst, src, num_dst),
        ("csr_transpose", ptr, col, num_src),
        ("segment_expand", ptr, eid, grad, num_edges),
        ("gather_rows", x, col),
        ("sddmm", ptr, col, eid, grad, x, "dot"),
        ("sddmm", ptr, col, eid, None, x.flatten(1), "copy"),
        ("segment_softmax", ptr, eid, edges),
        ("segment_softmax_backward", ptr, eid, edges, values(num_edges, *shape)),
        ("edge_dropout", edges, eid, p, ids(2**40, 1).long()[0]),
    ]
    rows = x.flatten(1)
    calls.append(("spmm_multi", ptr, col, rows, "std,max,sum"))
    calls.append(("spmm_multi", ptr, col, rows, "min,mean"))
    three = [values(num_dst, rows.shape[1], layout=layout).to(wide) for layout in layouts[:3]]
    calls.append(("spmm_multi_backward", t_ptr, t_row, rows, *three))
    calls.append(("spmm", ptr, col, eid, edges, x, "sum", None, col_scale))
    one = values(num_edges, layout=layouts[2])
    own = grad.flatten(1)
    for edge in (None, one, edges.flatten(1)):
        calls.append(("spmm_add", ptr, col, eid, rows, own, edge, 0.5, True, "sum"))
        calls.append(("spmm_add", ptr, col, eid, rows, None, edge, -2.0, False, "mean"))
        calls.append(("spmm_add_gate", ptr, col, eid, rows, own, edge, 0.5, own, True))
        if edge is not None:
            calls.append(("spmm_add_arg", ptr, col, eid, rows, edge, 0.5, "max"))
            calls.append(("spmm_add_edge", ptr, col, eid, rows, own, edge, 0.5, own))
    if len(shape) == 2:
        calls += _attention(ptr, col, eid, csr, x, grad, values, p, wide)
    if num_dst == num_src:
        calls.append(("csr_add_loops", ptr, col, eid))
        half = [scale * 0.25 for scale in (row_scale, col_scale)]
        calls.append(("propagate", ptr, col, eid, one, x, 2, 0.5, *half))
        calls.append(("propagate_powers", ptr, col, eid, None, x, 2, *half))
        if len(shape) == 2 and heads:
            calls.append(("propagate_horner", ptr, col, eid, one, x, *half))
    for kind in ("add", "sub", "mul"):
        calls.append(("sddmm", ptr, col, eid, grad.flatten(1), x.flatten(1), kind))
    for reduce in ("sum", "mean", "mul"):
        calls.append(("spmm", ptr, col, eid, maybe, x, reduce, None, None))
        calls.append(("spmm", ptr, col, eid, weight, x, reduce, row_scale, col_scale))
        calls.append(("spmm", ptr, eid, None, None, edges, reduce, None, None))
        calls.append(("scatter", edges, col, num_src + 1, reduce))
    for reduce in ("max", "min"):
        arg = reference.spmm_arg(ptr, col, eid, maybe, x, reduce)[1]
        calls.append(("spmm_arg", ptr, col, eid, maybe, x, reduce))
        for back in (reference.csr_transpose(ptr, col, num_src), (None, None, None)):
            calls.append(("spmm_arg_backward", col, eid, maybe, grad, arg, num_src, *back))
        calls.append(("spmm_arg_weight", ptr, col, eid, grad, x, arg, num_edges))
        calls.append(("scatter_arg", edges, col, num_src + 1, reduce))
    calls.append(("scatter_add_", values(num_src, *shape, layout="plain").to(wide), edges, col))
    label = f"{num_dst=} {num_src=} {num_edges=} {shape=} {dtype} {index} {layouts}"
    return label, calls, draw(st.integers(1, 4))


def _attention(ptr, col, eid, csr, x, y, values, p, wide):
    """Calls of the attention operators and their gradients, x and y the rows of the two ends."""
    heads, back = x.shape[1], csr.transpose
    src, dst, edge = (values(n, heads).to(wide) for n in (csr.num_src, csr.num_dst, csr.num_edges))
    att, seed = values(*x.shape[1:]).to(wide), torch.tensor(7)
    calls = []
    for kind, tensors in (
        ("gat", (x, src, dst, edge)), ("gatv2", (x, y, att)), ("dot", (y, x, x, edge))
    ):  # fmt: skip
        how = (0.3, p, seed)
        calls.append((f"attention_{kind}", ptr, col, eid, *tensors, *how))
        out, lse = getattr(reference, f"attention_{kind}")(ptr, col, eid, *tensors, *how)
        structure = (ptr, col, eid, *back)
        calls.append((f"attention_{kind}_backward", *structure, *tensors, out, lse, y, *how))
    return calls


def _answer(function, arguments):
    if "scatter_add_" in str(function):
        arguments = [arguments[0].clone(), *arguments[1:]]
        function(*arguments)
        return arguments[:1]
    out = function(*arguments)
    return out if isinstance(out, tuple) else (out,)


@FUZZ
@given(cases())
def test_any_structure_and_layout_gives_what_the_reference_gives(case):
    label, calls, threads = case
    torch.set_num_threads(threads)
    for name, *arguments in calls:
        expected = _answer(getattr(reference, name), arguments)
        actual = _answer(getattr(torch.ops.gnnlib, name).default, arguments)
        for a, b in zip(actual, expected, strict=True):
            assert_close(a, b, f"{name} {label}")


def test_the_fuzz_calls_every_operator():
    seen = set()

    @settings(max_examples=10)
    @given(cases())
    def collect(case):
        seen.update(name for name, *_ in case[1])

    collect()
    assert seen == set(SCHEMAS)


@pytest.mark.parametrize(("dtype", "index"), DTYPES)
def test_a_row_of_a_million_edges(dtype, index):
    """Small whole numbers: sums are exact, whatever their order."""
    hub, others = 1_000_000, 50
    ptr = torch.tensor([0, 20, 20, 20 + hub, 20 + hub, others + hub], dtype=index)
    total = hub + others
    col = torch.randint(300, (total,)).to(index)
    eid = torch.randperm(total).to(index)
    x = torch.randint(-2, 3, (300, 3)).to(dtype)
    weight = (torch.randint(0, 2, (total,)) * 2 - 1).to(dtype)
    grad = torch.randint(-1, 2, (5, 3)).to(dtype)
    expected = {}
    for threads in (1, 3):
        torch.set_num_threads(threads)
        for name, arguments in {
            "spmm": (ptr, col, eid, weight, x, "sum", None, None),
            "spmm_arg": (ptr, col, eid, weight, x, "max"),
            "sddmm": (ptr, col, eid, grad, x, "dot"),
            "segment_softmax": (ptr, eid, weight),
            "segment_expand": (ptr, eid, grad, total),
            "csr_transpose": (ptr, col, 300),
            "coo_to_csr": (col, eid, 300),
            "scatter": (weight, col, 300, "sum"),
        }.items():
            if name not in expected:
                out = getattr(reference, name)(*arguments)
                expected[name] = out if isinstance(out, tuple) else (out,)
            out = getattr(torch.ops.gnnlib, name)(*arguments)
            for a, b in zip(out if isinstance(out, tuple) else (out,), expected[name], strict=True):
                if name == "segment_softmax":
                    torch.testing.assert_close(a.double(), b.double(), rtol=2e-2, atol=1e-7)
                else:
                    assert torch.equal(a, b), f"{name} on {threads} threads"


# 2^31 --------------------------------------------------------------------------------------------


def _vast(count, dtype):
    """A tensor of zeros whose memory comes into being where it is written to."""
    if torch.get_default_device().type == "cuda":
        return torch.zeros(count, dtype=dtype)
    if sys.platform != "linux":
        pytest.skip("asks Linux for addresses without memory")
    no_reserve = 0x4000
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    try:
        memory = mmap.mmap(-1, count * dtype.itemsize, flags=flags)
    except OSError as error:
        pytest.skip(f"no addresses without memory: {error}")
    return torch.frombuffer(memory, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_offsets_beyond_31_bits_with_ids_of_32(dtype, kernels):
    num_rows, dim = 2**27 + 3, 64
    x = _vast(num_rows * dim, dtype).view(num_rows, dim)
    last = num_rows - 1
    x[last], x[5] = torch.arange(64).to(dtype), 2
    ptr = torch.tensor([0, 2, 3], dtype=torch.int32)
    col = torch.tensor([5, last, last], dtype=torch.int32)
    small, few = x[[5, last]], torch.tensor([0, 1, 1], dtype=torch.int32)  # the same rows

    for reduce in ("sum", "mean", "max", "min", "mul"):
        assert torch.equal(
            ops.spmm(ptr, col, x, reduce=reduce), ops.spmm(ptr, few, small, reduce=reduce)
        )
    weight = torch.tensor([1, 2, 3]).to(dtype)
    assert torch.equal(ops.spmm(ptr, col, x, weight), ops.spmm(ptr, few, small, weight))
    heads = weight[:, None].repeat(1, 4)
    assert torch.equal(
        ops.spmm(ptr, col, x.view(-1, 4, 16), heads),
        ops.spmm(ptr, few, small.view(-1, 4, 16), heads),
    )
    assert torch.equal(ops.sddmm(ptr, col, small, x), ops.sddmm(ptr, few, small, small))
    assert torch.equal(ops.gather_rows(x, col), ops.gather_rows(small, few))
    if dtype == torch.float32 and kernels != "emu":  # which would take minutes for so many rows
        ops.scatter_add_(x, small, torch.tensor([last, 7], dtype=torch.int32))
        assert torch.equal(x[last], small[0] + small[1])
        assert torch.equal(x[7], small[1])


def test_sizes_that_int32_cannot_count_ask_for_int64():
    many = _vast(2**31 + 2, torch.int32)
    empty, narrow = torch.ones(0, 4), torch.tensor([0, 0], dtype=torch.int32)
    x = _vast(2**31, torch.float32).view(-1, 1)
    call, text = torch.ops.gnnlib, "needs int64 indices, got int32"
    refused(
        f"spmm: num_dst=2147483649 {text}",
        lambda: call.spmm(many, many[:0], None, None, empty, "sum", None, None),
    )
    refused(
        f"sddmm: num_edges=2147483650 {text}",
        lambda: call.sddmm(narrow, many, None, empty, empty, "dot"),
    )
    refused(
        f"spmm: num_src=2147483648 {text}",
        lambda: call.spmm(narrow, narrow[:0], None, None, x, "sum", None, None),
    )
    refused(f"segment_softmax: num_edges=2147483648 {text}", ops.segment_softmax, narrow, x[:, 0])
    refused(f"coo_to_csr: num_edges=2147483650 {text}", ops.coo_to_csr, many, many, 3)
    refused(f"csr_transpose: num_edges=2147483650 {text}", ops.csr_transpose, narrow, many, 3)
    refused(f"coo_to_csr: num_dst=2147483648 {text}", ops.coo_to_csr, narrow, narrow, 2**31)
