import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils import _pytree as pytree

from gnnlib import ops
from gnnlib.adjacency import Adjacency
from gnnlib.features import SparseFeatures
from gnnlib.graph import Graph
from tests.graphs import GRAPHS, assert_same_graph, exported, make_graph

EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])


# making one --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_holds_what_it_was_given(name):
    edge_index, num_nodes = GRAPHS[name]
    graph = make_graph(name)
    assert graph.edge_index is edge_index
    assert (graph.num_nodes, graph.num_edges) == (num_nodes, edge_index.shape[1])
    assert (graph.num_features, graph.num_graphs) == (4, 1)
    assert torch.equal(graph.adj.edge_index, edge_index)
    assert graph.adj is graph.adj
    assert torch.equal(graph.batch, torch.zeros(num_nodes, dtype=torch.long))
    assert graph.graph_ptr.tolist() == [0, num_nodes]
    assert graph.validate() is graph


@pytest.mark.parametrize(
    "edge_index",
    [
        [[0, 1, 2], [1, 2, 0]],
        ((0, 1, 2), (1, 2, 0)),
        [EDGES[0], EDGES[1]],
        EDGES.numpy(),
        EDGES.numpy().astype(np.uint8),
        EDGES.int(),
        EDGES.T.contiguous().T,
        torch.stack([EDGES[0], EDGES[0], EDGES[1]])[::2],
    ],
    ids=["list", "tuple", "rows", "numpy", "uint8", "int32", "transposed", "strided"],
)
def test_edges_come_in_many_forms(edge_index):
    graph = Graph(edge_index)
    assert graph.edge_index.dtype == torch.int64
    assert torch.equal(graph.edge_index, EDGES)
    assert graph.num_nodes == 3


def test_a_read_only_array_is_taken():
    array = EDGES.numpy().copy()
    array.setflags(write=False)
    assert torch.equal(Graph(array).edge_index, EDGES)


@pytest.mark.parametrize("edge_index", [[[], []], np.empty((2, 0)), torch.empty(2, 0).long()])
def test_a_graph_may_be_empty(edge_index):
    graph = Graph(edge_index)
    assert (graph.num_nodes, graph.num_edges) == (0, 0)
    assert graph.adj.num_dst == 0
    assert Graph(edge_index, num_nodes=4).adj.degree().tolist() == [0, 0, 0, 0]


def test_num_nodes_comes_from_node_tensors_then_from_ids():
    assert Graph(EDGES, num_nodes=7).num_nodes == 7
    assert Graph(EDGES, y=torch.zeros(5)).num_nodes == 5
    assert Graph(EDGES, edge_attr=torch.zeros(3), mask=torch.zeros(4)).num_nodes == 4
    assert Graph(EDGES, graph_y=torch.zeros(1)).num_nodes == 3


@pytest.mark.parametrize(
    ("edge_index", "error", "message"),
    [
        (torch.zeros(3, 2).long(), ValueError, r"shape \[2, num_edges\].* got \(3, 2\): transpose"),
        (torch.zeros(4).long(), ValueError, r"shape \[2, num_edges\].* got \(4,\)"),
        (torch.zeros(2, 2, 2).long(), ValueError, r"got \(2, 2, 2\)"),
        (torch.zeros(2, 3), TypeError, "must be int64 or int32, got torch.float32"),
        (torch.zeros(2, 3, dtype=torch.bool), TypeError, "must be int64 or int32, got torch.bool"),
        ([[0.5], [1.0]], TypeError, "must be int64 or int32, got values of dtype float64"),
        ([["a"], ["b"]], TypeError, "must be int64 or int32, got values of dtype"),
        ([[0, 1], [1]], TypeError, "must be int64 or int32, got ragged rows"),
        (None, TypeError, "must be int64 or int32, got values of dtype object"),
        (torch.eye(2).to_sparse(), TypeError, "must be a dense tensor"),
    ],
)
def test_what_is_no_edge_index_is_refused(edge_index, error, message):
    with pytest.raises(error, match=message) as caught:
        Graph(edge_index)
    assert str(caught.value).startswith("edge_index")
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("edge_index", "arguments", "message"),
    [
        ([[0, 1, 2], [1, 0, 9]], {"num_nodes": 4}, "ids below num_nodes=4: edge 2 is (2, 9)"),
        ([[0, 4, 5], [1, 0, 0]], {"x": torch.ones(4, 1)}, "below num_nodes=4: edge 1 is (4, 0)"),
        ([[0, 1], [1, -3]], {}, "must hold node ids of 0 or more: edge 1 is (1, -3)"),
        ([[9, 1], [1, -3]], {"num_nodes": 4}, "ids below num_nodes=4: edge 0 is (9, 1)"),
        ([[0], [0]], {"num_nodes": 0}, "ids below num_nodes=0: edge 0 is (0, 0)"),
    ],
)
def test_the_first_bad_edge_is_named(edge_index, arguments, message):
    with pytest.raises(ValueError) as caught:
        Graph(edge_index, **arguments)
    assert str(caught.value).startswith("edge_index must hold node ids")
    assert message in str(caught.value)


@pytest.mark.parametrize("num_nodes", [-1, 2.0, "3", True])
def test_num_nodes_is_a_count(num_nodes):
    with pytest.raises((TypeError, ValueError), match="num_nodes must be"):
        Graph([[], []], num_nodes=num_nodes)


FITS_NOT = [
    ("x", torch.ones(4, 2), "x must have one row per node: graph has num_nodes=3, got x of shape"),
    ("x", torch.ones(4, 2), "got x of shape (4, 2)"),
    ("x", torch.ones(3), "x must have shape [num_nodes, num_features], got (3,); x.unsqueeze(1)"),
    ("x", torch.tensor(1.0), "x must have shape [num_nodes, num_features], got ()"),
    ("y", torch.ones(2), "one row per node: graph has num_nodes=3, got y of shape (2,)"),
    ("y", torch.tensor(1), "one row per node: graph has num_nodes=3, got y of shape ()"),
    ("mask", torch.ones(5) > 0, "mask must have one row per node: graph has num_nodes=3"),
    ("edge_attr", torch.ones(4, 2), "one row per edge: graph has num_edges=2, got edge_attr of"),
    ("edge_weight", torch.ones(3), "one row per edge: graph has num_edges=2, got edge_weight of"),
    ("edge_weight", torch.ones(2, 1), "must have shape [num_edges]: graph has num_edges=2, got"),
    ("graph_y", torch.ones(3), "one row per graph: graph has num_graphs=1, got graph_y of shape"),
    ("y", torch.ones(3, device="meta"), "device of edge_index: cpu, got y on meta"),
    ("adj", torch.ones(3), "'adj' is already something a Graph has"),
    ("num_edges", torch.ones(3), "'num_edges' is already something"),
    ("_hidden", torch.ones(3), "needs a name that Python can write"),
    ("a.b", torch.ones(3), "needs a name that Python can write"),
]


@pytest.mark.parametrize(("name", "value", "message"), FITS_NOT)
def test_tensors_that_do_not_fit_are_refused(name, value, message):
    with pytest.raises(ValueError) as caught:
        Graph([[0, 1], [1, 0]], num_nodes=3, **{name: value})
    assert message in str(caught.value)
    with pytest.raises(ValueError) as caught:
        Graph([[0, 1], [1, 0]], num_nodes=3).replace(**{name: value})
    assert message in str(caught.value)


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="y must be a tensor, got list"):
        Graph(EDGES, y=["a", "b", "c"])
    with pytest.raises(TypeError, match="y must be a tensor, got object"):
        Graph(EDGES, y=object())
    with pytest.raises(TypeError, match="only node features may be sparse"):
        Graph(EDGES, edge_attr=SparseFeatures.from_dense(torch.eye(3)))


@pytest.mark.filterwarnings("ignore:Sparse CS[RC] tensor support")
@pytest.mark.parametrize(
    "convert",
    [
        lambda x: scipy.sparse.csr_matrix(x.numpy()),
        lambda x: scipy.sparse.coo_array(x.numpy()),
        Tensor.to_sparse,
        Tensor.to_sparse_csr,
    ],
)
def test_sparse_matrices_become_sparse_features(convert):
    graph = Graph(EDGES, x=convert(torch.eye(3)))
    assert isinstance(graph.x, SparseFeatures)
    assert torch.equal(graph.x.to_dense(), torch.eye(3))
    assert graph.num_features == 3


def test_arrays_and_lists_become_tensors():
    graph = Graph(EDGES, x=np.eye(3), y=[1, 0, 2], train_mask=[True, False, True])
    assert graph.x.dtype == torch.float64
    assert graph.y.tolist() == [1, 0, 2]
    assert graph.train_mask.dtype == torch.bool


# reading it --------------------------------------------------------------------------------------


def test_tensors_are_attributes_and_items():
    graph = make_graph("chain")
    assert graph.x is graph["x"]
    assert "x" in graph
    assert "z" not in graph
    assert list(graph.keys())[:2] == ["x", "edge_attr"]
    assert dict(graph.items())["y"] is graph.y
    with pytest.raises(AttributeError, match="this Graph has no 'z'; it has edge_index, x, edge_"):
        graph.z  # noqa: B018
    with pytest.raises(KeyError, match="has no 'z'"):
        graph["z"]
    with pytest.raises(TypeError, match="takes the name of a tensor"):
        graph[0]  # pyright: ignore[reportArgumentType]


def test_a_graph_is_immutable():
    graph = make_graph("chain")
    with pytest.raises(AttributeError, match=r"immutable: graph.replace\(x=…\)"):
        graph.x = torch.zeros(3)


def test_the_repr_can_be_read():
    graph = Graph(
        EDGES,
        x=SparseFeatures.from_dense(torch.eye(3)),
        y=torch.zeros(3),
        train_mask=torch.tensor([True, False, True]),
        edge_mask=torch.tensor([False, False, True]),
        table=torch.zeros(3, 2, dtype=torch.bool),
    )
    assert repr(graph) == (
        "Graph(num_nodes=3, num_edges=3, x=sparse[3, 3], y=[3], train_mask=2, edge_mask=1,"
        " table=[3, 2])"
    )


FACTS = {  # name: undirected, self-loops, repeated edges
    "empty": (True, False, False),
    "no_edges": (True, False, False),
    "one_loop": (True, True, False),
    "one_edge": (False, False, False),
    "self_loops": (False, True, True),
    "repeated_edges": (False, True, True),
    "complete": (True, True, False),
    "ring": (False, False, False),
    "undirected_random": (True, False, False),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_about_the_structure(name):
    graph = make_graph(name)
    facts = graph.is_undirected(), graph.has_self_loops(), graph.has_repeated_edges()
    assert facts == FACTS[name]


def test_an_edge_repeated_in_one_direction_only_is_not_undirected():
    assert not Graph([[0, 0, 1], [1, 1, 0]]).is_undirected()
    assert Graph([[0, 0, 1, 1], [1, 1, 0, 0]]).is_undirected()


# replace, validate, to ---------------------------------------------------------------------------


def test_replace_shares_the_adjacency_even_before_it_is_built():
    graph = make_graph("unsorted")
    other = graph.replace(x=torch.zeros(5, 9), y=None, extra=torch.ones(5))
    assert other.adj is graph.adj
    assert other.num_features == 9
    assert "y" not in other
    assert "y" in graph
    assert "extra" not in graph
    assert other.edge_attr is graph.edge_attr


@pytest.mark.parametrize("name", ["edge_index", "num_nodes"])
def test_replace_keeps_the_structure(name):
    with pytest.raises(TypeError, match="make a new Graph"):
        make_graph("chain").replace(**{name: 3})


def test_validate_finds_what_was_changed_in_place():
    graph = Graph(EDGES.clone(), x=torch.ones(3, 2))
    graph.edge_index[0, 1] = 5
    with pytest.raises(ValueError, match=r"edge 1 is \(5, 2\)"):
        graph.validate()
    graph = Graph(EDGES.clone(), x=torch.ones(3, 2))
    assert graph.adj.num_edges == 3
    graph.edge_index[0, 1] = 0
    with pytest.raises(ValueError, match="changed in place"):
        graph.validate()


@pytest.mark.parametrize("sparse", [False, True])
def test_to_a_dtype_casts_floating_tensors_only(sparse):
    graph = make_graph("power_law", sparse=sparse)
    assert graph.adj is graph.to(torch.float64).adj
    double = graph.to(torch.float64)
    assert double.x.dtype == double.edge_weight.dtype == double.graph_y.dtype == torch.float64
    assert double.y.dtype == double.edge_type.dtype == torch.int64
    assert double.train_mask.dtype == torch.bool
    assert_same_graph(double.to("cpu", torch.float32), graph)
    with pytest.raises(ValueError, match="dtype must be floating"):
        graph.to(torch.int32)


@pytest.mark.parametrize("sparse", [False, True])
def test_to_a_device_takes_everything_along(sparse):
    graph = make_graph("power_law", sparse=sparse)
    graph.adj.transpose()
    assert graph.to("cpu") is graph
    assert graph.to(torch.float32) is graph
    moved = graph.to("meta")
    assert moved.device.type == moved.adj.device.type == moved.x.device.type == "meta"
    assert moved.adj.transpose()[0].device.type == "meta"
    assert moved.adj.eid is not None
    assert all(value.device.type == "meta" for _, value in moved.items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pinned_memory_goes_to_the_gpu_and_back():
    graph = make_graph("power_law", sparse=True)
    graph.adj.transpose()
    pinned = graph.pin_memory()
    assert pinned.edge_index.is_pinned()
    assert pinned.adj.ptr.is_pinned()
    assert pinned.x.values.is_pinned()
    assert_same_graph(pinned.to("cuda", non_blocking=True).to("cpu"), graph)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_copies_and_pickles_are_equal(name, sparse):
    graph = make_graph(name, sparse=sparse)
    graph.adj.with_loops()
    for other in (copy.copy(graph), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):  # noqa: S301
        assert_same_graph(other, graph)


def test_a_deep_copy_shares_nothing():
    graph = make_graph("unsorted")
    other = copy.deepcopy(graph)
    other.x.zero_()
    assert graph.x.any()


# pytree, compile, export -------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_a_pytree(name, sparse):
    graph = make_graph(name, sparse=sparse)
    leaves, spec = pytree.tree_flatten(graph)
    assert all(isinstance(leaf, Tensor) for leaf in leaves)
    spec = pytree.treespec_loads(pytree.treespec_dumps(spec))
    assert_same_graph(pytree.tree_unflatten(leaves, spec), graph)


def test_a_graph_without_node_tensors_is_a_pytree():
    graph = Graph(EDGES, num_nodes=9, edge_weight=torch.ones(3))
    assert_same_graph(pytree.tree_map(lambda leaf: leaf.clone(), graph), graph)


def test_the_pytree_does_not_depend_on_what_was_built():
    graph = make_graph("unsorted")
    before = pytree.tree_structure(graph)
    graph.adj.transpose()
    assert graph.batch is not None
    assert pytree.tree_structure(graph) == before


def _layer(graph: Graph, w: Tensor) -> Tensor:
    adj = graph.adj
    x = graph.x.matmul(w) if isinstance(graph.x, SparseFeatures) else graph.x @ w
    out = ops.spmm(
        adj.ptr, adj.col, x, graph.edge_weight, eid=adj.eid, transpose=adj.transpose
    ) + adj.degree(graph["edge_weight"]).unsqueeze(1)
    inner = graph.replace(x=out)
    return inner.x + graph.num_nodes + graph.batch.unsqueeze(1)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("sparse", "kept"), [(False, False), (False, True), (True, True)])
def test_compile_takes_graphs_of_any_size_without_compiling_again(sparse, kept):
    backend = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(_layer, fullgraph=True, dynamic=True, backend=backend)
    w = torch.randn(4, 3, requires_grad=True)
    torch._dynamo.reset()
    # The first has no two sizes in common by chance, which torch would take for one.
    for name in ("directed_random", "power_law", "unsorted"):
        graph = make_graph(name, sparse=sparse)
        if kept:
            _layer(graph, w)
        before = set(graph._kept)
        out = compiled(graph, w)
        assert set(graph._kept) == before  # a traced region keeps nothing
        expected = _layer(graph, w)
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(
            torch.autograd.grad(out.sum(), w), torch.autograd.grad(expected.sum(), w)
        )
    assert backend.frame_count == 1


def test_a_graph_may_be_made_in_a_compiled_function():
    def degrees(edge_index, x):
        graph = Graph(edge_index, x=x)
        return graph.adj.degree() + Adjacency.from_edge_index(edge_index, len(x)).degree()

    torch._dynamo.reset()
    compiled = torch.compile(degrees, fullgraph=True, dynamic=True, backend="aot_eager")
    for name in ("power_law", "unsorted"):
        graph = make_graph(name)
        torch.testing.assert_close(compiled(graph.edge_index, graph.x), 2 * graph.adj.degree())


def test_torch_func_leaves_nothing_behind():
    graph = make_graph("unsorted")
    grad = torch.func.grad(lambda w: (graph.adj.degree().unsqueeze(1) * graph.x * w).sum())
    grad(torch.ones(4))
    assert not graph._kept


@pytest.mark.parametrize("sparse", [False, True])
def test_an_exported_program_takes_a_graph_of_another_size(sparse):
    w = torch.randn(4, 3)
    names = ("directed_random", "unsorted", "power_law")
    program = exported(_layer, *((make_graph(name, sparse=sparse), w) for name in names))
    for name in ("repeated_edges", "sorted"):
        graph = make_graph(name, sparse=sparse)
        graph.adj.transpose()  # whatever was built
        torch.testing.assert_close(program(graph, w), _layer(graph, w))
