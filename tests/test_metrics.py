import pytest
import torch
from sklearn import metrics as sklearn_metrics

from gnnlib.metrics import accuracy, confusion_matrix, f1_macro, f1_micro, roc_auc


@pytest.fixture(params=[3, 12], ids=["dense_classes", "classes_without_a_node"])
def labels(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(request.param, (40,)), torch.randint(request.param, (40,))


def test_counts_agree_with_their_definitions(labels):
    y, prediction = labels
    counts = torch.zeros(12, 12, dtype=torch.int64)
    for true, predicted in zip(y.tolist(), prediction.tolist()):
        counts[true, predicted] += 1
    assert torch.equal(confusion_matrix(prediction, y, 12), counts)
    assert accuracy(prediction, y) == counts.trace().item() / 40
    marginals = (counts.sum(0) + counts.sum(1)).double()
    seen = marginals > 0
    f1 = (2 * counts.diagonal()[seen] / marginals[seen]).mean().item()
    assert f1_macro(prediction, y, 12) == pytest.approx(f1)
    assert f1_micro(prediction, y, 12) == pytest.approx(accuracy(prediction, y))


def test_scores_count_as_their_largest_entry(labels):
    y, prediction = labels
    scores = torch.nn.functional.one_hot(prediction, 12) + torch.rand(40, 12) / 2
    assert accuracy(scores, y) == accuracy(prediction, y)
    assert f1_macro(scores, y, 12) == f1_macro(prediction, y, 12)
    assert torch.equal(confusion_matrix(scores, y, 12), confusion_matrix(prediction, y, 12))


def test_auc_is_how_often_a_pair_is_in_order():
    y, scores = torch.arange(30) % 2, torch.randint(8, (30,)).float()
    pairs = scores[y == 1][:, None] - scores[y == 0][None]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean(dtype=torch.float64).item()
    assert roc_auc(scores, y) == pytest.approx(expected)
    assert roc_auc(torch.stack([-scores, scores], dim=1), y) == pytest.approx(expected)


def test_auc_of_many_classes_is_the_mean_of_one_against_the_rest():
    y, logits = torch.arange(60) % 4, torch.randn(60, 4)
    expected = sklearn_metrics.roc_auc_score(y, logits.softmax(1), multi_class="ovr")
    assert roc_auc(logits.softmax(1), y) == pytest.approx(expected)


@pytest.mark.parametrize(
    "metric",
    [accuracy, lambda p, y: f1_macro(p, y, 3), lambda p, y: confusion_matrix(p, y, 3), roc_auc],
)
def test_metrics_refuse_what_they_cannot_count(metric):
    with pytest.raises(ValueError, match=r"got shape \(3,\) for y of shape \(4,\)"):
        metric(torch.zeros(3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least one label"):
        metric(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("metric", [f1_macro, f1_micro, confusion_matrix])
@pytest.mark.parametrize("label", [-1, 3])
def test_a_class_out_of_range_is_named_with_its_row(metric, label):
    right, wrong = torch.tensor([0, 1, 2]), torch.tensor([0, label, 2])
    with pytest.raises(ValueError, match=rf"y must be in \[0, 3\), got {label} at row 1"):
        metric(right, wrong, 3)
    with pytest.raises(ValueError, match=rf"prediction must be in \[0, 3\), got {label} at row 1"):
        metric(wrong, right, 3)


def test_auc_needs_every_class_and_numbers():
    with pytest.raises(ValueError, match="each of 3 classes, got none of 1"):
        roc_auc(torch.rand(4, 3), torch.tensor([0, 0, 2, 2]))
    with pytest.raises(ValueError, match="must not be NaN, got 1 of them"):
        roc_auc(torch.tensor([0.0, float("nan")]), torch.tensor([0, 1]))
