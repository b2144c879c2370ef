from dataclasses import fields

import pytest

from gnnlib.cli._settings import MODEL, TRAINING
from gnnlib.train import RECIPES, TrainConfig
from tests.cli.program import gnnlib

NOT_OFFERED = {"v2"}  # gatv2 is a model of its own


def test_every_field_of_the_training_has_an_option():
    assert {setting.name for setting in TRAINING} == {field.name for field in fields(TrainConfig)}


@pytest.mark.parametrize("model", RECIPES)
def test_every_parameter_of_a_model_has_an_option(model):
    offered = {setting.name for setting in MODEL}
    assert set(RECIPES[model].parameters) - NOT_OFFERED <= offered


def test_the_help_names_models_and_their_usual_settings():
    lines = " ".join(gnnlib("train --help").stdout.split())
    for name, recipe in RECIPES.items():
        assert f"{name} --" in lines
        assert f"--lr {recipe.config.lr}" in lines
    for setting in [*MODEL, *TRAINING]:
        takers = [recipe for recipe in RECIPES.values() if setting.name in recipe.parameters]
        if takers or setting in TRAINING:
            assert f"{setting.flags.split('/')[0]} " in lines


@pytest.mark.parametrize(
    "line",
    ["--help", "train --help", "predict -h", "plot -h", "datasets -h", "info -h", "completion -h"],
)
def test_help_is_there(line):
    done = gnnlib(line)
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")
    assert max(map(len, done.stdout.splitlines())) <= 80
