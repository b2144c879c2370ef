import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.features import SparseFeatures
from gnnlib.pool import global_max_pool, global_mean_pool, global_sum_pool
from tests import pyg
from tests.graphs import make_graph
from tests.graphwise import CHECKS, Call, Part, batch_of, corner_graphs, name_of

READOUTS = {
    "sum": (global_sum_pool, pyg.nn.global_add_pool, torch.sum),
    "mean": (global_mean_pool, pyg.nn.global_mean_pool, torch.mean),
    "max": (global_max_pool, pyg.nn.global_max_pool, torch.amax),
}


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(Part(lambda: Call(READOUTS[name][0])))


@pytest.mark.parametrize("name", READOUTS)
def test_it_is_its_formula_for_each_graph(name):
    readout, _, reduce = READOUTS[name]
    graphs = corner_graphs()
    batch = Batch.from_graphs(graphs)
    rows = [reduce(g.x, 0) if g.num_nodes else torch.zeros(4, dtype=torch.float64) for g in graphs]
    torch.testing.assert_close(readout(batch.x, batch), torch.stack(rows))
    assert graphs[0].num_nodes == 0


@pytest.mark.parametrize("name", READOUTS)
def test_it_equals_pyg(name):
    readout, theirs, _ = READOUTS[name]
    batch = batch_of()
    x, other = (batch.x.clone().requires_grad_() for _ in range(2))
    out, expected = readout(x, batch), theirs(other, batch.batch, batch.num_graphs)
    torch.testing.assert_close(out, expected)
    weights = torch.randn_like(out)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, other.grad)


@pytest.mark.parametrize("name", READOUTS)
def test_rows_may_have_any_shape(name):
    readout = READOUTS[name][0]
    batch = batch_of()
    assert readout(batch.x[:, 0], batch).shape == (5,)
    out = readout(batch.x.reshape(-1, 2, 2), batch)
    assert torch.equal(out, readout(batch.x, batch).reshape(5, 2, 2))


@pytest.mark.parametrize("name", READOUTS)
def test_rows_may_be_other_than_the_features_of_the_graph(name):
    readout = READOUTS[name][0]
    batch = batch_of()
    h = torch.randn(batch.num_nodes, 7)
    assert readout(h, batch.replace(x=None)).shape == (5, 7)


def test_the_first_of_equal_nodes_takes_the_gradient():
    graph = Graph([[0], [1]], num_nodes=3)
    x = torch.tensor([[1.0], [2.0], [2.0]], requires_grad=True)
    global_max_pool(x, graph).backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", READOUTS)
def test_what_does_not_fit_is_named(name):
    readout = READOUTS[name][0]
    graph = make_graph("chain")
    for other in (graph.adj, graph.edge_index, graph.batch, None):
        with pytest.raises(TypeError, match="graph must be a Graph or a Batch, got"):
            readout(graph.x, other)
    for x in (graph.y, SparseFeatures.from_dense(graph.x), graph.x.to_sparse(), [1.0]):
        with pytest.raises(TypeError, match="x must be a dense floating tensor, got"):
            readout(x, graph)
    for x in (graph.x[:16], torch.tensor(1.0)):
        with pytest.raises(
            ValueError, match="x must have one row per node: graph has num_nodes=17"
        ):
            readout(x, graph)
