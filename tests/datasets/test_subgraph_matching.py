"""SubgraphMatching: the copies are those that networkx finds, and the labels have their noise."""

import networkx
import pytest
import torch
from networkx.algorithms.isomorphism import GraphMatcher

from gnnlib import Batch, Graph
from gnnlib.datasets import SubgraphMatching
from gnnlib.datasets._random_graphs import components, connected
from gnnlib.datasets.subgraph_matching import nodes_of_copies


def _labelled(graph: Graph) -> networkx.Graph:
    made = networkx.Graph(graph.edge_index.T.tolist())
    made.add_nodes_from((i, {"x": round(float(x))}) for i, x in enumerate(graph.x[:, 0]))
    return made


def test_the_labelled_nodes_are_those_of_all_copies():
    # Few labels, so that chance makes further copies.
    dataset = SubgraphMatching(12, 3, (40, 0, 0), max_label=1, noise=0.0, density=0.3)
    pattern = _labelled(dataset.pattern)
    copies = 0
    for graph in dataset:
        matcher = GraphMatcher(_labelled(graph), pattern, node_match=lambda a, b: a["x"] == b["x"])
        nodes = {node for mapping in matcher.subgraph_isomorphisms_iter() for node in mapping}
        assert nodes == set(graph.y.nonzero().flatten().tolist())
        copies += len(nodes) > 3
    assert copies > 10


def test_a_pattern_of_one_node_is_found_by_its_label():
    alone = torch.zeros(1, 1, dtype=torch.bool)
    joined = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).bool()
    assert nodes_of_copies(joined, torch.tensor([4, 2, 4]), alone, torch.tensor([4])) == {0, 2}


def test_every_graph_is_connected_and_undirected_and_has_a_copy():
    dataset = SubgraphMatching(10, 4, (10, 5, 5), density=0.05)
    for graph in [*dataset, dataset.pattern]:
        assert networkx.is_connected(networkx.Graph(graph.edge_index.T.tolist()))
        assert graph.is_undirected()
        assert graph.adj.eid is None  # the edges are in the order of the kernels
    assert all(int(graph.y.sum()) >= 4 for graph in dataset)


def test_the_noise_is_gaussian_with_the_deviation_of_the_paper():
    noisy, clean = (SubgraphMatching(100, 1, (20, 0, 0), density=0.1, noise=s) for s in (0.25, 0.0))
    noise = torch.cat([a.x - b.x for a, b in zip(noisy, clean, strict=True)])
    assert abs(float(noise.std()) - 0.25) < 0.02
    assert abs(float(noise.mean())) < 0.02
    labels = torch.cat([graph.x for graph in clean]).flatten().tolist()
    assert set(labels) == set(range(11))


def test_a_graph_is_in_one_part_and_training_graphs_come_first():
    dataset = SubgraphMatching(6, 3, (4, 2, 1))
    batch = Batch.from_graphs(list(dataset))
    assert [int(m.sum()) for m in (batch.train_mask, batch.val_mask, batch.test_mask)] == [
        24,
        12,
        6,
    ]
    assert batch.train_mask[:24].all()
    assert batch.test_mask[-6:].all()


def test_the_seed_draws_everything():
    state = torch.get_rng_state()
    one, same, other = (SubgraphMatching(8, 3, (5, 0, 0), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(one, same, strict=True):
        assert torch.equal(a.edge_index, b.edge_index)
        assert torch.equal(a.x, b.x)
    assert not torch.equal(one.pattern.x, other.pattern.x)


def test_a_graph_without_random_edges_is_joined_into_a_tree():
    joined = connected(9, 0.0, torch.Generator().manual_seed(0))
    assert int(joined.sum()) == 2 * 8
    assert (components(joined) == 0).all()


def test_a_transform_is_applied_to_each_graph():
    dataset = SubgraphMatching(6, 3, (2, 1, 1), transform=lambda graph: graph.replace(y=None))
    assert all("y" not in graph for graph in dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_nodes": 5, "pattern_nodes": 5}, r"pattern_nodes must be in \[1, 4\], got 5"),
        ({"num_nodes": 1}, r"num_nodes must be 2 or more, got 1"),
        ({"num_graphs": (10, 10)}, r"num_graphs must be three numbers, .* got \(10, 10\)"),
        ({"num_graphs": (10, -1, 10)}, r"num_graphs must be 0 or more, got -1"),
        ({"density": 1.5}, r"density must be in \[0, 1\], .* got 1.5"),
        ({"noise": -1.0}, r"noise must be a standard deviation, 0 or more; got -1.0"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SubgraphMatching(**arguments)
