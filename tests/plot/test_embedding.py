import numpy as np
import pytest
import torch

from gnnlib.plot import embedding

TWO_CLASSES = torch.arange(30) // 15


def clusters() -> torch.Tensor:
    return 20.0 * TWO_CLASSES[:, None] + torch.rand(30, 6)


def points(figure) -> list[np.ndarray]:
    return [np.asarray(dots.get_offsets()) for dots in figure.axes[0].collections]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_two_clusters_stay_apart(method):
    first, second = points(embedding(clusters(), TWO_CLASSES, method))
    assert first.shape == second.shape == (15, 2)
    between = np.linalg.norm(first.mean(0) - second.mean(0))
    assert between > first.std() + second.std()


def test_tsne_is_the_same_each_time():
    h = clusters()
    assert (points(embedding(h))[0] == points(embedding(h))[0]).all()


def test_nodes_without_a_label_are_grey():
    figure = embedding(clusters(), torch.where(TWO_CLASSES == 0, -1, 1), "pca")
    names = figure.axes[0].get_legend_handles_labels()[1]
    assert names == ["no label", "1"]


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("h", [torch.rand(5, 1), torch.ones(3, 4), torch.eye(3) * 1e30])
def test_odd_features_give_a_picture(h, method, tmp_path):
    path = tmp_path / "embedding.svg"
    embedding(h, None, method, path=path)
    assert path.read_text().startswith("<?xml")


def test_of_very_many_nodes_some_are_drawn():
    (drawn,) = points(figure := embedding(torch.rand(6000, 3), method="pca"))
    assert len(drawn) == 5000
    assert figure.axes[0].get_title("left") == "PCA, 5000 of 6000 nodes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "tsen"}, "method must be one of 'tsne', 'pca'; got 'tsen'"),
        ({"h": torch.rand(2, 3)}, "at least 3 nodes"),
        ({"y": torch.zeros(7)}, "one class per row of h, 30"),
        ({"h": torch.full((4, 2), torch.nan)}, "h must be finite"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        embedding(**{"h": clusters(), **arguments})
