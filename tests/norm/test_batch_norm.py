import pytest
import torch

from gnnlib import Graph
from gnnlib.norm import BatchNorm
from tests.graphwise import batch_of

FEW = {0: Graph(torch.empty(2, 0, dtype=torch.long), num_nodes=0), 1: Graph([[0], [0]])}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("num_nodes", FEW)
def test_fewer_than_two_nodes_train_with_the_running_averages(num_nodes, affine):
    norm = BatchNorm(4, affine=affine)
    batch = batch_of(dtype=torch.float32)
    norm(3 * batch.x + 1, batch)
    kept = {name: value.clone() for name, value in norm.state_dict().items()}

    x = torch.randn(num_nodes, 4, requires_grad=True)
    out = norm.train()(x, FEW[num_nodes])
    torch.testing.assert_close(out, norm.eval()(x, FEW[num_nodes]))
    assert all(torch.equal(value, kept[name]) for name, value in norm.state_dict().items())
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_one_node_without_running_averages_is_the_bias(training):
    norm = BatchNorm(4, track_running_stats=False).train(training)
    torch.nn.init.normal_(norm.module.bias)
    x = torch.randn(1, 4, requires_grad=True)
    out = norm(x, FEW[1])
    torch.testing.assert_close(out, norm.module.bias.unsqueeze(0))
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0, 0, 0]]


def test_training_takes_all_nodes_of_all_graphs():
    norm = BatchNorm(4).double()
    batch = batch_of()
    out = norm(5 * batch.x + 3, batch)
    torch.testing.assert_close(out.mean(0), torch.zeros(4).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(out.var(0, correction=0), torch.ones(4).double(), atol=1e-3, rtol=0)
