import io
import math

import pytest
from rich.console import Console

from gnnlib.train import Epoch, TrainResult
from gnnlib.train import display as displays
from gnnlib.train.display import Display, LineDisplay, LiveDisplay


def epoch(number: int, loss: float = 1.5, accuracy: float = 0.5) -> Epoch:
    return Epoch(number, loss, 1 - 1 / number, loss + 1, accuracy, 0.01)


def solved(number: int) -> Epoch:
    return epoch(number)._replace(
        iterations=21, backward_iterations=18, residual=8.3e-7, converged=number != 2
    )


def terminal(width: int, height: int) -> Console:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=width, height=height, color_system=None)


def shown(display: LiveDisplay) -> list[str]:
    console = display.console
    with console.capture() as capture:
        console.print(display.render())
    return capture.get().rstrip("\n").split("\n")


def live(
    width: int, height: int, epochs: int = 60, loss: float = 1.5, fixed_points: bool = False
) -> LiveDisplay:
    display = LiveDisplay(2, 200, terminal(width, height))
    display.begin("seed 3")
    for number in range(1, epochs + 1):
        now = solved(number) if fixed_points else epoch(number, loss, 0.8 - 0.5 / number)
        display.epoch(now)
    return display


def test_the_display_has_both_curves_and_the_time_left():
    lines = shown(live(100, 30))
    assert lines[0].startswith("seed 3 (1 of 2)")
    assert "epoch 60 of 200" in lines[0] and "at most 0:0" in lines[0]
    assert "loss  train 1.500  validation 2.500" in lines[1]
    assert "accuracy  train 98.3 %  validation 79.2 %" in lines[1]
    dots = [character for line in lines for character in line if "⠀" < character <= "⣿"]
    assert len(dots) > 100
    assert lines[-1] == "best so far: 79.2 % at epoch 60"


@pytest.mark.parametrize("width", [1, 5, 12, 29, 30, 34, 60, 83, 84, 100, 250])
@pytest.mark.parametrize("height", [1, 4, 5, 10, 13, 14, 24, 60])
@pytest.mark.parametrize("fixed_points", [False, True])
def test_it_fits_every_terminal(width, height, fixed_points):
    for epochs in (0, 1, 2, 60):
        lines = shown(live(width, height, epochs, fixed_points=fixed_points))
        assert max(map(len, lines)) <= max(width, 1)
        assert len(lines) <= max(height, 4)


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e30])
def test_it_survives_what_is_no_number(loss):
    display = live(100, 30, 5, loss)
    assert len(shown(display)) > 10
    display.epoch(epoch(6, 0.5, 0.9))
    assert shown(display)[-1] == "best so far: 90.0 % at epoch 6"


def test_the_display_says_how_fixed_points_are_solved():
    *_, solves, best = shown(live(100, 30, 3, fixed_points=True))
    assert solves == ("fixed point: 21 + 18 iterations, residual 8.3e-07, 2 of 3 epochs converged")
    assert best.startswith("best so far")
    assert not any("iterations" in line for line in shown(live(100, 30)))


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"converged": False}, ["21 + 18 iterations", "residual 8.3e-07", "not converged"]),
        ({"backward_iterations": None}, ["21 iterations", "residual 8.3e-07"]),
        ({"residual": None}, ["21 + 18 iterations", "residual not finite"]),
    ],
)
def test_a_solve_is_told_as_it_was(changes, parts):
    assert displays.convergence(solved(1)._replace(**changes)) == parts


def test_the_line_of_a_seed_counts_the_epochs_that_converged():
    history = [solved(number) for number in (1, 2, 3)]
    accuracy = {"accuracy": 0.5}
    line = displays.run_line("seed 3", TrainResult(history, 1, accuracy, accuracy, 2.0))
    assert line.endswith("best epoch 1 of 3, 2 of 3 epochs converged, 2.0 s")


def test_a_long_history_is_drawn_from_some_of_its_points():
    display = live(100, 30, 50_000)
    points = []
    draw = displays._panel
    displays._panel = lambda history, *rest: points.append(history) or draw(history, *rest)
    try:
        shown(display)
    finally:
        displays._panel = draw
    assert all(len(history) <= 2000 and history[-1].epoch == 50_000 for history in points)


def test_a_line_stays_for_each_seed():
    display = live(100, 30)
    with display:
        display.end(TrainResult([epoch(1)], 1, {"accuracy": 0.5}, {"accuracy": 0.25}, 2.0))
        display.begin("seed 4")
        display.epoch(epoch(1))
    text = display.console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert "seed 3: test 25.0 %, validation 50.0 %, best epoch 1 of 1, 2.0 s" in text


def test_the_time_left_is_that_of_the_epochs_trained_here(monkeypatch):
    now = 0.0
    monkeypatch.setattr(displays.time, "monotonic", lambda: now)
    display = Display(2, 10)
    display.begin("seed 0")
    for number in range(1, 5):  # an earlier process has trained these
        display.epoch(epoch(number))
    assert display.seconds_left() == 0
    for number in (5, 6):
        now += 2.0
        display.epoch(epoch(number))
    assert display.seconds_left() == 2 * (4 + 10)


def test_lines_come_now_and_then_and_at_the_end_of_a_seed(monkeypatch):
    now = 0.0
    monkeypatch.setattr(displays.time, "monotonic", lambda: now)
    file = io.StringIO()
    display = LineDisplay(1, 10, file)
    display.begin("seed 0")
    for number in range(1, 5):
        now += 12.0
        display.epoch(epoch(number))
    assert file.getvalue().splitlines() == [
        "seed 0: epoch 3 of 10, loss 1.500, validation 50.0 %, at most 1:24 left"
    ]
    now += 31.0
    display.epoch(solved(5))
    assert file.getvalue().splitlines()[1] == (
        "seed 0: epoch 5 of 10, loss 1.500, validation 50.0 %, 21 + 18 iterations, "
        "residual 8.3e-07, at most 1:00 left"
    )
    display.end(TrainResult([epoch(1)], 1, {"accuracy": 0.5}, {"accuracy": 0.25}, 48.0))
    assert file.getvalue().splitlines()[2].startswith("seed 0: test 25.0 %")
