import pytest
import torch

from gnnlib.plot import confusion


def test_rows_are_true_classes_and_cells_their_shares():
    y = torch.tensor([0, 0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 0, 0, 1, 0, 1])
    axes, _ = confusion(predicted, y, 3, "gcn on cora").axes
    shares = axes.images[0].get_array()
    assert shares is not None
    assert shares.tolist() == [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0, 0]]
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert numbers[1, 0] == "1" and numbers[0, 0] == "3" and len(numbers) == 9
    assert axes.get_title("left") == "4 of 6 nodes are right"


def test_scores_are_predictions_too():
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    assert confusion(scores, torch.tensor([1, 1]), 2).axes[0].get_title("left").startswith("1 of 2")


def test_many_classes_have_colours_only(tmp_path):
    y = torch.arange(40)
    figure = confusion(y, y, 40, path=tmp_path / "confusion.png")
    assert not figure.axes[0].texts
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="one row per label"):
        confusion(torch.zeros(3), torch.zeros(2), 2)
