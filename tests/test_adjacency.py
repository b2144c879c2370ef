import copy
import pickle

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils import _pytree as pytree

from gnnlib import ops
from gnnlib.adjacency import Adjacency
from tests.graphs import GRAPHS, RECTANGULAR, exported

INDEX_DTYPES = [torch.int32, torch.int64]


def adjacency(name: str) -> Adjacency:
    edge_index, num_nodes = GRAPHS[name]
    return Adjacency.from_edge_index(edge_index, num_nodes)


def edges_of(adj: Adjacency) -> list[tuple[int, int]]:
    return list(zip(*adj.edge_index.tolist()))


def assert_is_csr_of(adj: Adjacency, edge_index: torch.Tensor, num_src: int, num_dst: int) -> None:
    """Checked edge by edge, against the law: rows by destination, stable, eid in user order."""
    source, destination = edge_index.tolist()
    rows: list[list[int]] = [[] for _ in range(num_dst)]
    for edge, j in enumerate(destination):
        rows[j].append(edge)
    order = [edge for row in rows for edge in row]
    assert (adj.num_src, adj.num_dst, adj.num_edges) == (num_src, num_dst, len(source))
    assert adj.ptr.diff().tolist() == [len(row) for row in rows]
    assert adj.col.tolist() == [source[edge] for edge in order]
    assert adj.row.tolist() == [destination[edge] for edge in order]
    if adj.eid is None:
        assert order == sorted(order)
    else:
        assert adj.eid.tolist() == order
    assert torch.equal(adj.edge_index, edge_index)


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@pytest.mark.parametrize("name", GRAPHS)
def test_edges_are_sorted_by_destination_stably(name, dtype):
    edge_index, num_nodes = GRAPHS[name]
    adj = Adjacency.from_edge_index(edge_index.to(dtype), num_nodes)
    assert_is_csr_of(adj, edge_index, num_nodes, num_nodes)
    assert adj.ptr.dtype == adj.col.dtype == torch.int32


@pytest.mark.parametrize("name", RECTANGULAR)
def test_sources_and_destinations_may_differ(name):
    edge_index, num_src, num_dst = RECTANGULAR[name]
    adj = Adjacency.from_edge_index(edge_index, num_src=num_src, num_dst=num_dst)
    assert_is_csr_of(adj, edge_index, num_src, num_dst)


def test_eid_is_none_only_when_edges_come_sorted():
    assert adjacency("sorted").eid is None
    assert adjacency("unsorted").eid is not None


@pytest.mark.parametrize("name", GRAPHS)
def test_the_transpose_points_from_sources_to_positions(name):
    adj = adjacency(name)
    t_ptr, t_row, t_pos = adj.transpose()
    order = adj.col.argsort(stable=True)
    assert torch.equal(t_pos.long(), order)
    assert torch.equal(t_row, adj.row[order])
    assert t_ptr.diff().tolist() == torch.bincount(adj.col, minlength=adj.num_src).tolist()
    assert adj.transpose() is adj.transpose()


@pytest.mark.parametrize("name", GRAPHS)
def test_reverse_flips_edges_and_keeps_their_ids(name):
    edge_index, num_nodes = GRAPHS[name]
    assert_is_csr_of(adjacency(name).reverse(), edge_index.flip(0), num_nodes, num_nodes)


@pytest.mark.parametrize("name", GRAPHS)
def test_with_loops_gives_a_loop_to_each_node_that_has_none(name):
    edge_index, num_nodes = GRAPHS[name]
    adj = adjacency(name)
    has = {i for i, j in edges_of(adj) if i == j}
    missing = [i for i in range(num_nodes) if i not in has]
    looped = adj.with_loops()
    loops = torch.tensor([missing, missing], dtype=torch.long)
    # New loops have the ids E, E + 1, … in node order, so they follow the edges.
    assert_is_csr_of(looped, torch.cat([edge_index, loops], dim=1), num_nodes, num_nodes)
    assert adj.has_loops == bool(has)
    if missing:
        assert looped is adj.with_loops()
        assert looped.with_loops() is looped
    else:
        assert looped is adj


def test_with_loops_needs_one_set_of_nodes():
    adj = Adjacency.from_edge_index([[0], [1]], num_src=3, num_dst=2)
    with pytest.raises(ValueError, match=r"one set of nodes.*num_src=3, num_dst=2"):
        adj.with_loops()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", GRAPHS)
def test_degree_is_the_weighted_in_degree_with_loops(name, dtype):
    edge_index, num_nodes = GRAPHS[name]
    adj = adjacency(name)
    weight = torch.rand(adj.num_edges, dtype=dtype)
    expected = torch.zeros(num_nodes, dtype=dtype).index_add(0, edge_index[1], weight)
    torch.testing.assert_close(adj.degree(weight), expected)
    ones = torch.bincount(edge_index[1], minlength=num_nodes)
    assert torch.equal(adj.degree(dtype=dtype), ones.to(dtype))
    assert adj.degree(dtype=dtype) is adj.degree(dtype=dtype)


def test_the_weighted_degree_is_differentiable():
    adj = adjacency("repeated_edges")
    weight = torch.rand(adj.num_edges, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(adj.degree, (weight,))


def test_degree_follows_the_default_dtype():
    adj = adjacency("chain")
    torch.set_default_dtype(torch.float64)
    assert adj.degree().dtype == torch.float64


def test_memo_builds_once_and_not_while_tracing():
    adj, built = adjacency("chain"), []

    def build():
        built.append(1)
        return adj.ptr * 2

    torch.func.vmap(lambda x: adj.memo("key", build).sum() * x)(torch.ones(3))
    assert len(built) == 1
    first = adj.memo("key", build)
    assert adj.memo("key", build) is first
    assert len(built) == 2


def test_what_inference_mode_built_serves_training():
    adj = adjacency("unsorted")
    with torch.inference_mode():
        degree = adj.degree()
    x = torch.ones(adj.num_dst, requires_grad=True)
    (x * degree * x).sum().backward()
    assert x.grad is not None


def test_an_adjacency_is_immutable():
    adj = adjacency("chain")
    with pytest.raises(AttributeError, match="immutable"):
        adj.ptr = adj.col


@pytest.mark.parametrize("name", GRAPHS)
def test_copies_and_pickles_are_equal(name):
    adj = adjacency(name)
    for build in (adj.transpose, adj.degree, adj.with_loops):
        build()
    for other in (copy.deepcopy(adj), copy.copy(adj), pickle.loads(pickle.dumps(adj))):  # noqa: S301
        assert_is_csr_of(other, adj.edge_index, adj.num_src, adj.num_dst)
        assert all(torch.equal(a, b) for a, b in zip(other.transpose(), adj.transpose()))
        assert torch.equal(other.with_loops().edge_index, adj.with_loops().edge_index)


def test_to_the_same_device_is_itself_and_to_another_a_copy_with_the_transpose():
    adj = adjacency("unsorted")
    adj.transpose()
    assert adj.to("cpu") is adj
    moved = adj.to("meta")
    assert moved.device.type == "meta"
    assert moved.transpose()[0].device.type == "meta"
    assert moved.num_src == adj.num_src


# the constructor ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_arrays_of_a_csr_are_taken_and_validated(dtype):
    whole = adjacency("unsorted")
    assert whole.eid is not None
    ptr, col, eid = (array.to(dtype) for array in (whole.ptr, whole.col, whole.eid))
    adj = Adjacency(ptr, col, whole.num_src, eid)
    assert_is_csr_of(adj, whole.edge_index, whole.num_src, whole.num_dst)
    assert adj.ptr.dtype == torch.int32
    assert Adjacency(ptr, col).num_src == whole.num_dst


@pytest.mark.parametrize(
    ("ptr", "col", "eid", "error", "message"),
    [
        ([0.0, 1.0], [0], None, TypeError, "ptr must be int64 or int32, got torch.float32"),
        ([0, 1], [0.5], None, TypeError, "col must be int64 or int32"),
        ([[0, 1]], [0], None, ValueError, r"ptr must have one dimension, got shape \(1, 2\)"),
        ([], [], None, (TypeError, ValueError), "ptr must"),
        ([1, 1], [0], None, ValueError, "ptr must run from 0 to the number of edges 1, got 1 to 1"),
        ([0, 2], [0], None, ValueError, "ptr must run from 0 to the number of edges 1, got 0 to 2"),
        ([0, 2, 1, 2], [0, 0], None, ValueError, "never decrease: it does after row 1"),
        ([0, 2], [0, 4], None, ValueError, r"col must hold .* below num_src=4: col\[1\] is 4"),
        ([0, 2], [-1, 0], None, ValueError, r"col\[0\] is -1"),
        ([0, 2], [0, 1], [0], ValueError, "one id per edge: col has 2 edges, got 1"),
        ([0, 2], [0, 1], [0, 0], ValueError, "each id below num_edges=2 once, got no 1"),
        ([0, 2], [0, 1], [0, 7], ValueError, r"eid must hold ids below num_edges=2: eid\[1\] is 7"),
        ([0, 2], [0, 1], [1, 0], ValueError, r"eid must increase within each row.*eid\[0\] is 1"),
    ],
)
def test_arrays_that_are_no_csr_are_refused(ptr, col, eid, error, message):
    eid = None if eid is None else torch.tensor(eid)
    with pytest.raises(error, match=message):
        Adjacency(torch.tensor(ptr), torch.tensor(col), 4, eid)


def test_arrays_must_be_tensors_of_one_device():
    with pytest.raises(TypeError, match="ptr must be a tensor, got list"):
        Adjacency([0, 1], torch.tensor([0]), 1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="col must be on the device of ptr: cpu, got meta"):
        Adjacency(torch.tensor([0, 1]), torch.zeros(1, dtype=torch.long, device="meta"), 1)


def test_a_stable_eid_may_fall_from_row_to_row():
    adj = Adjacency(torch.tensor([0, 1, 1, 3]), torch.tensor([0, 0, 1]), 3, torch.tensor([2, 0, 1]))
    assert edges_of(adj) == [(0, 2), (1, 2), (0, 0)]


@pytest.mark.parametrize(
    ("edge_index", "sizes", "message"),
    [
        ([[0, 2], [1, 9]], {"num_nodes": 4}, "ids below num_nodes=4: edge 1 is (2, 9)"),
        ([[0, -2], [1, 1]], {"num_nodes": 4}, "ids of 0 or more: edge 1 is (-2, 1)"),
        ([[0, 3, 5], [0, 1, 9]], {"num_src": 3, "num_dst": 4}, "below num_src=3: edge 1 is (3, 1)"),
        ([[0, 2], [0, 4]], {"num_src": 3, "num_dst": 4}, "below num_dst=4: edge 1 is (2, 4)"),
        ([[-1], [0]], {}, "ids of 0 or more: edge 0 is (-1, 0)"),
    ],
)
def test_the_first_edge_out_of_bounds_is_named(edge_index, sizes, message):
    with pytest.raises(ValueError) as caught:
        Adjacency.from_edge_index(edge_index, **sizes)
    assert message in str(caught.value)


def test_sizes_are_given_in_one_way():
    with pytest.raises(TypeError, match="not both"):
        Adjacency.from_edge_index([[0], [0]], 3, num_src=3)
    with pytest.raises(TypeError, match="both num_src and num_dst"):
        Adjacency.from_edge_index([[0], [0]], num_src=3)
    with pytest.raises(ValueError, match="num_nodes must be 0 or more, got -1"):
        Adjacency.from_edge_index([[0], [0]], -1)
    with pytest.raises(TypeError, match="num_nodes must be an int, got float"):
        Adjacency.from_edge_index([[0], [0]], 3.0)  # pyright: ignore[reportArgumentType]
    assert Adjacency.from_edge_index([[0, 4], [2, 0]]).num_dst == 5


# matrices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_matrices_hold_the_weight_of_i_to_j_at_i_j(name, weighted):
    edge_index, num_nodes = GRAPHS[name]
    adj = adjacency(name)
    weight = torch.rand(adj.num_edges) if weighted else None
    values = torch.ones(adj.num_edges) if weight is None else weight
    expected = torch.zeros(num_nodes, num_nodes)
    for (i, j), value in zip(edge_index.T.tolist(), values):
        expected[i, j] += value

    torch.testing.assert_close(adj.to_dense(weight), expected)
    for layout in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc):
        matrix = adj.to_torch_sparse(weight, layout)
        assert matrix.layout == layout
        torch.testing.assert_close(matrix.to_dense(), expected)
    scipy = adj.to_scipy(weight)
    assert scipy.format == "csr"
    torch.testing.assert_close(torch.from_numpy(scipy.toarray()), expected)
    operator = adj.to_scipy(weight, transpose=True)
    assert operator.format == "csr"
    torch.testing.assert_close(torch.from_numpy(operator.toarray()), expected.T)


def test_the_transposed_scipy_matrix_aggregates():
    adj = adjacency("power_law")
    x = torch.randn(adj.num_src, 3)
    aggregated = torch.from_numpy(adj.to_scipy(transpose=True) @ x.numpy())
    torch.testing.assert_close(ops.spmm(adj.ptr, adj.col, x), aggregated)


def test_dense_and_sparse_weights_are_differentiable():
    adj = adjacency("repeated_edges")
    weight = torch.rand(adj.num_edges, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(adj.to_dense, (weight,))
    assert torch.autograd.gradcheck(lambda w: adj.to_torch_sparse(w).to_dense(), (weight,))


def test_a_weight_of_wrong_length_or_an_unknown_layout_is_refused():
    adj = adjacency("chain")
    with pytest.raises(ValueError, match=r"num_edges=16, got \(3,\)"):
        adj.to_dense(torch.ones(3))
    with pytest.raises(ValueError, match="layout must be"):
        adj.to_torch_sparse(layout=torch.strided)


# pytree, compile, export -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["empty", "sorted", "unsorted"])
def test_an_adjacency_is_a_pytree(name):
    adj = adjacency(name)
    leaves, spec = pytree.tree_flatten(adj)
    assert all(isinstance(leaf, torch.Tensor) for leaf in leaves)
    spec = pytree.treespec_loads(pytree.treespec_dumps(spec))
    assert_is_csr_of(pytree.tree_unflatten(leaves, spec), adj.edge_index, adj.num_src, adj.num_dst)


def test_a_rectangular_adjacency_is_a_pytree():
    edge_index, num_src, num_dst = RECTANGULAR["wide"]
    adj = Adjacency.from_edge_index(edge_index, num_src=num_src, num_dst=num_dst)
    other = pytree.tree_map(lambda leaf: leaf.clone(), adj)
    assert_is_csr_of(other, edge_index, num_src, num_dst)


def _aggregate(adj: Adjacency, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    out = ops.spmm(adj.ptr, adj.col, x, weight, eid=adj.eid, transpose=adj.transpose) / adj.degree(
        weight
    ).clamp(min=0.1).unsqueeze(1)
    return out + adj.degree().unsqueeze(1) + adj.row.sum() + adj.num_src


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("kept", [False, True])
def test_compile_takes_adjacencies_of_any_size_without_compiling_again(kept):
    backend = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(_aggregate, fullgraph=True, dynamic=True, backend=backend)
    torch._dynamo.reset()
    # The first has no two sizes in common by chance, which torch would take for one.
    for name in ("directed_random", "power_law", "unsorted"):
        adj = adjacency(name)
        x, weight = torch.randn(adj.num_src, 4, requires_grad=True), torch.rand(adj.num_edges)
        if kept:
            _aggregate(adj, x, weight)
        before = set(adj._memo)
        out = compiled(adj, x, weight)
        assert set(adj._memo) == before  # a traced region keeps nothing
        torch.testing.assert_close(out, _aggregate(adj, x, weight))
        grad = torch.autograd.grad(out.sum(), x)
        torch.testing.assert_close(grad, torch.autograd.grad(_aggregate(adj, x, weight).sum(), x))
    assert backend.frame_count == 1


def test_an_exported_program_takes_an_adjacency_of_another_size():
    def inputs(name):
        adj = adjacency(name)
        return adj, torch.randn(adj.num_src, 4), torch.rand(adj.num_edges)

    names = ("directed_random", "unsorted", "power_law")
    program = exported(_aggregate, *map(inputs, names))
    args = inputs("repeated_edges")
    torch.testing.assert_close(program(*args), _aggregate(*args))


@pytest.mark.parametrize("bad", [(0, 5), (5, 0), (-1, 0)])
def test_a_bad_edge_index_inside_a_compiled_function_is_an_error_and_no_crash(bad):
    def function(x, edge_index):
        return Adjacency.from_edge_index(edge_index, num_nodes=3).transpose()[0]

    compiled = torch.compile(function, backend="aot_eager", dynamic=True)
    edge_index = torch.tensor([[0, bad[0]], [1, bad[1]]])
    with pytest.raises((ValueError, RuntimeError), match="must (hold node ids )?be(low)?"):
        compiled(torch.ones(3, 2), edge_index)


@pytest.mark.parametrize("name", ["ptr", "num_src"])
def test_nothing_of_an_adjacency_can_be_deleted(name):
    adj = Adjacency.from_edge_index([[0], [1]])
    with pytest.raises(AttributeError, match="immutable"):
        delattr(adj, name)
