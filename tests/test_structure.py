"""add_self_loops, remove_self_loops, coalesce, to_undirected, reverse, subgraph."""

from collections import defaultdict

import pytest
import torch

from gnnlib.features import SparseFeatures
from gnnlib.graph import Graph
from tests.graphs import GRAPHS, assert_same_graph, make_graph

REDUCES = {
    "sum": lambda rows: rows.sum(0),
    "mean": lambda rows: rows.mean(0),
    "max": lambda rows: rows.amax(0),
    "min": lambda rows: rows.amin(0),
    "mul": lambda rows: rows.prod(0),
}


def pairs(graph: Graph) -> list[tuple[int, int]]:
    return list(zip(*graph.edge_index.tolist()))


def node_tensors_are_shared(a: Graph, b: Graph) -> bool:
    return all(a[name] is b[name] for name in ("x", "y", "train_mask", "graph_y"))


@pytest.mark.parametrize("name", GRAPHS)
def test_add_self_loops_appends_the_missing_ones(name):
    graph = make_graph(name)
    built = graph.replace()
    assert built.adj is not None
    looped = graph.add_self_loops(fill={"edge_attr": 0.5, "edge_type": 7})
    has = {i for i, j in pairs(graph) if i == j}
    missing = [i for i in range(graph.num_nodes) if i not in has]
    assert pairs(looped) == pairs(graph) + [(i, i) for i in missing]
    first, new = graph.num_edges, len(missing)
    assert torch.equal(looped.edge_weight[:first], graph.edge_weight)
    assert looped.edge_weight[first:].tolist() == [1.0] * new
    assert looped.edge_attr[first:].tolist() == [[0.5] * 3] * new
    assert looped.edge_type[first:].tolist() == [7] * new
    assert node_tensors_are_shared(looped, graph)
    assert_same_graph(looped.validate(), looped)


@pytest.mark.parametrize("name", GRAPHS)
def test_add_self_loops_takes_the_loops_of_an_adjacency_that_is_there(name):
    graph = make_graph(name)
    expected = graph.add_self_loops()
    adj = graph.adj
    looped = graph.add_self_loops()
    assert looped.adj is adj.with_loops()
    assert_same_graph(looped, expected)


def test_the_fill_of_loops_may_be_a_row_and_must_name_edge_tensors():
    graph = make_graph("chain")
    row = torch.tensor([1.0, 2.0, 3.0])
    assert graph.add_self_loops({"edge_attr": row}).edge_attr[-1].tolist() == [1.0, 2.0, 3.0]
    assert graph.add_self_loops(5.0).edge_type[-1] == 5
    with pytest.raises(ValueError, match="fill names 'x', which is no edge tensor"):
        graph.add_self_loops({"x": 1.0})


@pytest.mark.parametrize("name", GRAPHS)
def test_remove_self_loops_keeps_the_other_edges_in_order(name):
    graph = make_graph(name)
    kept = [k for k, (i, j) in enumerate(pairs(graph)) if i != j]
    clean = graph.remove_self_loops()
    assert torch.equal(clean.edge_index, graph.edge_index[:, kept])
    assert torch.equal(clean.edge_attr, graph.edge_attr[kept])
    assert node_tensors_are_shared(clean, graph)
    assert not clean.has_self_loops()


@pytest.mark.parametrize("name", GRAPHS)
def test_reverse_flips_each_edge_in_place(name):
    graph = make_graph(name)
    flipped = graph.reverse()
    assert pairs(flipped) == [(j, i) for i, j in pairs(graph)]
    assert flipped.edge_attr is graph.edge_attr
    assert_same_graph(flipped.reverse(), graph)


def grouped(edges: list[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """Edge numbers of each distinct edge, by destination and then source."""
    groups = defaultdict(list)
    for edge, pair in enumerate(edges):
        groups[pair].append(edge)
    return dict(sorted(groups.items(), key=lambda item: item[0][::-1]))


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("name", GRAPHS)
def test_coalesce_reduces_repeated_edges(name, reduce):
    graph = make_graph(name, dtype=torch.float64)
    graph = graph.replace(edge_flag=torch.arange(graph.num_edges) % 3 == 0)
    groups = grouped(pairs(graph))
    one = graph.coalesce(reduce)
    assert pairs(one) == list(groups)
    assert one.adj.eid is None  # it comes in the order of the adjacency
    assert not one.has_repeated_edges()
    for row, edges in enumerate(groups.values()):
        for key in ("edge_weight", "edge_attr"):
            torch.testing.assert_close(one[key][row], REDUCES[reduce](graph[key][edges]))
        kinds = graph.edge_type[edges].double()
        assert one.edge_type[row] == int(REDUCES[reduce](kinds))
        flags = graph.edge_flag[edges]
        assert one.edge_flag[row] == (flags.all() if reduce in ("min", "mul") else flags.any())
    assert node_tensors_are_shared(one, graph)
    assert all(one[key].dtype == value.dtype for key, value in graph.items())


@pytest.mark.parametrize("name", GRAPHS)
def test_to_undirected_is_a_plus_its_transpose_with_loops_once(name):
    graph = make_graph(name, dtype=torch.float64)
    both = graph.to_undirected()
    loops = torch.diag(graph.to_dense().diag())
    torch.testing.assert_close(both.to_dense(), graph.to_dense() + graph.to_dense().T - loops)
    assert both.is_undirected()
    assert both.adj.eid is None
    assert not both.has_repeated_edges()


@pytest.mark.parametrize("reduce", REDUCES)
def test_to_undirected_reduces_the_two_directions(reduce):
    weight = torch.tensor([2.0, 5.0, 3.0, 7.0])
    graph = Graph([[0, 1, 1, 2], [1, 0, 2, 2]], edge_weight=weight)
    both = graph.to_undirected(reduce)
    assert pairs(both) == [(1, 0), (0, 1), (2, 1), (1, 2), (2, 2)]
    pair = REDUCES[reduce](torch.tensor([2.0, 5.0])).item()
    assert both.edge_weight.tolist() == [pair, pair, 3.0, 3.0, 7.0]


def test_reduced_weights_are_differentiable():
    graph = Graph([[0, 1, 0, 1], [1, 0, 1, 2]])
    weight = torch.rand(4, dtype=torch.float64, requires_grad=True)
    for edit in (Graph.coalesce, Graph.to_undirected):
        assert torch.autograd.gradcheck(
            lambda w, edit=edit: edit(graph.replace(edge_weight=w)).edge_weight, (weight,)
        )


@pytest.mark.parametrize("edit", [Graph.coalesce, Graph.to_undirected])
def test_an_unknown_reduce_names_the_choices(edit):
    with pytest.raises(ValueError, match="reduce must be one of 'mean', .*got 'meen'"):
        edit(make_graph("chain"), "meen")


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_subgraph_has_the_chosen_nodes_in_order_and_the_edges_between(name, sparse):
    graph = make_graph(name, sparse=sparse)
    order = torch.randperm(graph.num_nodes)[: (graph.num_nodes + 1) // 2]
    part = graph.subgraph(order)
    number = {int(node): k for k, node in enumerate(order)}
    kept = [k for k, (i, j) in enumerate(pairs(graph)) if i in number and j in number]
    assert part.num_nodes == len(order)
    assert pairs(part) == [(number[i], number[j]) for i, j in (pairs(graph)[k] for k in kept)]
    assert torch.equal(part.edge_attr, graph.edge_attr[kept])
    assert torch.equal(part.y, graph.y[order])
    assert part.graph_y is not None
    assert torch.equal(part.graph_y, graph.graph_y)
    dense = (value.to_dense() if isinstance(value, SparseFeatures) else value
             for value in (part.x, graph.x))  # fmt: skip
    assert torch.equal(next(dense), next(dense)[order])
    part.validate()


@pytest.mark.parametrize("name", GRAPHS)
def test_a_mask_chooses_nodes_as_their_ids_do(name):
    graph = make_graph(name)
    assert_same_graph(
        graph.subgraph(graph.train_mask), graph.subgraph(graph.train_mask.nonzero().flatten())
    )


def test_a_subgraph_of_all_nodes_is_the_graph_and_of_none_is_empty():
    graph = make_graph("unsorted")
    assert_same_graph(graph.subgraph(range(graph.num_nodes)), graph)
    none = graph.subgraph([])
    assert (none.num_nodes, none.num_edges, none.num_features) == (0, 0, 4)


@pytest.mark.parametrize(
    ("nodes", "error", "message"),
    [
        ([0, 1, 0], ValueError, "must not repeat a node"),
        ([0, 9], ValueError, r"below num_nodes=5: nodes\[1\] is 9"),
        ([-1], ValueError, r"below num_nodes=5: nodes\[0\] is -1"),
        ([0.5], TypeError, "bool mask or integer ids, got torch.float32"),
        ([[0, 1]], ValueError, r"one dimension, got shape \(1, 2\)"),
        ([True, False], ValueError, "one entry per node: graph has num_nodes=5"),
    ],
)
def test_nodes_that_are_not_there_are_refused(nodes, error, message):
    with pytest.raises(error, match=message):
        make_graph("unsorted").subgraph(nodes)
