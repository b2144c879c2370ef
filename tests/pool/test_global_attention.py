import pytest
import torch
from torch import nn

from gnnlib.pool import GlobalAttention
from tests import pyg
from tests.graphs import make_graph
from tests.graphwise import CHECKS, Part, batch_of, name_of

GATES = {
    "per_node": lambda: GlobalAttention(nn.Linear(4, 1)),
    "per_node_of_another_width": lambda: GlobalAttention(nn.Linear(4, 1), nn.Linear(4, 3)),
    "per_feature": lambda: GlobalAttention(
        nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), nn.Linear(4, 3)
    ),
}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, gate):
    check(Part(GATES[gate]))


@pytest.mark.parametrize("gate", GATES)
def test_it_equals_pyg(gate):
    mine, other = GATES[gate]().double(), GATES[gate]().double()
    theirs = pyg.nn.aggr.AttentionalAggregation(other.gate_nn, other.nn)
    mine.load_state_dict(theirs.state_dict())
    batch = batch_of()
    out = mine(batch.x, batch)
    expected = theirs(batch.x, batch.batch, dim_size=batch.num_graphs)
    torch.testing.assert_close(out, expected)
    weights = torch.randn_like(out)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    for parameter, wanted in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, wanted.grad)


def test_the_weights_of_a_graph_sum_to_one():
    batch = batch_of()
    out = GlobalAttention(nn.Linear(4, 1).double())(torch.ones_like(batch.x), batch)
    full = batch.graph_ptr.diff() > 0
    torch.testing.assert_close(out, full.double().unsqueeze(1).expand(5, 4))


def test_its_parameters_are_reset():
    pool = GATES["per_feature"]()
    before = {name: value.clone() for name, value in pool.state_dict().items()}
    pool.reset_parameters()
    assert all(not torch.equal(value, before[name]) for name, value in pool.state_dict().items())


def test_a_gate_of_another_width_is_named():
    graph = make_graph("chain")
    with pytest.raises(ValueError, match=r"one number per node, or 4 .* got shape \(17, 3\)"):
        GlobalAttention(nn.Linear(4, 3))(graph.x, graph)


def test_what_does_not_fit_is_named():
    graph = make_graph("chain")
    with pytest.raises(TypeError, match="graph must be a Graph or a Batch, got Adjacency"):
        GlobalAttention(nn.Linear(4, 1))(graph.x, graph.adj)
    with pytest.raises(ValueError, match="one row per node: graph has num_nodes=17"):
        GlobalAttention(nn.Linear(4, 1))(graph.x[1:], graph)
