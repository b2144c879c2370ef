import networkx
import pytest
import torch

from gnnlib import Adjacency, Batch, Graph
from gnnlib._longest_path import longest_path, longest_paths
from gnnlib._ranges import ranges
from tests.graphs import GRAPHS, random_edges


def _by_networkx(edge_index: torch.Tensor, num_nodes: int) -> int | None:
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(num_nodes))
    graph.add_edges_from(edge_index.T.tolist())
    if not networkx.is_directed_acyclic_graph(graph):
        return None
    return networkx.dag_longest_path_length(graph, default_weight=1)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_corner_graph(name):
    edge_index, num_nodes = GRAPHS[name]
    adj = Adjacency.from_edge_index(edge_index, num_nodes=num_nodes)
    assert longest_path(adj) == _by_networkx(edge_index, num_nodes)


@pytest.mark.parametrize("seed", range(10))
def test_random_acyclic_graphs(seed):
    edges = random_edges(40, 60, seed).sort(0).values
    edges = edges[:, edges[0] < edges[1]]
    shuffled = torch.randperm(40)[edges]
    length = longest_path(Adjacency.from_edge_index(shuffled, num_nodes=40))
    assert length is not None and length == _by_networkx(shuffled, 40)


def test_a_self_loop_or_a_cycle_at_the_end_of_a_chain_is_a_cycle():
    chain = torch.stack([torch.arange(5), torch.arange(1, 6)])
    for extra in ([[5], [5]], [[5], [3]]):
        edges = torch.cat([chain, torch.tensor(extra)], 1)
        assert longest_path(Adjacency.from_edge_index(edges)) is None


def test_it_is_computed_once():
    adj = Adjacency.from_edge_index([[0, 1], [1, 2]])
    assert longest_path(adj) == 2
    assert adj.memo("longest_path", lambda: pytest.fail("computed again")).tolist() == [0, 1, 2]


def test_ranges_may_be_empty():
    first, count = torch.tensor([4, 9, 0, 7]), torch.tensor([2, 0, 3, 0])
    assert ranges(first, count).tolist() == [4, 5, 0, 1, 2]
    assert ranges(first[:0], count[:0]).tolist() == []


def test_each_graph_of_a_batch_has_its_own():
    chain, cycle, lone = [[0, 1, 2], [1, 2, 3]], [[0, 1], [1, 0]], torch.zeros(2, 0).long()
    graphs = [Graph(chain), Graph(cycle), Graph(lone, num_nodes=1), Graph(lone, num_nodes=0)]
    batch = Batch.from_graphs([*graphs, Graph([[0, 1, 1], [1, 0, 2]])])
    assert longest_paths(batch.adj, batch.graph_ptr).tolist() == [3, -1, 0, 0, -1]
