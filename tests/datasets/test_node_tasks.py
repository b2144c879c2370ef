"""The small tasks of the 2009 papers: HalfHot, NeighborCount, Parity and TreeDepth."""

import networkx
import pytest
import torch

from gnnlib.datasets import HalfHot, NeighborCount, Parity, TreeDepth


def test_half_hot_graphs_are_regular_with_an_even_number_of_nodes():
    dataset = HalfHot(max_nodes=8, num_graphs=(30, 10, 10), num_features=2)
    for graph in dataset:
        degree = graph.adj.degree()
        assert graph.num_nodes in (4, 6, 8)
        assert 3 <= int(degree[0]) <= 5
        assert (degree == degree[0]).all()
        assert graph.graph_y.tolist() == [graph.num_nodes / 2]
        assert graph.is_undirected()
        assert graph.x.shape == (graph.num_nodes, 2)
    assert {graph.num_nodes for graph in dataset} == {4, 6, 8}
    assert sum(bool(graph.train_mask.all()) for graph in dataset) == 30
    assert sum(bool(graph.test_mask.any()) for graph in dataset) == 10
    alike = HalfHot(num_graphs=(3, 0, 0), max_label=None)
    assert all((graph.x == 1).all() for graph in alike)


@pytest.mark.parametrize("order", [1, 2])
def test_the_neighbors_are_counted(order):
    graph = NeighborCount(300, order)[0]
    made = networkx.Graph(graph.edge_index.T.tolist())
    made.add_nodes_from(range(300))
    for node in range(300):
        around = set(made[node])
        if order == 2:
            around = {other for near in around for other in made[near]} - {node}
        assert graph.y[node] == len(around)
    assert (graph.x == 1).all()


def test_the_parity_is_that_of_the_bits():
    graph = Parity(400, num_bits=5)[0]
    assert set(graph.x.flatten().tolist()) == {0.0, 1.0}
    odd = [sum(map(int, row)) % 2 for row in graph.x.tolist()]
    assert graph.y.tolist() == odd
    assert 100 < int(graph.y.sum()) < 300


def test_the_tree_is_a_tree_and_the_depths_are_distances_from_its_root():
    graph = TreeDepth(500, max_children=2)[0]
    tree = networkx.DiGraph(graph.edge_index.T.tolist())
    assert networkx.is_arborescence(tree)
    (root,) = (node for node, degree in tree.in_degree() if degree == 0)
    depth = networkx.single_source_shortest_path_length(tree, root)
    assert graph.y.tolist() == [depth[node] for node in range(500)]
    assert max(degree for _, degree in tree.out_degree()) == 2
    assert depth[0] + root > 0  # the root is not always the first node


def test_a_chain_is_the_tree_of_one_child_each():
    graph = TreeDepth(450, max_children=1)[0]
    assert graph.y.sort().values.tolist() == list(range(450))


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: HalfHot(10, num_graphs=(3, 0, 0), seed=seed),
        lambda seed: NeighborCount(seed=seed),
        lambda seed: Parity(seed=seed),
        lambda seed: TreeDepth(seed=seed),
    ],
)
def test_the_seed_draws_everything(make):
    state = torch.get_rng_state()
    one, same, other = ([graph.to_dense() for graph in make(seed)] for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(map(torch.equal, one, same))
    assert not all(map(torch.equal, one, other))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HalfHot(3), "max_nodes must be 4 or more, got 3"),
        (lambda: HalfHot(max_degree=2), "max_degree must be 3 or more, got 2"),
        (lambda: NeighborCount(order=3), "order must be one of '1', '2'; got 3"),
        (lambda: NeighborCount(100), "at most the 100 nodes, got 125 \\+ 125"),
        (lambda: Parity(num_bits=0), "num_bits must be 1 or more, got 0"),
        (lambda: TreeDepth(max_children=0), "max_children must be 1 or more, got 0"),
    ],
)
def test_bad_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
