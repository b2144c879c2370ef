"""Chains: the structure, the one node that knows, and the protocol's split."""

import pytest
import torch

from gnnlib.datasets import Chains


def test_the_edges_are_chains_of_one_class_each():
    graph = Chains(length=5, num_chains=3, num_classes=4)[0]
    source, destination = graph.edge_index
    assert graph.num_nodes == 4 * 3 * 5
    assert torch.equal(destination, source + 1)
    assert torch.equal(graph.y[source], graph.y[destination])
    first = graph.adj.degree() == 0
    assert torch.equal(first.nonzero().flatten(), torch.arange(0, 60, 5))
    assert graph.y[first].bincount().tolist() == [3, 3, 3, 3]


def test_only_the_first_node_of_a_chain_knows_the_class():
    graph = Chains(length=7)[0]
    first = graph.adj.degree() == 0
    assert not graph.x[~first].any()
    assert torch.equal(graph.x[first], torch.eye(100)[graph.y[first]])


def test_the_split_is_5_10_and_85_percent():
    graph = Chains(length=200)[0]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(1).tolist() == [400, 800, 6800]
    assert (masks.sum(0) == 1).all()
    other = Chains(length=200, train=0.5, val=0.25)[0]
    assert int(other.train_mask.sum()) == 4000


def test_the_seed_draws_the_split_and_nothing_else():
    state = torch.get_rng_state()
    one, same, other = Chains(10)[0], Chains(10)[0], Chains(10, seed=1)[0]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(one.train_mask, same.train_mask)
    assert not torch.equal(one.train_mask, other.train_mask)
    assert torch.equal(one.x, other.x)


def test_a_chain_of_one_node_has_no_edges():
    graph = Chains(length=1)[0]
    assert (graph.num_nodes, graph.num_edges) == (40, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, r"length must be 1 or more, got 0"),
        ({"num_chains": 0}, r"num_chains must be 1 or more"),
        ({"num_features": 1}, r"num_features=1, num_classes=2"),
        ({"train": 0.95}, r"sum of at most 1, got 0.95 and 0.1"),
        ({"val": -0.1}, r"fractions .* got 0.05 and -0.1"),
        ({"train": float("nan")}, r"fractions .* got nan and 0.1"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Chains(**arguments)


def test_a_length_that_is_no_int_is_refused():
    with pytest.raises(TypeError, match="length must be an int, got float"):
        Chains(length=10.0)  # pyright: ignore[reportArgumentType]
