import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import f1_score

from gnnlib.metrics import accuracy, confusion_matrix, f1_macro


@pytest.fixture(params=[3, 12], ids=["dense_classes", "classes_without_a_node"])
def labels(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(request.param, (40,)), torch.randint(request.param, (40,))


def test_metrics_agree_with_scikit_learn(labels):
    y, prediction = labels
    assert accuracy(prediction, y) == (y.numpy() == prediction.numpy()).mean()
    expected = sklearn_confusion(y, prediction, labels=range(12))
    assert (confusion_matrix(prediction, y, 12).numpy() == expected).all()
    assert f1_macro(prediction, y, 12) == pytest.approx(f1_score(y, prediction, average="macro"))


def test_scores_count_as_their_largest_entry(labels):
    y, prediction = labels
    scores = torch.nn.functional.one_hot(prediction, 12) + torch.rand(40, 12) / 2
    assert accuracy(scores, y) == accuracy(prediction, y)
    assert f1_macro(scores, y, 12) == f1_macro(prediction, y, 12)


@pytest.mark.parametrize("metric", [accuracy, lambda p, y: f1_macro(p, y, 3)])
def test_metrics_refuse_what_they_cannot_count(metric):
    with pytest.raises(ValueError, match=r"got 3 rows for y of shape \(4,\)"):
        metric(torch.zeros(3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="at least one label"):
        metric(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
