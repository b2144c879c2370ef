"""What each setting of TrainConfig does to a training."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gnnlib import Graph
from gnnlib.models import GCN
from gnnlib.train import TrainConfig, Trainer, TrainResult


class Fixed(nn.Module):
    """Gives the logits it was made with, shifted by two weights."""

    def __init__(self, logits: torch.Tensor):
        super().__init__()
        self.logits = logits
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, x, graph):
        return self.logits + self.shift


def fit(graph: Graph, **settings) -> TrainResult:
    torch.manual_seed(0)
    return Trainer(GCN(5, 8, 2, dropout=0), graph, TrainConfig(**settings)).fit()


def rates(result: TrainResult) -> list[float]:
    return [epoch.lr for epoch in result.history]


def test_without_a_scheduler_the_learning_rate_stays(graph):
    assert rates(fit(graph, epochs=3, lr=0.02)) == [0.02] * 3


def test_cosine_falls_to_zero_over_the_epochs(graph):
    expected = [0.1 * (1 + math.cos(math.pi * epoch / 8)) / 2 for epoch in range(8)]
    assert rates(fit(graph, epochs=8, lr=0.1, scheduler="cosine")) == pytest.approx(expected)


def test_step_multiplies_every_so_many_epochs(graph):
    result = fit(
        graph, epochs=7, lr=0.1, scheduler="step", scheduler_epochs=3, scheduler_factor=0.1
    )
    assert rates(result) == pytest.approx([0.1] * 3 + [0.01] * 3 + [0.001])


def test_plateau_multiplies_when_the_validation_loss_does_not_fall(graph):
    graph = graph.replace(y=torch.where(graph.val_mask, 1 - graph.y, graph.y))
    result = fit(graph, epochs=12, lr=0.5, scheduler="plateau", scheduler_epochs=2)
    rate, lowest, waited = 0.5, math.inf, 0
    for epoch in result.history:
        assert epoch.lr == rate
        waited = 0 if epoch.val_loss < lowest else waited + 1
        lowest = min(lowest, epoch.val_loss)
        if waited > 2:
            rate, waited = rate / 2, 0
    assert rate < 0.5


def test_the_gradient_is_clipped_to_its_norm(graph, monkeypatch):
    norms = []
    step = torch.optim.Adam.step

    def look(self, *args, **kwargs):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(torch.cat([grad.flatten() for grad in grads]).norm().item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", look)
    fit(graph, epochs=3)
    assert min(norms) > 0.01
    free, norms[:] = norms[:], []
    fit(graph, epochs=3, grad_clip=0.01)
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)
    norms[:] = []
    fit(graph, epochs=3, grad_clip=1e6)
    assert norms == free


@pytest.mark.parametrize("weights", [(1.0, 3.0), "balanced"])
def test_classes_weigh_in_the_loss(weights, graph):
    train = graph.train_mask.clone()
    train[12] = False  # three of class 0, two of class 1
    graph = graph.replace(train_mask=train)
    logits = torch.randn(20, 2)
    expected_weight = torch.tensor([5 / 6, 5 / 4] if weights == "balanced" else weights)
    result = Trainer(Fixed(logits), graph, TrainConfig(epochs=1, class_weights=weights)).fit()
    expected = F.cross_entropy(logits[train], graph.y[train], expected_weight)
    assert result.history[0].train_loss == pytest.approx(expected.item())
    plain = Trainer(Fixed(logits), graph, TrainConfig(epochs=1)).fit()
    assert plain.history[0].train_loss != pytest.approx(expected.item())


def test_class_weights_must_fit_the_model_and_the_labels(graph):
    with pytest.raises(ValueError, match="one number per class: the model has 2, got 3"):
        fit(graph, class_weights=(1.0, 2.0, 3.0))
    graph = graph.replace(train_mask=graph.train_mask & (graph.y == 0))
    with pytest.raises(ValueError, match="give every node of train weight 0"):
        fit(graph, class_weights=(0.0, 1.0))


def test_amp_runs_the_layers_in_bfloat16_and_the_loss_in_float32(graph):
    dtypes = []
    model = GCN(5, 8, 2, dropout=0)
    model.convs[0].register_forward_hook(lambda *args: dtypes.append(args[2].dtype))
    result = Trainer(model, graph, TrainConfig(epochs=40, lr=0.05, amp="bf16")).fit()
    assert set(dtypes) == {torch.bfloat16}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert result.test["accuracy"] > 0.9
    assert fit(graph, epochs=1, amp="bf16").history[0].train_loss == pytest.approx(
        fit(graph, epochs=1).history[0].train_loss, rel=1e-2
    )


class Breaks(nn.Module):
    """Two layers; from its third training step on, something is not finite."""

    def __init__(self, what: str):
        super().__init__()
        self.first, self.second = nn.Linear(5, 4), nn.Linear(4, 2)
        self.gain = nn.Parameter(torch.ones(()))
        self.what, self.steps = what, 0

    def forward(self, x, graph):
        self.steps += self.training
        broken = self.training and self.steps >= 3
        if broken and self.what == "forward":
            x = x.clone()
            x[7, 0] = math.inf
        h = self.first(x)
        if broken and self.what == "gradient":
            h = torch.cat([h[:1], (h[1:2] * 0).sqrt(), h[2:]])  # of slope inf at 0
        out = self.second(h)
        if broken and self.what == "parameter":
            out = out + 0 * (self.gain - self.gain).sqrt()
        return out


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("forward", r"at epoch 3: layer 'first' \(Linear\) .* its output is -?inf at node 7"),
        ("gradient", r"at epoch 3: layer 'first' \(Linear\) .* its output is nan at node 1"),
        ("parameter", r"at epoch 3: the gradient of parameter 'gain' .*: 1 of its 1 entries"),
    ],
)
def test_check_finite_names_the_first_place(what, message, graph):
    config = TrainConfig(epochs=5, weight_decay=0.0, check_finite=True)
    with pytest.raises(FloatingPointError, match=message):
        Trainer(Breaks(what), graph, config).fit()


def test_check_finite_looks_at_the_validation_too(graph):
    message = r"at epoch 1: layer 'convs\.\S+' .* its output is (-?inf|nan) at node \d+"
    with pytest.raises(FloatingPointError, match=message):
        fit(graph, epochs=2, lr=1e30, check_finite=True)


def test_check_finite_changes_no_number_and_leaves_no_hook(graph):
    assert fit(graph, epochs=4).history == fit(graph, epochs=4, check_finite=True).history
    model = GCN(5, 8, 2)
    Trainer(model, graph, TrainConfig(epochs=1, check_finite=True)).fit()
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
