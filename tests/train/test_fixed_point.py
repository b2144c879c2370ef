"""What a training does with a model that has fixed points inside."""

import json
import math
import warnings

import pytest
import torch
from torch import Tensor, nn

from gnnlib import Graph
from gnnlib.conv import GCNConv
from gnnlib.fixed_point import FixedPointDivergence, FixedPointWarning
from gnnlib.models import GCN
from gnnlib.train import Run, TrainConfig, Trainer, probe, train_seed, train_seeds
from gnnlib.train.convergence import Convergence, convergence_of, reports_of
from gnnlib.train.history import OF_FIXED_POINTS, history_csv, history_json
from gnnlib.train.record import make_record
from gnnlib.train.run_folder import RunFolder
from gnnlib.train.warned_once import warned_once
from tests.train.fixed_point_model import FixedPointModel


def fit(graph, model, **settings):
    return Trainer(model, graph, TrainConfig(**{"epochs": 3, **settings})).fit()


def solves(model: nn.Module) -> Convergence:
    found = convergence_of(model)
    assert found is not None
    return found


def test_each_epoch_says_how_its_fixed_points_were_solved(graph):
    torch.manual_seed(0)
    model = FixedPointModel(5, 2)
    result = fit(graph, model)
    for epoch in result.history:
        assert epoch.converged is True
        assert 1 < (epoch.iterations or 0) < 60
        assert 1 < (epoch.backward_iterations or 0) < 60
        assert 0 < (epoch.residual or 0) < 1e-5


def test_the_numbers_are_those_of_the_training_pass(graph):
    torch.manual_seed(0)
    model = FixedPointModel(5, 2)
    model.train()(graph.x, graph)
    expected = solves(model)
    epoch = fit(graph, model, epochs=1).history[0]
    assert expected.backward_iterations is None  # there was no backward pass
    assert (epoch.iterations, epoch.residual) == (expected.iterations, expected.residual)


def test_the_worst_layer_is_what_an_epoch_has(graph):
    near = FixedPointModel(5, 2, 0.8)
    far = FixedPointModel(5, 2, 0.8, max_iter=3, on_fail="ignore")
    model = nn.ModuleDict({"near": near, "far": far})
    for part in (near, far):
        part(graph.x, graph)
    assert list(reports_of(model)) == ["near.equilibrium", "far.equilibrium"]
    found = solves(model)
    assert solves(near).converged and not solves(far).converged and not found.converged
    assert found.residual == solves(far).residual != solves(near).residual
    assert found.iterations == solves(near).iterations > solves(far).iterations == 3


def test_a_layer_and_the_model_that_hands_on_its_report_are_one(graph):
    class Outer(FixedPointModel):
        @property
        def last_report(self):
            return self.equilibrium.last_report

    model = Outer(5, 2)
    model(graph.x, graph)
    assert list(reports_of(model)) == ["equilibrium"]


def test_other_models_have_no_convergence(graph):
    result = fit(graph, GCN(5, 4, 2))
    assert all(getattr(result.history[0], name) is None for name in OF_FIXED_POINTS)
    assert history_csv([Run(0)], [result]).splitlines()[0].endswith(",lr")
    assert make_record("cora", "gcn", "", [Run(0)], [result], "runs/1")["converged"] is None


def test_the_history_has_columns_of_convergence(graph):
    result = fit(graph, FixedPointModel(5, 2))
    head, first, *_ = history_csv([Run(7)], [result]).splitlines()
    assert head.endswith("lr,iterations,backward_iterations,residual,converged")
    assert first.endswith("True")
    row = json.loads(history_json([Run(7)], [result]))[2]
    renamed = {"train_metric": "train_accuracy", "val_metric": "val_accuracy"}
    epoch = {renamed.get(name, name): value for name, value in result.history[2]._asdict().items()}
    assert row == {"seed": 7, **epoch}
    assert type(result).from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.filterwarnings("ignore::gnnlib.fixed_point.FixedPointWarning")
def test_the_record_has_the_fraction_of_epochs_that_converged(graph):
    good = fit(graph, FixedPointModel(5, 2))
    bad = fit(graph, FixedPointModel(5, 2, 0.9, max_iter=5), epochs=1)
    assert bad.history[0].converged is False
    assert (bad.history[0].residual or 0) > 1e-5
    assert make_record("d", "m", "", [Run(0), Run(1)], [good, bad], "r")["converged"] == 3 / 4


def test_the_warning_comes_once_however_many_epochs_and_seeds(graph, tmp_path):
    config, folder = TrainConfig(epochs=4), RunFolder(tmp_path / "run")
    with pytest.warns(FixedPointWarning) as caught:
        train_seeds(lambda: FixedPointModel(5, 2, 0.9, max_iter=5), graph, config, [0, 1], folder)
    assert len(caught) == 1


def test_warned_once_lets_other_warnings_through():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with warned_once(FixedPointWarning):
            for number in (1, 2):
                warnings.warn(f"residual 0.{number}", FixedPointWarning, stacklevel=1)
                warnings.warn(f"other {number}", UserWarning, stacklevel=1)
        warnings.warn("after", FixedPointWarning, stacklevel=1)
    texts = [str(warning.message) for warning in shown]
    assert texts == ["residual 0.1", "other 1", "other 2", "after"]


def test_divergence_ends_the_training_and_names_the_epoch(graph):
    model = FixedPointModel(5, 2)

    def grow(epoch):
        model.equilibrium.weight.data *= 100

    trainer = Trainer(model, graph, TrainConfig(epochs=9), on_epoch=grow)
    with pytest.raises(FixedPointDivergence, match=r"^at epoch 2: ") as caught:
        trainer.fit()
    assert not caught.value.report.converged.any()


def test_nan_in_x_amid_a_training_is_an_error_that_names_the_epoch(graph):
    x = graph.x.clone()
    graph = graph.replace(x=x)

    def spoil(epoch):
        x[3] = math.nan

    trainer = Trainer(FixedPointModel(5, 2), graph, TrainConfig(epochs=9), on_epoch=spoil)
    with pytest.raises((FixedPointDivergence, FloatingPointError), match=r"^at epoch 2: "):
        trainer.fit()


@pytest.mark.parametrize("layers", [None, 1])
def test_transition_parameters_learn_slower_and_keep_their_decay(layers, graph):
    model = FixedPointModel(5, 2)
    config = TrainConfig(lr=0.5, transition_lr=0.1, weight_decay=0.25, decay_layers=layers)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in Trainer(model, graph, config)._parameter_groups()
        for parameter in group["params"]
    }
    decay = 0.25 if layers is None else 0.0
    assert found[id(model.convs[0].weight)] == (0.5, 0.25)
    assert found[id(model.equilibrium.lin.weight)] == (0.5, decay)
    assert found[id(model.equilibrium.weight)] == (0.05, decay)
    assert len(found) == len(list(model.parameters()))


@pytest.mark.parametrize("scheduler", [None, "cosine", "step", "plateau"])
def test_the_first_step_of_a_transition_is_the_factor_of_that_of_the_others(scheduler, graph):
    # Without weight decay, Adam's first step is lr for every entry with a gradient.
    model = FixedPointModel(5, 2)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    fit(graph, model, epochs=1, lr=0.01, transition_lr=0.2, weight_decay=0.0, scheduler=scheduler)
    moved = {
        name: (value - before[name]).abs().max().item() for name, value in model.named_parameters()
    }
    assert moved["equilibrium.lin.weight"] == pytest.approx(0.01, rel=1e-3)
    assert moved["equilibrium.weight"] == pytest.approx(0.002, rel=1e-3)


def test_a_scheduler_moves_both_rates(graph, monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def look(self, *args, **kwargs):
        rates.append([group["lr"] for group in self.param_groups if group["params"]])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", look)
    settings = {"scheduler": "step", "scheduler_epochs": 2, "scheduler_factor": 0.1}
    result = fit(graph, FixedPointModel(5, 2), epochs=4, lr=0.1, transition_lr=0.5, **settings)
    assert [slow / fast for fast, slow in rates] == pytest.approx([0.5] * 4)
    assert [epoch.lr for epoch in result.history] == pytest.approx([0.1, 0.1, 0.01, 0.01])


def test_a_transition_rate_of_zero_leaves_the_transition(graph):
    model = FixedPointModel(5, 2)
    fit(graph, model, transition_lr=0.0)
    assert torch.equal(model.equilibrium.weight, 0.5 * torch.eye(2))


class Penalised(GCN):
    factor: float | None = None

    def penalty(self, graph: Graph) -> Tensor | None:
        conv = self.convs[0]
        assert isinstance(conv, GCNConv) and conv.bias is not None and graph.num_nodes == 20
        return None if self.factor is None else self.factor * (conv.bias - 1).square().sum()


def test_the_penalty_of_a_model_is_added_to_the_training_loss(graph):
    results = {}
    for factor in (None, 0.0, 10.0):
        torch.manual_seed(0)
        model = Penalised(5, 8, 2, dropout=0)
        model.factor = factor
        results[factor] = fit(graph, model, epochs=5).history
    assert results[None] == results[0.0]
    gap = results[10.0][0].train_loss - results[0.0][0].train_loss
    assert gap == pytest.approx(80.0)  # eight entries of bias, 0 at first
    assert results[10.0][-1].train_loss < results[10.0][0].train_loss
    assert results[10.0][0].val_loss < 10  # without the penalty


def test_reports_for_a_picture_have_both_passes_and_leave_no_gradient(graph):
    model, _ = train_seed(lambda: FixedPointModel(5, 2), graph, TrainConfig(epochs=2), 0)
    model.zero_grad()
    reports = probe.fixed_point_reports(model, graph, "mse")
    report = reports["equilibrium"]
    assert report.backward is not None
    assert len(report.history) > 1 and len(report.backward.history) > 1
    assert report.history[-1][1].max() < report.history[0][1].max()
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(ValueError, match="fixed-point layers, such as GNN; GCN has none"):
        probe.fixed_point_reports(GCN(5, 4, 2), graph)
