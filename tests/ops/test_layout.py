"""coo_to_csr, csr_transpose and csr_add_loops: sorted, stable, and with their errors."""

import pytest
import torch

from gnnlib import ops
from gnnlib.ops import reference
from tests.graphs import GRAPHS, RECTANGULAR
from tests.ops.cases import NAMES, check_threads, make_csr, random_csr, refused

INDEX = [torch.int32, torch.int64]


@pytest.mark.parametrize("index", INDEX)
@pytest.mark.parametrize("name", [*GRAPHS, *RECTANGULAR])
def test_coo_to_csr_sorts_by_destination_and_keeps_the_users_order(name, index):
    edges, *sizes = GRAPHS.get(name) or RECTANGULAR[name]
    src, dst = edges.to(index)
    ptr, col, eid = ops.coo_to_csr(dst, src, sizes[-1])
    order = sorted(range(len(dst)), key=lambda e: dst[e].item())  # sorted() is stable
    assert eid.tolist() == order
    assert col.tolist() == [src[e].item() for e in order]
    assert ptr.diff().tolist() == torch.bincount(dst, minlength=sizes[-1]).tolist()
    assert ptr[0] == 0
    assert {t.dtype for t in (ptr, col, eid)} == {index}


@pytest.mark.parametrize("index", INDEX)
@pytest.mark.parametrize("name", NAMES)
def test_the_transpose_holds_every_edge_once_and_turns_back(name, index):
    csr = make_csr(name, index)
    t_ptr, t_row, t_pos = ops.csr_transpose(csr.ptr, csr.col, csr.num_src)
    for got, expected in zip((t_ptr, t_row, t_pos), csr.transpose):
        assert torch.equal(got, expected)
        assert got.dtype == index
    assert torch.equal(
        csr.col[t_pos.long()],
        torch.arange(csr.num_src).repeat_interleave(t_ptr.diff().long()).to(index),
    )
    assert torch.equal(csr.row[t_pos.long()].to(index), t_row)
    ptr, col, _ = ops.csr_transpose(t_ptr, t_row, csr.num_dst)
    assert torch.equal(ptr, csr.ptr)
    assert torch.equal(col, csr.col.sort().values if csr.num_dst == 1 else _sorted_rows(csr))


def _sorted_rows(csr):
    """Turned twice, the edges of a row stand by source."""
    return torch.cat(
        [part.sort().values for part in csr.col.split(csr.ptr.diff().tolist())] or [csr.col]
    )


@pytest.mark.parametrize("index", INDEX)
@pytest.mark.parametrize("user_order", [True, False])
@pytest.mark.parametrize("name", GRAPHS)
def test_loops_are_added_where_they_are_missing_and_stand_last(name, user_order, index):
    csr = make_csr(name, index, user_order=user_order)
    ptr, col, eid = ops.csr_add_loops(csr.ptr, csr.col, csr.eid)
    next_id = csr.num_edges
    for i in range(csr.num_dst):
        old = slice(int(csr.ptr[i]), int(csr.ptr[i + 1]))
        want_col, want_eid = csr.col[old].tolist(), csr.edge[old].tolist()
        if i not in want_col:
            want_col.append(i)
            want_eid.append(next_id)
            next_id += 1
        new = slice(int(ptr[i]), int(ptr[i + 1]))
        assert col[new].tolist() == want_col
        assert eid[new].tolist() == want_eid
    assert len(col) == len(eid) == int(ptr[-1]) == next_id
    assert {t.dtype for t in (ptr, col, eid)} == {index}
    for got, expected in zip((ptr, col, eid), reference.csr_add_loops(csr.ptr, csr.col, csr.eid)):
        assert torch.equal(got, expected)
    again = ops.csr_add_loops(ptr, col, eid)
    assert all(torch.equal(a, b) for a, b in zip(again, (ptr, col, eid)))


def test_indices_need_not_be_contiguous():
    edges = GRAPHS["directed_random"][0].T.contiguous()
    src, dst = edges[:, 0], edges[:, 1]
    for got, expected in zip(
        ops.coo_to_csr(dst, src, 30), ops.coo_to_csr(dst.contiguous(), src.contiguous(), 30)
    ):
        assert torch.equal(got, expected)


@pytest.mark.parametrize(("num_rows", "index"), [(1, INDEX[0]), (20, INDEX[1]), (3000, INDEX[0])])
def test_the_order_does_not_depend_on_the_threads(num_rows, index):
    dst = torch.randint(num_rows, (70_000,)).to(index)  # above the serial threshold
    src = torch.randint(50, (70_000,)).to(index)
    check_threads(lambda: ops.coo_to_csr(dst, src, num_rows))
    order = ops.coo_to_csr(dst, src, num_rows)[2]
    assert torch.equal(order.long(), dst.argsort(stable=True))
    csr = random_csr(num_rows, 40, 70_000, index)
    check_threads(lambda: ops.csr_transpose(csr.ptr, csr.col, 40))
    for got, expected in zip(ops.csr_transpose(csr.ptr, csr.col, 40), csr.transpose):
        assert torch.equal(got, expected)


def test_layout_compiles_into_one_graph():
    def f(dst, src, num_nodes):
        ptr, col, eid = ops.coo_to_csr(dst, src, num_nodes)
        ptr, col, eid = ops.csr_add_loops(ptr, col, eid)
        return ops.csr_transpose(ptr, col, num_nodes), eid

    compiled = torch.compile(f, fullgraph=True, dynamic=True, backend="aot_eager")
    for name in ("unsorted", "self_loops", "power_law"):
        edges, num_nodes = GRAPHS[name]
        src, dst = edges
        (transpose, eid), (got, got_eid) = f(dst, src, num_nodes), compiled(dst, src, num_nodes)
        assert torch.equal(eid, got_eid)
        assert all(torch.equal(a, b) for a, b in zip(transpose, got))


@pytest.mark.parametrize("index", INDEX)
def test_layout_names_the_argument_that_is_wrong(index):
    dst, src = torch.tensor([0, 2, 1], dtype=index), torch.tensor([1, 1, 0], dtype=index)
    ptr = torch.tensor([0, 1, 1, 3], dtype=index)
    other = torch.int32 if index == torch.int64 else torch.int64
    sort, turn, loops = ops.coo_to_csr, ops.csr_transpose, ops.csr_add_loops

    refused(r"coo_to_csr: dst must be below 2 and not negative: position 1 is 2", sort, dst, src, 2)
    refused(r"coo_to_csr: dst .* not negative: position 2 is -1", sort, src - 1, src, 2)
    refused(r"coo_to_csr: dst must be int32 or int64, got float32", sort, dst.float(), src, 3)
    refused(r"coo_to_csr: dst must have one dimension, got shape \(1, 3\)", sort, dst[None], src, 3)
    refused(r"coo_to_csr: src and dst must have one dtype, .*", sort, dst, src.to(other), 3)
    refused(r"coo_to_csr: src must have shape \(3\), got \(2\)", sort, dst, src[:2], 3)
    refused(r"coo_to_csr: num_dst must not be negative, got -1", sort, dst, src, -1)

    refused(r"csr_transpose: col must be below 1 .* position 0 is 1", turn, ptr, src, 1)
    refused(r"csr_transpose: ptr must run .* edges 2, got 0 to 3", turn, ptr, src[:2], 2)
    refused(r"csr_transpose: num_src must not be negative, got -2", turn, ptr, src, -2)
    refused(r"csr_transpose: col and ptr must have one dtype, .*", turn, ptr, src.to(other), 2)

    refused(r"csr_add_loops: ptr must run .* edges 2, got 0 to 3", loops, ptr, src[:2])
    refused(r"csr_add_loops: ptr must have num_dst \+ 1 entries, got none", loops, ptr[:0], src)
    refused(r"csr_add_loops: eid must have one id per edge: .* 3, eid 2", loops, ptr, src, dst[:2])


def test_more_rows_than_int32_can_count_ask_for_int64():
    dst = torch.zeros(1, dtype=torch.int32)
    refused(r"coo_to_csr: num_dst=2147483648 needs int64 .*", ops.coo_to_csr, dst, dst, 2**31)
