import pytest

from gnnlib.models import GAT
from gnnlib.train import GRAPH_RECIPES, RECIPES, TrainConfig, train_seed
from tests.train.many_graphs import is_ring, length, parts


def test_a_recipe_builds_its_model():
    recipe = RECIPES["gat"].override(heads=3, hidden_channels=4)
    model = recipe.build(10, 5)
    assert isinstance(model, GAT)
    assert (model.convs[0].in_channels, model.convs[0].heads) == (10, 3)
    assert model.convs[-1].out_channels == 5


def test_override_changes_model_and_training_and_not_the_recipe():
    before = RECIPES["gcn"]
    changed = before.override(dropout=0.1, patience=7)
    assert changed.model_args["dropout"] == 0.1
    assert changed.config.patience == 7
    assert changed.config.lr == before.config.lr
    assert before.model_args["dropout"] == 0.5
    assert before.config.patience != 7


def test_gcn_trains_as_in_its_paper():
    recipe = RECIPES["gcn"]
    assert recipe.model_args == {"hidden_channels": 16, "num_layers": 2, "dropout": 0.5}
    assert recipe.config == TrainConfig(epochs=200, lr=0.01, weight_decay=5e-4, decay_layers=1)


@pytest.mark.parametrize("name", ["gcn", "sage", "gin"])
def test_a_setting_that_the_model_does_not_have_is_named(name):
    with pytest.raises(ValueError, match="has no setting 'heads'"):
        RECIPES[name].override(heads=8)


def test_a_training_setting_is_checked():
    with pytest.raises(ValueError, match="lr must be positive"):
        RECIPES["gcn"].override(lr=-1.0)


def test_every_model_has_a_recipe_for_graphs():
    assert GRAPH_RECIPES.keys() == RECIPES.keys()


@pytest.mark.parametrize("name", GRAPH_RECIPES)
@pytest.mark.parametrize(("label", "metric"), [(is_ring, "accuracy"), (length, "rmse")])
def test_every_model_trains_on_graphs(name, label, metric):
    recipe = GRAPH_RECIPES[name].override(epochs=2)
    outputs = 2 if label is is_ring else 1
    _, result = train_seed(lambda: recipe.build(2, outputs), parts(label), recipe.config, 0)
    assert len(result.history) == 2
    assert result.metric == metric
