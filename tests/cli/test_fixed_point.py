"""The commands with a model that has fixed points inside."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gnnlib.train import RECIPES, Recipe, TrainConfig
from tests.cli.program import gnnlib
from tests.train.fixed_point_model import FixedPointModel

RUN = Path("runs/cora-gcn-1")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes "gcn" the name of a model with fixed points."""

    def patch(**model_args: object) -> None:
        config = TrainConfig(epochs=4, lr=0.05)
        monkeypatch.setitem(RECIPES, "gcn", Recipe(FixedPointModel, model_args, config))

    return patch


def test_a_run_says_how_often_its_fixed_points_converged(use):
    use()
    done = gnnlib("train --dataset cora --seeds 2 --json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["converged"] == 1
    assert "seed 1: test" in done.stderr and ", 4 of 4 epochs converged, " in done.stderr
    assert "fixed point converged in 100.0 % of the epochs" in " ".join(done.stderr.split())
    with open(RUN / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["converged"] for row in rows} == {"True"}
    assert all(int(row["iterations"]) > 1 < int(row["backward_iterations"]) for row in rows)
    assert all(float(row["residual"]) < 1e-5 for row in rows)


@pytest.mark.filterwarnings("default::gnnlib.fixed_point.FixedPointWarning")
def test_fixed_points_that_are_not_reached_are_one_warning(use):
    use(kappa=0.9, max_iter=5)
    done = gnnlib("train --dataset cora --seeds 2 --json")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("warning: ") == 1
    assert json.loads(done.stdout)["converged"] == 0
    done = gnnlib("train --dataset cora --quiet --json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["converged"] == 0


def test_divergence_is_one_error_line_and_leaves_no_folder(use):
    use(kappa=3.0)
    done = gnnlib("train --dataset cora --quiet")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "diverges" in done.stderr
    assert not RUN.exists()


def test_divergence_amid_a_training_names_the_epoch(use):
    use()
    done = gnnlib("train --dataset cora --quiet --epochs 50 --lr 30 --transition-lr 1")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: at epoch ") and done.stderr.count("\n") == 1


def test_plot_draws_the_curves_and_the_convergence(use):
    use()
    assert gnnlib("train --dataset cora --quiet").exit_code == 0
    done = gnnlib(f"plot {RUN}")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [f"{RUN}/curves.png", f"{RUN}/convergence.png"]
    done = gnnlib(f"plot {RUN} --kind convergence --output convergence.svg")
    assert (done.exit_code, done.stdout) == (0, "convergence.svg\n"), done.output
    picture = Path("convergence.svg").read_text()
    for words in ("forward", "backward", "tolerance", "Iterations of each epoch"):
        assert f"<!-- {words}" in picture
    assert gnnlib(f"plot {RUN} -o alone.png").stdout == "alone.png\n"


@pytest.mark.usefixtures("runs")
def test_a_model_without_fixed_points_has_no_convergence_to_draw():
    done = gnnlib(f"plot {RUN} --kind convergence")
    assert done.exit_code == 1
    assert "needs a model with fixed-point layers, such as GNN; GCN has none" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_quadratic_loss_is_an_option():
    done = gnnlib("train --dataset cora --loss mse --epochs 30 --json")
    assert done.exit_code == 0, done.output
    assert json.loads((RUN / "config.json").read_text())["train"]["loss"] == "mse"
    assert json.loads(done.stdout)["test"]["mean"] == 1
    done = gnnlib("train --dataset cora --loss l2")
    assert done.exit_code == 2
    assert "loss must be one of 'cross_entropy', 'mse'" in done.stderr
