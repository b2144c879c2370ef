import pytest
import torch
from torch.nn import functional as F

from gnnlib.models import GCN
from gnnlib.train import TrainConfig, Trainer
from gnnlib.train.loss import node_loss

SCORES = torch.tensor([[0.5, 1.0, -1.0], [2.0, 0.0, 0.25], [0.0, 0.0, 0.0]], dtype=torch.float64)
Y = torch.tensor([1, 0, 2])


def test_the_quadratic_loss_is_that_of_its_formula():
    # (0.25 + 0 + 1) for the first node, (1 + 0 + 0.0625) for the second, 1 for the third
    assert node_loss(SCORES, Y, "mse").item() == (1.25 + 1.0625 + 1) / 3


def test_both_losses_weigh_classes_alike():
    weight = torch.tensor([1.0, 2.0, 0.0])
    assert node_loss(SCORES, Y, "mse", weight).item() == pytest.approx((2 * 1.25 + 1.0625) / 3)
    expected = F.cross_entropy(SCORES, Y, weight.double())
    torch.testing.assert_close(node_loss(SCORES, Y, "cross_entropy", weight), expected)


def test_targets_of_minus_one_and_one_give_four_times_the_same_loss():
    signs = 2.0 * F.one_hot(Y, 3) - 1
    paper = (signs - (2 * SCORES - 1)).square().sum(1).mean()
    torch.testing.assert_close(4 * node_loss(SCORES, Y, "mse"), paper)


def test_the_quadratic_loss_trains_and_is_what_the_history_has(graph):
    torch.manual_seed(0)
    model = GCN(5, 8, 2, dropout=0)
    scores = model(graph.x, graph)
    result = Trainer(model, graph, TrainConfig(epochs=60, lr=0.05, loss="mse")).fit()
    first = node_loss(scores[graph.train_mask], graph.y[graph.train_mask], "mse")
    assert result.history[0].train_loss == first.item()
    assert result.test["accuracy"] > 0.9
    assert result.history[-1].train_loss < 0.1
