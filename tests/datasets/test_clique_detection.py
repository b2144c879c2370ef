"""CliqueDetection: the cliques are those that networkx finds."""

import networkx
import pytest
import torch

from gnnlib.datasets import CliqueDetection


def test_the_labelled_nodes_are_those_of_all_cliques():
    dataset = CliqueDetection(14, 4, (20, 5, 5), density=0.45)
    more = 0
    for graph in dataset:
        made = networkx.Graph(graph.edge_index.T.tolist())
        cliques = [clique for clique in networkx.find_cliques(made) if len(clique) >= 4]
        nodes = {node for clique in cliques for node in clique}
        assert nodes == set(graph.y.nonzero().flatten().tolist())
        assert networkx.is_connected(made)
        more += len(nodes) > 4
    assert more > 10


def test_labels_are_random_integers_or_all_one():
    x = torch.cat([graph.x for graph in CliqueDetection(num_graphs=(20, 0, 0))])
    assert set(x.flatten().tolist()) == set(range(11))
    same = CliqueDetection(num_graphs=(2, 0, 0), max_label=None)
    assert all((graph.x == 1).all() for graph in same)


def test_the_clique_may_be_the_whole_graph():
    graph = CliqueDetection(5, 5, (1, 0, 0))[0]
    assert graph.num_edges == 20
    assert graph.y.all()


def test_the_seed_draws_everything():
    state = torch.get_rng_state()
    one, same, other = (CliqueDetection(num_graphs=(1, 0, 0), seed=s)[0] for s in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(one.edge_index, same.edge_index)
    assert torch.equal(one.x, same.x)
    assert not torch.equal(one.x, other.x)


def test_a_clique_larger_than_the_graph_is_refused():
    with pytest.raises(ValueError, match=r"clique_nodes must be in \[1, 20\], got 21"):
        CliqueDetection(clique_nodes=21)
