import math

import pytest
import torch
from torch import nn

from gnnlib import Graph
from gnnlib.datasets import Planetoid
from gnnlib.features import SparseFeatures
from gnnlib.models import GCN
from gnnlib.train import RECIPES, Epoch, TrainConfig, Trainer, train_seed
from gnnlib.transforms import NormalizeFeatures


class Scripted(nn.Module):
    """Has learnt `right[epoch]` of the validation labels at each epoch; `epoch` is a weight."""

    def __init__(self, y: torch.Tensor, right: list[int], confidence: list[float] | None = None):
        super().__init__()
        self.y, self.right = y, right
        self.confidence = confidence or [1.0] * len(right)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, x, graph):
        if self.training:
            self.epoch += 1
        step = max(int(self.epoch) - 1, 0)
        flip = torch.zeros_like(self.y, dtype=torch.bool)
        flip[graph.val_mask.nonzero().squeeze(1)[self.right[step] :]] = True
        answer = torch.where(flip, 1 - self.y, self.y)
        return (nn.functional.one_hot(answer, 2) * self.confidence[step]) * (1 + 0 * self.scale)


def test_training_learns_and_reports_what_the_model_then_does(graph):
    torch.manual_seed(0)
    model = GCN(5, 8, 2, dropout=0.2)
    result = Trainer(model, graph, TrainConfig(epochs=60, lr=0.05)).fit()
    assert len(result.history) == 60
    assert [epoch.epoch for epoch in result.history] == list(range(1, 61))
    assert result.history[-1].train_loss < result.history[0].train_loss / 2
    assert not model.training
    right = (model(graph.x, graph).argmax(1) == graph.y).float()
    assert result.test["accuracy"] == pytest.approx(right[graph.test_mask].mean().item())
    assert result.val["accuracy"] == pytest.approx(right[graph.val_mask].mean().item())
    assert result.val["accuracy"] == max(epoch.val_metric for epoch in result.history)
    assert result.test["accuracy"] > 0.9
    assert result.seconds > 0


def test_the_weights_of_the_best_epoch_are_restored(graph):
    model = Scripted(graph.y, right=[1, 4, 6, 5, 3])
    result = Trainer(model, graph, TrainConfig(epochs=5)).fit()
    assert [round(6 * epoch.val_metric) for epoch in result.history] == [1, 4, 6, 5, 3]
    assert result.best_epoch == 3
    assert int(model.epoch) == 3
    assert result.val["accuracy"] == 1


def test_among_equal_accuracies_the_lower_loss_is_the_better_epoch(graph):
    model = Scripted(graph.y, [6, 6, 6, 6], confidence=[1.0, 2.0, 3.0, 2.0])
    assert Trainer(model, graph, TrainConfig(epochs=4)).fit().best_epoch == 3


def test_training_stops_when_neither_accuracy_nor_loss_got_better_for_patience_epochs(graph):
    right = [1, 5, 4, 4, 6, 5, 5, 5, 6]
    model = Scripted(graph.y, right)
    result = Trainer(model, graph, TrainConfig(epochs=9, patience=3)).fit()
    assert (len(result.history), result.best_epoch) == (8, 5)
    result = Trainer(Scripted(graph.y, right), graph, TrainConfig(epochs=9, patience=2)).fit()
    assert (len(result.history), result.best_epoch) == (4, 2)


def test_a_falling_loss_renews_the_patience(graph):
    confidence = [0.1, 0.1, 0.5, 0.9, 1.3, 1.3, 1.3, 1.3]
    model = Scripted(graph.y, [6, 5, 5, 5, 5, 5, 5, 5], confidence)
    result = Trainer(model, graph, TrainConfig(epochs=8, patience=2)).fit()
    losses = [epoch.val_loss for epoch in result.history]
    assert losses[0] < losses[1] > losses[2] > losses[3]
    assert (len(result.history), result.best_epoch) == (7, 1)  # without a new loss since epoch 5


def test_the_test_nodes_do_not_steer_the_training(graph):
    def history(graph: Graph) -> list[Epoch]:
        model = lambda: GCN(5, 8, 2)  # noqa: E731
        return train_seed(model, graph, TrainConfig(epochs=5), seed=0)[1].history

    other = torch.where(graph.test_mask, 1 - graph.y, graph.y)
    assert history(graph) == history(graph.replace(y=other))


def test_one_seed_gives_one_history_and_leaves_the_callers_random_state(graph):
    state = torch.get_rng_state()
    config = TrainConfig(epochs=6)
    first, again, other = (
        train_seed(lambda: GCN(5, 8, 2), graph, config, seed) for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert first[1].history == again[1].history
    assert first[1].history != other[1].history
    weights, same = first[0].state_dict(), again[0].state_dict()
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_on_epoch_sees_each_epoch_and_may_interrupt(graph):
    seen = []

    def look(epoch: Epoch) -> None:
        seen.append(epoch)
        if epoch.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(GCN(5, 8, 2), graph, on_epoch=look).fit()
    assert [epoch.epoch for epoch in seen] == [1, 2, 3]


@pytest.mark.parametrize(("layers", "decayed"), [(1, 1), (2, 2), (None, 2)])
def test_weight_decay_acts_on_the_first_layers_only(layers, decayed, graph):
    model = GCN(5, 8, 2, dropout=0)
    config = TrainConfig(weight_decay=0.5, decay_layers=layers)
    groups = Trainer(model, graph, config)._parameter_groups()
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    expected = {id(p) for conv in model.convs[:decayed] for p in conv.parameters()}
    assert {id(p) for p in groups[0]["params"]} == expected
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_decay_layers_need_a_model_with_layers(graph):
    model = Scripted(graph.y, [1])
    with pytest.raises(ValueError, match=r"model\.convs"):
        Trainer(model, graph, TrainConfig(decay_layers=1)).fit()


def test_a_loss_that_is_not_finite_stops_the_training(graph):
    model = Scripted(graph.y, [1, 2, 3], confidence=[1.0, 1.0, math.nan])
    with pytest.raises(FloatingPointError, match="at epoch 3 the training loss is nan"):
        Trainer(model, graph, TrainConfig(epochs=3)).fit()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_features_that_are_not_finite_are_counted(value, sparse, graph):
    x = graph.x.clone()
    x[[7, 4, 7], [0, 2, 3]] = value
    graph = graph.replace(x=SparseFeatures.from_dense(x) if sparse else x)
    with pytest.raises(ValueError, match=r"3 of its \d+ values are NaN or .* at node 4$"):
        Trainer(GCN(5, 8, 2), graph)


@pytest.mark.parametrize("mask", ["train_mask", "val_mask", "test_mask"])
def test_a_mask_must_select_something_and_be_bool(mask, graph):
    model = GCN(5, 8, 2)
    with pytest.raises(ValueError, match=f"{mask} must select at least one node, got none of 20"):
        Trainer(model, graph.replace(**{mask: torch.zeros(20, dtype=torch.bool)}))
    with pytest.raises(TypeError, match=f"{mask} must be one bool per node, got torch.int64"):
        Trainer(model, graph.replace(**{mask: graph[mask].long()}))


@pytest.mark.parametrize("name", ["x", "y", "train_mask", "val_mask", "test_mask"])
def test_what_is_missing_is_named(name, graph):
    with pytest.raises(
        ValueError, match=rf"training needs graph\.{name}; the graph has edge_index"
    ):
        Trainer(GCN(5, 8, 2), graph.replace(**{name: None}))


def test_an_empty_graph_is_refused():
    empty = Graph(torch.empty(2, 0, dtype=torch.int64), x=torch.empty(0, 5), num_nodes=0)
    with pytest.raises(ValueError, match="must have nodes"):
        Trainer(GCN(5, 8, 2), empty)


@pytest.mark.parametrize("label", [-1, 2])
@pytest.mark.parametrize("mask", ["train_mask", "val_mask", "test_mask"])
def test_a_label_outside_the_classes_is_named_with_its_node(label, mask, graph):
    node = int(graph[mask].nonzero()[1])
    y = graph.y.clone()
    y[node] = label
    message = rf"y must be in \[0, 2\) under {mask}, .*: node {node} has {label}"
    with pytest.raises(ValueError, match=message):
        Trainer(GCN(5, 8, 2), graph.replace(y=y)).fit()


def test_a_label_outside_the_masks_is_not_looked_at(graph):
    y, test_mask = graph.y.clone(), graph.test_mask.clone()
    y[9], test_mask[9] = -1, False
    Trainer(GCN(5, 8, 2), graph.replace(y=y, test_mask=test_mask), TrainConfig(epochs=1)).fit()


@pytest.mark.parametrize("y", [torch.zeros(20), torch.zeros(20, 2, dtype=torch.int64)])
def test_y_must_be_class_numbers(y, graph):
    with pytest.raises(TypeError, match="one int64 class number per node"):
        Trainer(GCN(5, 8, 2), graph.replace(y=y))


def test_x_must_be_floating_point(graph):
    with pytest.raises(TypeError, match=r"floating point .* got torch\.int64"):
        Trainer(GCN(5, 8, 2), graph.replace(x=graph.x.long()))


def test_a_model_must_give_one_row_per_node(graph):
    class Mean(nn.Module):
        def forward(self, x, graph):
            return x.mean(0, keepdim=True)

    with pytest.raises(ValueError, match=r"num_nodes=20, got an output of shape \(1, 5\)"):
        Trainer(Mean(), graph).fit()


def test_the_model_must_be_where_the_graph_is(graph):
    with pytest.raises(ValueError, match=r"graph is on cpu, got convs\.0\.\S+ on meta"):
        Trainer(GCN(5, 8, 2).to("meta"), graph)


def test_gcn_on_cora_trains_to_the_same_history_twice(mirror):
    dataset = Planetoid("cora", transform=NormalizeFeatures())
    recipe = RECIPES["gcn"].override(epochs=60)
    runs = [
        train_seed(
            lambda: recipe.build(dataset.num_features, dataset.num_classes),
            dataset[0],
            recipe.config,
            seed=0,
        )
        for _ in range(2)
    ]
    assert runs[0][1].history == runs[1][1].history
    assert runs[0][1].test["accuracy"] > 0.77


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_cora(name, mirror):
    dataset = Planetoid("cora", transform=NormalizeFeatures())
    recipe = RECIPES[name].override(epochs=30, lr=0.01)
    _, result = train_seed(
        lambda: recipe.build(dataset.num_features, dataset.num_classes),
        dataset[0],
        recipe.config,
        seed=0,
    )
    assert result.test["accuracy"] > 0.5  # the largest class has 0.32
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert all(epoch.converged is not False for epoch in result.history)  # None: no fixed point
