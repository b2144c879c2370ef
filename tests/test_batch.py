import copy
import pickle

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gnnlib.adjacency import Adjacency
from gnnlib.batch import Batch
from gnnlib.features import SparseFeatures
from gnnlib.graph import Graph
from tests.graphs import GRAPHS, assert_same_graph, make_graph

ALL = list(GRAPHS)
MIXED = ["unsorted", "one_node", "sorted", "no_edges", "repeated_edges", "empty", "power_law"]


def graphs(names=MIXED, *, sparse=False, built=()) -> list[Graph]:
    made = [make_graph(name, sparse=sparse) for name in names]
    for graph in made:
        if "adj" in built:
            assert graph.adj is not None
        if "transpose" in built:
            graph.adj.transpose()
    return made


def dense(value: Tensor | SparseFeatures) -> Tensor:
    return value.to_dense() if isinstance(value, SparseFeatures) else value


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("names", [MIXED, ALL, ["unsorted"], ["empty", "empty"]], ids=len)
def test_a_batch_is_the_disjoint_union(names, sparse):
    parts = graphs(names, sparse=sparse)
    batch = Batch.from_graphs(parts)
    sizes = [graph.num_nodes for graph in parts]
    assert batch.num_graphs == len(batch) == len(parts)
    assert batch.graph_ptr.diff().tolist() == sizes
    assert batch.graph_ptr.dtype == batch.batch.dtype == torch.int64
    assert batch.batch.tolist() == [k for k, size in enumerate(sizes) for _ in range(size)]
    assert batch.num_nodes == sum(sizes)
    assert torch.equal(batch.to_dense(), torch.block_diag(*(g.to_dense() for g in parts)))
    for name in parts[0].keys():  # noqa: SIM118
        assert torch.equal(dense(batch[name]), torch.cat([dense(g[name]) for g in parts]))
    assert isinstance(batch.x, SparseFeatures) == sparse
    assert batch.graph_y.shape == (len(parts), 2)
    assert batch.validate() is batch


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("built", [(), ("adj",), ("adj", "transpose")], ids=len)
@pytest.mark.parametrize("names", [MIXED, ALL, ["unsorted"], ["empty", "empty"]], ids=len)
def test_unbatch_gives_back_equal_graphs(names, built, sparse):
    parts = graphs(names, sparse=sparse, built=built)
    batch = Batch.from_graphs(parts)
    for back, graph in zip(batch.unbatch(), parts, strict=True):
        assert_same_graph(back, graph)
        back.validate()
    assert_same_graph(batch[-1], parts[-1])


def test_the_adjacency_is_joined_not_sorted_again(monkeypatch):
    parts = graphs(built=("adj", "transpose"))
    expected = Batch.from_graphs(graphs())
    wanted, transpose = expected.adj, expected.adj.transpose()

    monkeypatch.delattr("gnnlib.ops.coo_to_csr")
    monkeypatch.delattr("gnnlib.ops.csr_transpose")
    adj = Batch.from_graphs(parts).adj
    assert torch.equal(adj.ptr, wanted.ptr)
    assert torch.equal(adj.col, wanted.col)
    assert adj.eid is not None
    assert wanted.eid is not None
    assert torch.equal(adj.eid, wanted.eid)
    assert adj.ptr.dtype == torch.int32
    for joined, built in zip(adj.transpose(), transpose, strict=True):
        assert torch.equal(joined, built)
        assert joined.dtype == built.dtype
    Adjacency(adj.ptr, adj.col, adj.num_src, adj.eid)


def test_joined_adjacencies_that_came_sorted_stay_sorted():
    batch = Batch.from_graphs(graphs(["sorted", "one_node", "chain"], built=("adj",)))
    assert batch.adj.eid is None


def test_one_graph_without_an_adjacency_leaves_it_to_be_built():
    parts = [*graphs(built=("adj",)), *graphs(["chain"])]
    batch = Batch.from_graphs(parts)
    assert "adj" not in batch._kept
    assert torch.equal(batch.adj.edge_index, batch.edge_index)


@pytest.mark.parametrize("built", [(), ("adj", "transpose")], ids=len)
def test_a_batch_of_batches_counts_the_graphs_in_them(built):
    parts = graphs(built=built)
    inner = Batch.from_graphs(parts[:3])
    if built:
        inner.adj.transpose()
    nested = Batch.from_graphs([inner, *parts[3:5], Batch.from_graphs(parts[5:])])
    assert_same_graph(nested, Batch.from_graphs(parts))
    for a, b in zip(nested.adj.transpose(), Batch.from_graphs(parts).adj.transpose(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "edit",
    [
        Graph.add_self_loops,
        Graph.remove_self_loops,
        Graph.coalesce,
        Graph.to_undirected,
        Graph.reverse,
        lambda graph: graph.subgraph(graph.train_mask),
        lambda graph: graph.to(torch.float64),
        lambda graph: graph.replace(x=graph.x * 2, y=None),
    ],
    ids="loops no_loops coalesce undirected reverse subgraph to replace".split(),
)
def test_an_edited_batch_is_the_batch_of_edited_graphs(edit):
    parts = graphs()
    edited = edit(Batch.from_graphs(parts))
    assert isinstance(edited, Batch)
    edited.validate()
    for back, graph in zip(edited.unbatch(), parts, strict=True):
        assert_same_graph(back, edit(graph))


def test_nodes_of_a_batch_are_chosen_graph_by_graph():
    batch = Batch.from_graphs(graphs(["chain", "ring"]))
    part = batch.subgraph([3, 1, 20])
    assert part.graph_ptr.tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match="graph by graph"):
        batch.subgraph([20, 1])


def test_graphs_are_taken_by_number_and_tensors_by_name():
    parts = graphs()
    batch = Batch.from_graphs(parts)
    for k, graph in enumerate(parts):
        assert_same_graph(batch[k], graph)
        assert_same_graph(batch[k - len(parts)], graph)
    assert batch["x"] is batch.x
    with pytest.raises(IndexError, match="the batch has 7 graphs, got 7"):
        batch[7]
    with pytest.raises(KeyError, match="this Batch has no 'z'"):
        batch["z"]


def test_gradients_flow_through_a_batch_and_back():
    parts = graphs(["chain", "ring"])
    x = parts[0].x.clone().requires_grad_()
    batch = Batch.from_graphs([parts[0].replace(x=x), parts[1]])
    batch[0].x.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("sparse", [False, True])
def test_copies_pickles_and_pytrees_are_equal(sparse):
    batch = Batch.from_graphs(graphs(sparse=sparse, built=("adj",)))
    leaves, spec = pytree.tree_flatten(batch)
    spec = pytree.treespec_loads(pytree.treespec_dumps(spec))
    others = [
        copy.deepcopy(batch),
        pickle.loads(pickle.dumps(batch)),  # noqa: S301
        pytree.tree_unflatten(leaves, spec),
    ]
    for other in others:
        assert_same_graph(other, batch)


def test_the_repr_counts_the_graphs():
    batch = Batch.from_graphs(graphs(["chain", "ring"]))
    assert repr(batch).startswith("Batch(num_graphs=2, num_nodes=26, num_edges=25, x=[26, 4]")


# what does not fit -------------------------------------------------------------------------------


def test_a_graph_with_other_tensors_is_named():
    chain = make_graph("chain")
    with pytest.raises(ValueError, match="graph 0 has 'y', graph 2 has none"):
        Batch.from_graphs([chain, chain, chain.replace(y=None)])
    with pytest.raises(ValueError, match="graph 1 has 'extra', graph 0 has none"):
        Batch.from_graphs([chain, chain.replace(extra=torch.ones(17))])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(17, 5), r"rows of shape \(4,\) and torch.float32, graph 1 has .* \(5,\)"),
        (torch.ones(17, 4).double(), "graph 1 has rows of shape .* and torch.float64"),
        (SparseFeatures.from_dense(torch.ones(17, 4)), "graph 1 has sparse rows"),
    ],
)
def test_a_tensor_unlike_the_others_is_named(x, message):
    chain = make_graph("chain")
    with pytest.raises(ValueError, match=f"x must be alike in all graphs: .*{message}"):
        Batch.from_graphs([chain, chain.replace(x=x)])


def test_a_name_that_a_batch_has_is_refused():
    graph = Graph([[0], [1]], unbatch=torch.ones(2))
    with pytest.raises(ValueError, match="'unbatch' is already something a Batch has"):
        Batch.from_graphs([graph])


def test_graphs_must_be_graphs_on_one_device():
    with pytest.raises(ValueError, match="at least one graph"):
        Batch.from_graphs([])
    with pytest.raises(TypeError, match="got int at 1"):
        Batch.from_graphs([make_graph("chain"), 3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="graph 0 is on cpu, graph 1 on meta"):
        Batch.from_graphs([make_graph("chain"), make_graph("chain").to("meta")])


@pytest.mark.parametrize(
    ("graph_ptr", "message"),
    [
        ([0, 2, 5], "must not join two graphs: edge 1 is (1, 2), of graphs 0 and 1"),
        ([0, 3, 4], "graph_ptr must run from 0 to num_nodes=5"),
        ([1, 5], "graph_ptr must run from 0 to num_nodes=5"),
        ([0, 4, 3, 5], "and never decrease"),
        ([], "graph_ptr must be int64"),
        ([[0, 5]], "graph_ptr must be int64 of shape [num_graphs + 1]"),
        ([0.0, 5.0], "graph_ptr must be int64"),
    ],
)
def test_groups_that_do_not_fit_are_refused(graph_ptr, message):
    with pytest.raises(ValueError) as caught:
        Batch([[0, 1], [1, 2]], graph_ptr=graph_ptr, num_nodes=5)
    assert message in str(caught.value)


def test_a_batch_may_be_made_from_its_parts():
    batch = Batch([[0, 2], [1, 2]], graph_ptr=[0, 2, 3], x=torch.eye(3), graph_y=torch.ones(2))
    assert batch.num_graphs == 2
    assert batch[1].x.tolist() == [[0.0, 0.0, 1.0]]
    with pytest.raises(ValueError, match="graph has num_graphs=2, got graph_y of shape"):
        batch.replace(graph_y=torch.ones(3))
