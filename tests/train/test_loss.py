import math
from collections.abc import Callable

import pytest
import torch
from sklearn import metrics
from torch import Tensor
from torch.nn import functional as F

from gnnlib.models import GCN
from gnnlib.train import TrainConfig, Trainer
from gnnlib.train.loss import label_loss, mean_and_deviation, node_loss, value_loss

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


NAN = math.nan
OUT = torch.tensor([[0.5, -1.0], [2.0, 0.25], [-0.75, 3.0]], dtype=torch.float64)
LABELS = torch.tensor([[1.0, NAN], [0.0, 1.0], [NAN, 0.0]], dtype=torch.float64)
THERE = ~LABELS.isnan()
NUMBERS = torch.tensor([[1.5, NAN], [-2.0, 0.75], [NAN, 4.0]], dtype=torch.float64)
WEIGHT = torch.tensor([2.0, 0.25], dtype=torch.float64)


def by_hand(each: Callable[[float, float, float], float], y: Tensor, weight: Tensor) -> float:
    """The mean over the labels that are there, one after the other."""
    terms = [
        each(OUT[n, k].item(), y[n, k].item(), weight[k].item())
        for n, k in THERE.nonzero().tolist()
    ]
    return sum(terms) / len(terms)


def test_the_cross_entropy_of_labels_is_that_of_scikit_learn():
    probability = OUT[THERE].sigmoid()
    expected = metrics.log_loss(LABELS[THERE].numpy(), probability.numpy())
    assert label_loss(OUT, LABELS).item() == pytest.approx(expected, rel=1e-12)
    ones = (WEIGHT.expand(3, 2) * LABELS + (1 - LABELS))[THERE]
    weighted = metrics.log_loss(
        LABELS[THERE].numpy(), probability.numpy(), sample_weight=ones.numpy()
    )
    expected = weighted * ones.sum().item() / len(ones)  # theirs divides by the weights
    assert label_loss(OUT, LABELS, weight=WEIGHT).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weight", [torch.ones(2), WEIGHT], ids=["alike", "weighted"])
def test_the_other_losses_are_their_formulas(weight):
    def label_mse(o: float, y: float, w: float) -> float:
        return (w if y == 1 else 1) * (y - o) ** 2

    given = None if weight.dtype == torch.float32 else weight
    cases = [
        (label_loss(OUT, LABELS, "mse", given), by_hand(label_mse, LABELS, weight)),
        (
            value_loss(OUT, NUMBERS, "mse", given),
            by_hand(lambda o, y, w: w * (y - o) ** 2, NUMBERS, weight),
        ),
        (
            value_loss(OUT, NUMBERS, "mae", given),
            by_hand(lambda o, y, w: math.sqrt(w) * abs(y - o), NUMBERS, weight),
        ),
    ]
    for found, expected in cases:
        assert found.item() == pytest.approx(expected, rel=1e-12)


PARTIAL = {
    "labels": (label_loss, LABELS, "cross_entropy"),
    "labels mse": (label_loss, LABELS, "mse"),
    "numbers": (value_loss, NUMBERS, "mse"),
    "numbers mae": (value_loss, NUMBERS, "mae"),
}
partial_losses = pytest.mark.parametrize(("loss", "y", "kind"), PARTIAL.values(), ids=PARTIAL)


@partial_losses
def test_a_label_that_is_missing_is_as_if_it_were_not_there(loss, y, kind):
    column = torch.tensor([True, True, False])
    expected = loss(OUT[column, :1], y[column, :1], kind)
    torch.testing.assert_close(loss(OUT[:, :1], y[:, :1], kind), expected)
    elsewhere = OUT.where(THERE, torch.full_like(OUT, 77.0))
    assert torch.equal(loss(elsewhere, y, kind, WEIGHT), loss(OUT, y, kind, WEIGHT))


@partial_losses
def test_gradients_are_right_and_zero_where_a_label_is_missing(loss, y, kind):
    out = OUT.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda out: loss(out, y, kind, WEIGHT), out)
    (gradient,) = torch.autograd.grad(loss(out, y, kind, WEIGHT), out)
    assert torch.equal(gradient != 0, THERE)


@partial_losses
def test_a_mini_batch_without_a_label_has_a_loss_and_a_gradient_of_0(loss, y, kind):
    out = OUT.clone().requires_grad_()
    value = loss(out, torch.full_like(y, NAN), kind, WEIGHT)
    (gradient,) = torch.autograd.grad(value, out)
    assert value.item() == 0
    assert torch.equal(gradient, torch.zeros_like(OUT))


@pytest.mark.parametrize("kind", ["cross_entropy", "mse"])
def test_a_mini_batch_whose_classes_weigh_nothing_has_a_loss_and_a_gradient_of_0(kind):
    scores = SCORES.clone().requires_grad_()
    value = node_loss(scores, torch.tensor([2, 2, 2]), kind, torch.tensor([1.0, 1.0, 0.0]))
    (gradient,) = torch.autograd.grad(value, scores)
    assert value.item() == 0
    assert torch.equal(gradient, torch.zeros_like(SCORES))


def test_numbers_may_stand_in_a_row():
    torch.testing.assert_close(
        value_loss(OUT[:, :1], NUMBERS[:, 0]), value_loss(OUT[:, :1], NUMBERS[:, :1])
    )
    half = value_loss(OUT.float()[:, :1], NUMBERS[:, 0])
    assert half.dtype == torch.float32  # that of the outputs


def test_mean_and_deviation_are_those_of_what_is_there():
    mean, deviation = mean_and_deviation(NUMBERS)
    for k in range(2):
        there = NUMBERS[THERE[:, k], k]
        assert mean[k].item() == pytest.approx(there.mean().item())
        assert deviation[k].item() == pytest.approx(there.std(correction=0).item())
    row = mean_and_deviation(NUMBERS[:, 0])
    assert (row[0].tolist(), row[1].tolist()) == ([mean[0].item()], [deviation[0].item()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.1, -7e5 / 3, 0.0])
def test_a_column_of_one_number_has_deviation_1_whatever_its_mean_is_rounded_to(value, dtype):
    for length in (1, 3, 7, 1000):
        column = torch.full((length, 1), value, dtype=dtype)
        assert mean_and_deviation(column)[1].tolist() == [1.0]
    assert mean_and_deviation(torch.full((4, 1), NAN))[1].tolist() == [1.0]
