"""What an operator refuses, and the one sentence it says. None of these calls may crash."""

import gc

import pytest
import torch

from gnnlib import Adjacency, ops
from gnnlib.ops import _door
from tests.ops.cases import refused, values

PTR, COL, EID = [0, 2, 2, 4], [1, 0, 1, 4], [2, 0, 3, 1]  # 3 destinations, 5 sources, 4 edges


@pytest.fixture(params=[torch.int32, torch.int64], ids=str)
def index(request):
    return request.param


def _graph(index):
    return [torch.tensor(part, dtype=index) for part in (PTR, COL, EID)]


def _calls(ptr, col, eid):
    """The operators by name, on a structure: those that read col, and those that do not."""
    x, a, edges = values(5, 2), values(3, 2), values(4, 2)
    reads_col = {
        "spmm": lambda: ops.spmm(ptr, col, x, edges[:, 0], eid=eid),
        "spmm_arg": lambda: ops.spmm(ptr, col, x.clone().requires_grad_(), reduce="max"),
        "sddmm": lambda: ops.sddmm(ptr, col, a, x, eid=eid),
        "csr_transpose": lambda: ops.csr_transpose(ptr, col, 5),
    }
    return reads_col, {
        "spmm": lambda: ops.segment_reduce(ptr, edges, eid=eid),
        "spmm_arg": lambda: ops.segment_reduce(
            ptr, edges.clone().requires_grad_(), eid=eid, reduce="min"
        ),
        "segment_expand": lambda: ops.segment_expand(ptr, a, 4, eid=eid),
        "segment_softmax": lambda: ops.segment_softmax(ptr, edges, eid=eid),
    }


def test_every_operator_refuses_a_ptr_that_decreases(index):
    for bad, row in (([0, 3, 2, 4], 1), ([0, 9, 1, 4], 1), ([0, -3, 2, 4], 0)):
        _, col, eid = _graph(index)
        for calls in _calls(torch.tensor(bad, dtype=index), col, eid):
            for op, call in calls.items():
                at, then = bad[row], bad[row + 1]
                steps = rf"ptr\[{row}\] is {at}, ptr\[{row + 1}\] is {then}"
                refused(f"{op}: ptr must never decrease: {steps}", call)
    far = torch.tensor([0, -(2**63), 2**63 - 1, 4])  # no difference of these fits
    refused(r".*ptr must never decrease: ptr\[0\] is 0, .*", ops.segment_softmax, far, values(4))


def test_every_operator_refuses_a_ptr_that_does_not_run_from_0_to_the_edges(index):
    for bad in ([0, 2, 2, 3], [0, 2, 2, 5], [1, 2, 2, 4]):
        _, col, eid = _graph(index)
        for calls in _calls(torch.tensor(bad, dtype=index), col, eid):
            for op, call in calls.items():
                ends = f"got {bad[0]} to {bad[3]}"
                refused(f"{op}: ptr must run from 0 to the number of edges 4, {ends}", call)
    none = torch.empty(0, dtype=index)
    refused("spmm: ptr must have .* entries, got none", ops.segment_reduce, none, values(0, 2))


def test_lengths_that_disagree_are_named(index):
    ptr, col, eid = _graph(index)
    x, weight = values(5, 2), values(4)
    refused(r"spmm: weight must have shape \(4\), got \(3\)", ops.spmm, ptr, col, x, weight[:3])
    refused(
        "spmm: eid must have one id per edge: col has 4, eid 3",
        lambda: ops.spmm(ptr, col, x, weight, eid=eid[:3]),
    )
    refused(
        "x and eid must have one entry per edge: eid has 3, got x of shape .*",
        lambda: ops.segment_reduce(ptr, weight, eid=eid[:3]),
    )
    refused(r"sddmm: a must have shape \(3, 2\), got \(2, 2\)", ops.sddmm, ptr, col, x[:2], x)
    refused(
        "scatter: x must have one row per index: index has 4, x shape .*", ops.scatter, x, col, 5
    )


@pytest.mark.parametrize("bad", [5, -1, 2**31 - 1, -(2**31)])
def test_ids_of_sources_are_looked_at(bad, index):
    ptr, col, eid = _graph(index)
    wrong = col.clone()
    wrong[2] = bad
    reads_col, _ = _calls(ptr, wrong, eid)
    for op in ("spmm", "spmm_arg", "sddmm"):
        refused(rf"col must hold source ids below num_src=5: col\[2\] is {bad}", reads_col[op])
    refused(
        rf"csr_transpose: col must be below 5 and not negative: position 2 is {bad}",
        reads_col["csr_transpose"],
    )
    for op, call in (
        ("gather_rows", lambda: ops.gather_rows(values(5, 2), wrong)),
        ("scatter", lambda: ops.scatter(values(4, 2), wrong, 5)),
        (
            "scatter(_arg)?",
            lambda: ops.scatter(values(4, 2).requires_grad_(), wrong, 5, reduce="max"),
        ),
        ("scatter_add_", lambda: ops.scatter_add_(values(5, 2), values(4, 2), wrong)),
    ):
        refused(f"{op}: index must be below 5 and not negative: position 2 is {bad}", call)
    refused(
        f"coo_to_csr: dst must be below 5 and not negative: position 2 is {bad}",
        lambda: ops.coo_to_csr(wrong, col, 5),
    )


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ([2, 0, 4, 1], r"eid must hold ids below num_edges=4: eid\[2\] is 4"),
        ([2, 0, -1, 1], r"eid must hold ids below num_edges=4: eid\[2\] is -1"),
        ([2, 0, 2, 1], "eid must hold each id below 4 once, got no 3"),
    ],
)
def test_ids_of_edges_are_looked_at(bad, told, index):
    ptr, col, _ = _graph(index)
    wrong = torch.tensor(bad, dtype=index)
    reads_col, others = _calls(ptr, col, wrong)
    for call in (reads_col["spmm"], reads_col["sddmm"], *others.values()):
        refused(told, call)
    refused(told, ops.csr_add_loops, ptr, col, wrong)


def test_the_way_back_is_looked_at(index):
    ptr, col, _ = _graph(index)
    x = values(5, 2, grad=True)
    t_ptr, t_row, t_pos = ops.csr_transpose(ptr, col, 5)

    def backward(*transpose):
        ops.spmm(ptr, col, x, transpose=transpose).sum().backward()

    def put(tensor, value):
        tensor = tensor.clone()
        tensor[1] = value
        return tensor

    backward(t_ptr, t_row, t_pos)
    refused(
        r"t_row must hold destination ids below num_dst=3: t_row\[1\] is 3",
        lambda: backward(t_ptr, put(t_row, 3), t_pos),
    )
    refused(
        r"t_pos must hold positions below num_edges=4: t_pos\[1\] is 4",
        lambda: backward(t_ptr, t_row, put(t_pos, 4)),
    )
    refused(
        "t_pos must hold each id below 4 once, got no .",
        lambda: backward(t_ptr, t_row, put(t_pos, int(t_pos[0]))),
    )
    refused("spmm: ptr must never decrease: .*", lambda: backward(put(t_ptr, 9), t_row, t_pos))


def test_dtypes_that_do_not_go_together_are_named():
    ptr, col, eid = _graph(torch.int32)
    x, weight = values(5, 2), values(4)
    one = "must have one dtype, got"
    refused(f"spmm: col and ptr {one} int64 and int32", ops.spmm, ptr, col.long(), x)
    refused(
        f"spmm: eid and ptr {one} int64 and int32",
        lambda: ops.spmm(ptr, col, x, weight, eid=eid.long()),
    )
    refused(f"spmm: weight and x {one} float32 and float64", ops.spmm, ptr, col, x, weight.float())
    refused(f"sddmm: a and b {one} float32 and float64", ops.sddmm, ptr, col, x[:3].float(), x)
    refused("spmm: ptr must be int32 or int64, got float32", ops.spmm, ptr.float(), col, x)
    refused("spmm: col must be int32 or int64, got int16", ops.spmm, ptr, col.short(), x)
    refused("spmm: col must have one dimension, got .*", ops.spmm, ptr, col[None], x)
    refused("spmm: x must be float32, .*, got int64", ops.spmm, ptr, col, x.long())
    with pytest.raises(TypeError, match="^col must be a tensor, got list$"):
        ops.spmm(ptr, COL, x)  # pyright: ignore[reportArgumentType]


def test_devices_that_differ_are_named():
    ptr, col, eid = _graph(torch.int32)
    x, weight, a = values(5, 2), values(4), values(3, 2)
    there = "must be on the device of"

    def away(tensor):
        return tensor.to("meta")

    meta, cpu = "meta, got cpu", "cpu, got meta"
    refused(f"spmm: x {there} ptr: {cpu}", ops.spmm, ptr, col, away(x))
    refused(f"spmm: col {there} ptr: {cpu}", ops.spmm, ptr, away(col), x)
    refused(f"spmm: col {there} ptr: {meta}", ops.spmm, away(ptr), col, x)
    refused(f"spmm: weight {there} ptr: {cpu}", ops.spmm, ptr, col, x, away(weight))
    needing = away(x).requires_grad_()
    refused(f"spmm_arg: x {there} ptr: {cpu}", ops.spmm, ptr, col, needing, reduce="max")
    refused(f"sddmm: b {there} ptr: {cpu}", ops.sddmm, ptr, col, a, away(x))
    refused(f"segment_softmax: scores {there} ptr: {meta}", ops.segment_softmax, away(ptr), weight)
    refused(f"segment_expand: x {there} ptr: {cpu}", ops.segment_expand, ptr, away(a), 4)
    refused(f"gather_rows: index {there} x: {cpu}", ops.gather_rows, x, away(col))
    refused(f"scatter: index {there} x: {meta}", ops.scatter, away(weight), col, 5)
    refused(f"scatter_add_: x {there} out: {cpu}", ops.scatter_add_, x, away(x[:4]), col)
    refused(f"csr_transpose: col {there} ptr: {cpu}", ops.csr_transpose, ptr, away(col), 5)
    refused(f"coo_to_csr: src {there} dst: {cpu}", ops.coo_to_csr, col, away(col), 5)
    refused(f"edge_dropout: eid {there} x: {cpu}", ops.edge_dropout, weight, 0.5, eid=away(eid))
    assert ops.spmm(away(ptr), away(col), away(x), away(weight)).shape == (3, 2)


def test_nothing_of_nothing_is_accepted(index):
    ptr, none = torch.zeros(1, dtype=index), torch.empty(0, dtype=index)
    for shape in ((0, 4), (0, 0), (0, 2, 0)):
        x = values(*shape)
        assert ops.spmm(ptr, none, x, eid=none).shape == shape
        assert ops.segment_reduce(ptr, x, eid=none).shape == shape
        assert ops.gather_rows(x, none).shape == shape
        assert ops.sddmm(ptr, none, x, x).shape == shape[:-1]
    rows = torch.zeros(4, dtype=index)
    assert torch.equal(ops.spmm(rows, none, values(2, 3), reduce="max"), values(3, 3) * 0)
    ptr, col, eid = _graph(index)
    assert ops.spmm(ptr, col, values(5, 0), values(4), eid=eid).shape == (3, 0)


def test_what_was_written_into_is_looked_at_again(index):
    ptr, col, eid = _graph(index)
    x, weight = values(5, 2), values(4)
    ops.spmm(ptr, col, x, weight, eid=eid)
    col[0] = 5
    refused(r"col must hold .*=5: col\[0\] is 5", ops.spmm, ptr, col, x, weight)
    col[0] = 0
    ops.spmm(ptr, col, x, weight, eid=eid)
    eid[0] = 3
    refused("eid must hold each id .*", lambda: ops.spmm(ptr, col, x, weight, eid=eid))


def test_what_is_known_of_one_size_is_not_taken_for_another(index):
    ptr, col, _ = _graph(index)
    adj = Adjacency(ptr, col, num_src=5)
    ops.spmm(adj.ptr, adj.col, values(5, 2))
    refused(
        r"col must hold source ids below num_src=4: col\[3\] is 4",
        lambda: ops.spmm(adj.ptr, adj.col, values(4, 2)),
    )
    col, grown = col.clamp(max=3), values(9, 2)
    ops.spmm(ptr, col, grown)  # looked at for nine rows, and found to need four
    ops.spmm(ptr, col, values(4, 2))
    refused(".*below num_src=3: .*", lambda: ops.spmm(ptr, col, values(3, 2)))


def test_a_structure_is_looked_at_once_and_forgotten_with_its_tensors(index, monkeypatch):
    gc.collect()
    before, looked = len(_door._seen), []
    monkeypatch.setattr(_door, "_look", lambda name, *_: looked.append(name))
    adj = Adjacency.from_edge_index([[1, 0, 1, 4], [2, 0, 2, 0]], num_src=5, num_dst=3)
    x, weight = values(5, 2, grad=True), values(4, grad=True)
    out = ops.spmm(adj.ptr, adj.col, x, weight, eid=adj.eid, transpose=adj.transpose)
    out.sum().backward()
    assert looked == []  # what an Adjacency holds was looked at where it was made
    monkeypatch.undo()

    ptr, col, eid = _graph(index)
    ops.spmm(ptr, col, x, weight, eid=eid)
    monkeypatch.setattr(_door, "_look", lambda name, *_: looked.append(name))
    ops.spmm(ptr, col, x, weight, eid=eid)
    ops.sddmm(ptr, col, values(3, 2), x, eid=eid)
    assert looked == []
    del adj, ptr, col, eid, out
    gc.collect()
    assert len(_door._seen) <= before


def test_tensors_of_inference_mode_are_looked_at_each_time():
    with torch.inference_mode():
        ptr, col, _ = _graph(torch.int64)
        x = values(5, 2)
        ops.spmm(ptr, col, x)
        col[0] = 7
        refused(r"col must hold .*: col\[0\] is 7", ops.spmm, ptr, col, x)
        t_ptr, t_row, t_pos = ops.csr_transpose(ptr, col.clamp(max=4), 5)
        t_row[0] = 3
        refused(r"col must hold .*: col\[0\] is 3", ops.spmm, t_ptr, t_row, x[:3])
        assert id(t_pos) not in _door._seen
        adj = Adjacency.from_edge_index([[1, 0], [0, 1]])
        assert ops.spmm(adj.ptr, adj.col, x[:2]).shape == (2, 2)
