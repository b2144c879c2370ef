import numpy as np
import pytest
import torch

from gnnlib.fixed_point import Stop, solve
from gnnlib.plot import convergence
from gnnlib.train import Epoch, TrainResult


def solved(factor: float, backward: bool = True):
    b = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    z, report = solve(lambda z: factor * z + b, torch.zeros_like(b), stop=Stop(tol=1e-8))
    if backward:
        z.sum().backward()
    return report


def run(iterations: list[int | None]) -> TrainResult:
    history = [
        Epoch(number, 1.0, 0.5, 1.0, 0.5, 0.01, count, None if count is None else count + 1)
        for number, count in enumerate(iterations, 1)
    ]
    return TrainResult(history, 1, {}, {}, 1.0)


def line(axes, label: str) -> np.ndarray:
    return next(np.array(one.get_xydata()) for one in axes.lines if one.get_label() == label)


def labels(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_is_saved(ending, tmp_path):
    path = tmp_path / f"convergence.{ending}"
    convergence({"conv": solved(0.5)}, [run([3, 4])], "gnn on cora", path)
    assert path.read_bytes().startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_the_residuals_of_both_passes_are_drawn_on_a_logarithmic_scale():
    report = solved(0.5)
    (axes,) = convergence({"conv": report}).axes
    assert axes.get_yscale() == "log"
    expected = [(number, values.item()) for number, values in report.history]
    assert line(axes, "forward") == pytest.approx(np.array(expected), nan_ok=True)
    assert report.backward is not None
    assert len(line(axes, "backward")) == len(report.backward.history)
    assert line(axes, "tolerance 1.0e-08")[:, 1].tolist() == [1e-8, 1e-8]


def test_without_an_adjoint_solve_there_is_no_line_for_it():
    (axes,) = convergence({"conv": solved(0.5, backward=False)}).axes
    assert labels(axes) == ["forward", "tolerance 1.0e-08"]


def test_of_several_graphs_the_worst_is_drawn():
    factor = torch.tensor([[0.1], [0.1], [0.8]])
    _, report = solve(
        lambda z: factor[: len(z)] * z + 1, torch.zeros(3, 1), segments=torch.tensor([0, 2, 3])
    )
    drawn = line(convergence({"conv": report}).axes[0], "forward")[:, 1]
    worst = [values.max().item() for _, values in report.history]
    assert drawn == pytest.approx(worst)
    assert any(values[0] < values[1] for _, values in report.history)


def test_layers_are_told_apart():
    (axes,) = convergence({"first": solved(0.5), "second": solved(0.8)}).axes
    assert labels(axes) == [
        *("forward, first", "backward, first", "forward, second", "backward, second"),
        "tolerance 1.0e-08",
    ]


def test_the_iterations_of_the_epochs_are_the_mean_over_the_runs():
    _, axes = convergence({"conv": solved(0.5)}, [run([10, 20, 30]), run([20, 40])]).axes
    assert line(axes, "forward").tolist() == [[1, 15], [2, 30], [3, 30]]
    assert line(axes, "backward").tolist() == [[1, 16], [2, 31], [3, 31]]


def test_iterations_are_counted_in_whole_numbers():
    _, axes = convergence({"conv": solved(0.5)}, [run([17, 17, 18])]).axes
    assert all(tick == round(tick) for tick in axes.get_yticks())


def test_runs_of_other_models_have_no_second_panel():
    assert len(convergence({"conv": solved(0.5)}, [run([None, None])]).axes) == 1


def test_an_exact_solve_can_be_drawn():
    """A residual of 0 has no place on a logarithmic scale."""
    report = solved(0.0)
    assert report.history[-1][1].item() == 0
    drawn = line(convergence({"conv": report}).axes[0], "forward")
    assert np.isnan(drawn[-1, 1])


def test_no_report_is_an_error():
    with pytest.raises(ValueError, match="at least one report"):
        convergence({})
