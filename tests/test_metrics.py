from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from gnnlib.metrics import (
    accuracy,
    average_precision,
    confusion_matrix,
    f1_macro,
    f1_micro,
    mae,
    rmse,
    roc_auc,
)


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
    columns = torch.nn.functional.one_hot(y)
    expected = sklearn_metrics.average_precision_score(columns, logits)
    assert average_precision(logits, y) == pytest.approx(expected)


def test_f1_of_classes_agrees_with_scikit_learn(labels):
    y, prediction = labels
    for average, metric in (("micro", f1_micro), ("macro", f1_macro)):
        expected = sklearn_metrics.f1_score(y, prediction, average=average)
        assert metric(prediction, y) == metric(prediction, y, 12) == pytest.approx(expected)


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


NAN = float("nan")


@pytest.fixture(params=[1, 7], ids=["one_label", "seven_labels"])
def several(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels, and the labels with a third of them unknown."""
    logits = torch.randn(60, request.param, dtype=torch.float64)
    y = (torch.rand(60, request.param) < 0.4).double()
    unknown = torch.rand(60, request.param) < 1 / 3
    return logits, y, y.masked_fill(unknown, NAN)


def _known(logits: torch.Tensor, y: torch.Tensor) -> list[tuple[Any, Any]]:
    """The known labels of each column, and their logits."""
    columns = zip(y.T.numpy(), logits.T.numpy())
    return [(true[~np.isnan(true)], scores[~np.isnan(true)]) for true, scores in columns]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64, torch.bool])
def test_several_labels_agree_with_scikit_learn(several, dtype):
    logits, y, _ = several
    true, predicted = y.numpy(), (logits > 0).numpy()
    y = y.to(dtype)
    for average, metric in (("micro", f1_micro), ("macro", f1_macro)):
        f1 = (
            sklearn_metrics.f1_score(true.squeeze(), predicted.squeeze(), average="binary")
            if y.shape[1] == 1
            else sklearn_metrics.f1_score(true, predicted, average=average)
        )
        assert metric(logits, y) == pytest.approx(f1)
        assert metric(logits, y, y.shape[1]) == metric(logits, y)
    right = sklearn_metrics.accuracy_score(true.ravel(), predicted.ravel())
    assert accuracy(logits, y) == pytest.approx(right)
    assert roc_auc(logits, y) == pytest.approx(sklearn_metrics.roc_auc_score(true, logits))
    precision = sklearn_metrics.average_precision_score(true, logits)
    assert average_precision(logits, y) == pytest.approx(precision)


def test_unknown_labels_do_not_count(several):
    logits, _, y = several
    columns = _known(logits, y)
    assert sum(len(true) for true, _ in columns) < y.numel()
    f1 = [sklearn_metrics.f1_score(true, scores > 0) for true, scores in columns]
    assert f1_macro(logits, y) == pytest.approx(np.mean(f1))
    true, scores = (np.concatenate(parts) for parts in zip(*columns))
    assert f1_micro(logits, y) == pytest.approx(sklearn_metrics.f1_score(true, scores > 0))
    assert accuracy(logits, y) == pytest.approx(np.mean(true == (scores > 0)))
    auc = [sklearn_metrics.roc_auc_score(true, scores) for true, scores in columns]
    assert roc_auc(logits, y) == pytest.approx(np.mean(auc))
    precision = [sklearn_metrics.average_precision_score(true, scores) for true, scores in columns]
    assert average_precision(logits, y) == pytest.approx(np.mean(precision))


@pytest.mark.parametrize("metric", [accuracy, f1_macro, f1_micro, roc_auc, average_precision])
def test_a_score_of_an_unknown_label_may_be_anything(several, metric):
    logits, _, y = several
    assert metric(logits.masked_fill(y.isnan(), NAN), y) == metric(logits, y)


def test_a_label_that_is_nowhere_is_left_out_of_the_macro_f1():
    y = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, NAN]])
    logits = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    assert f1_macro(logits, y) == pytest.approx((2 / 3 + 0) / 2)  # labels 0 and 2
    assert f1_micro(logits, y) == pytest.approx(2 / (2 + 2))
    nothing = torch.zeros(2, 3)
    assert f1_macro(nothing, nothing) == f1_micro(nothing, nothing) == 0


@pytest.mark.parametrize("metric", [roc_auc, average_precision])
def test_ranks_leave_out_columns_of_one_kind(metric):
    y = torch.tensor([[1.0, 1.0, NAN], [0.0, 1.0, 0.0], [0.0, NAN, 1.0], [1.0, 1.0, 0.0]])
    scores = torch.randn(4, 3)
    kept = [metric(scores[:, 0], y[:, 0].long()), metric(scores[1:, 2], y[1:, 2].long())]
    assert metric(scores, y) == pytest.approx(sum(kept) / 2)
    with pytest.raises(ValueError, match="a column with both 0 and 1, got none of 1"):
        metric(scores[:, 1:2], y[:, 1:2])


@pytest.mark.parametrize(
    "metric", [accuracy, f1_macro, f1_micro, roc_auc, average_precision, rmse, mae]
)
def test_metrics_of_columns_refuse_what_they_cannot_count(metric):
    y = torch.tensor([[1.0, 0.0], [NAN, 1.0]])
    with pytest.raises(ValueError, match=r"got \(2, 1\) for y of shape \(2, 2\)"):
        metric(torch.zeros(2, 1), y)
    with pytest.raises(ValueError, match=r"at least one value, got none in shape \(2, 2\)"):
        metric(torch.zeros(2, 2), torch.full((2, 2), NAN))
    with pytest.raises(ValueError, match="prediction must not be NaN, got 2 of them"):
        metric(torch.tensor([[NAN, 1.0], [NAN, NAN]]), y)


@pytest.mark.parametrize("metric", [accuracy, f1_macro, f1_micro, roc_auc, average_precision])
def test_labels_are_0_or_1(metric):
    with pytest.raises(ValueError, match="got 0.5 at row 1, column 0"):
        metric(torch.zeros(2, 2), torch.tensor([[1.0, NAN], [0.5, 2.0]]))
    with pytest.raises(TypeError, match=r"y of shape \[N\] must hold class numbers, got torch.fl"):
        metric(torch.zeros(2, 2), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("metric", [f1_macro, f1_micro])
def test_the_number_of_labels_is_that_of_the_columns(metric):
    with pytest.raises(ValueError, match="num_classes=3 columns, got 2"):
        metric(torch.zeros(2, 2), torch.zeros(2, 2), 3)


def test_deviations_agree_with_scikit_learn():
    y, prediction = torch.randn(2, 30, 4, dtype=torch.float64).unbind()
    squares = sklearn_metrics.root_mean_squared_error(y, prediction)  # the mean over the columns
    assert rmse(prediction, y) == pytest.approx(squares)
    assert mae(prediction, y) == pytest.approx(sklearn_metrics.mean_absolute_error(y, prediction))
    column = y[:, 0], prediction[:, 0]
    assert rmse(*column) == pytest.approx(sklearn_metrics.root_mean_squared_error(*column))
    assert mae(*column) == pytest.approx(sklearn_metrics.mean_absolute_error(*column))
    assert rmse(*column) == rmse(y[:, :1], prediction[:, :1])
    assert rmse(torch.tensor([1, 2]), torch.tensor([1, 4])) == pytest.approx(2**0.5)


def test_unknown_numbers_and_columns_do_not_count():
    y, prediction = torch.randn(2, 30, 3, dtype=torch.float64).unbind()
    y[torch.rand(30, 3) < 1 / 3] = NAN
    prediction[y.isnan()] = torch.inf
    known = _known(prediction, y)
    roots = [sklearn_metrics.root_mean_squared_error(*column) for column in known]
    sizes = [sklearn_metrics.mean_absolute_error(*column) for column in known]
    assert rmse(prediction, y) == pytest.approx(np.mean(roots))
    assert mae(prediction, y) == pytest.approx(np.mean(sizes))
    y[:, 1] = NAN
    assert rmse(prediction, y) == pytest.approx((roots[0] + roots[2]) / 2)
    assert mae(prediction, y) == pytest.approx((sizes[0] + sizes[2]) / 2)


@pytest.mark.parametrize("metric", [rmse, mae])
def test_deviations_are_of_finite_numbers(metric):
    infinite = torch.tensor([1.0, torch.inf, -torch.inf])
    with pytest.raises(ValueError, match="prediction must be finite, got 2 infinite of 3"):
        metric(infinite, torch.zeros(3))
    with pytest.raises(ValueError, match="y must be finite, got 2 infinite of 3"):
        metric(torch.zeros(3), infinite)
    with pytest.raises(ValueError, match=r"shape \[N\] or \[N, T\], got \(2, 1, 1\)"):
        metric(torch.zeros(2, 1, 1), torch.zeros(2, 1, 1))
