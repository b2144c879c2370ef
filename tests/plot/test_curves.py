import sys

import numpy as np
import pytest

from gnnlib.plot import curves
from gnnlib.train import Epoch, TrainResult


def result_of(epochs: int) -> TrainResult:
    history = [Epoch(i, 2 / i, 1 - 1 / i, 3 / i, 0.8 - 0.5 / i, 0.01) for i in range(1, epochs + 1)]
    return TrainResult(history, epochs - 1, {}, {}, 1.0)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_curves_are_saved(ending, tmp_path):
    path = tmp_path / f"curves.{ending}"
    curves([result_of(8), result_of(5)], "gcn on cora", path)
    start = path.read_bytes()[:100]
    assert start.startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_curves_show_mean_and_best_epochs_of_runs_of_unequal_length():
    figure = curves([result_of(8), result_of(5)], "gcn on cora")
    loss, accuracy = figure.axes
    train, validation = (np.array(line.get_xydata()) for line in loss.lines)
    assert train[:, 0].tolist() == list(range(1, 9))
    assert train[6, 1] == pytest.approx(2 / 7)  # of the one run that came so far
    assert validation[1, 1] == pytest.approx(1.5)
    best = np.array(loss.collections[-1].get_offsets())
    assert best == pytest.approx(np.array([[7, 3 / 7], [4, 3 / 4]]))
    assert np.array(accuracy.lines[1].get_xydata())[4, 1] == pytest.approx(70)
    assert figure.get_suptitle() == "gcn on cora"


def test_one_run_has_no_band():
    bands = [len(curves([result_of(5)] * n, "").axes[0].collections) for n in (1, 2)]
    assert bands == [1, 3]  # with the dots of the best epochs


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gnnlib\[plot\]'"):
        curves([result_of(5)], "")


def test_the_same_picture_gives_the_same_svg(tmp_path):
    paths = [tmp_path / "1.svg", tmp_path / "2.svg"]
    for path in paths:
        curves([result_of(5)], "gcn on cora", path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_run_of_one_epoch_is_seen():
    history = [Epoch(1, 2.0, 0.5, 2.1, 0.4, 0.01)]
    figure = curves([TrainResult(history, 1, {}, {}, 1.0)])
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_runs_without_epochs_are_refused():
    for results in ([], [TrainResult([], 0, {}, {}, 0.0)]):
        with pytest.raises(ValueError, match="at least one epoch"):
            curves(results)
