import dataclasses
import json
import math
from typing import Any

import pytest

from gnnlib.train import TrainConfig


def test_a_config_goes_through_json():
    config = TrainConfig(
        epochs=7, scheduler="step", grad_clip=2.0, class_weights=(1.0, 0.5), amp="bf16"
    )
    assert TrainConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert TrainConfig(**dataclasses.asdict(TrainConfig())) == TrainConfig()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 0), ("patience", 0), ("decay_layers", 0), ("scheduler_epochs", 0)]
    + [("batch_size", 0)]
    + [("lr", value) for value in (0.0, -1.0, math.nan, math.inf)]
    + [("transition_lr", -0.1), ("transition_lr", math.inf), ("loss", "'l2'"), ("metric", "'acc'")]
    + [("weight_decay", -1e-3), ("weight_decay", math.nan), ("grad_clip", 0.0)]
    + [("scheduler_factor", 0.0), ("scheduler_factor", 1.0), ("grad_clip", math.inf)]
    + [("scheduler", "'cosin'"), ("amp", "'fp16'"), ("class_weights", "'even'")],
)
def test_a_setting_out_of_range_is_named(setting, value):
    given: Any = value.strip("'") if isinstance(value, str) else value
    with pytest.raises(ValueError, match=f"{setting} must be .*got {value}"):
        TrainConfig(**{setting: given})


@pytest.mark.parametrize(
    ("setting", "value", "kind"),
    [("epochs", "5", "an integer"), ("patience", 2.0, "an integer"), ("epochs", None, "an integer")]
    + [("epochs", True, "an integer"), ("lr", "0.1", "a number"), ("grad_clip", "1", "a number")]
    + [
        ("lr", None, "a number"),
        ("check_finite", 1, "a bool"),
        ("class_weights", 2.0, "'balanced'"),
    ],
)
def test_a_setting_of_a_wrong_kind_is_named(setting, value, kind):
    with pytest.raises(TypeError, match=f"{setting} must be {kind}.*, got {value!r}"):
        TrainConfig(**{setting: value})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -2.0], r"class_weights must not be negative, got -2.0 at 1"),
        ([0.0, 0.0], r"class_weights must have a positive entry, got \[0.0, 0.0\]"),
        ([], r"class_weights must have a positive entry, got \[\]"),
        ([1.0, math.nan], r"class_weights\[1\] must be finite, got nan"),
    ],
)
def test_class_weights_are_checked(weights, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(class_weights=weights)


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 1.0  # pyright: ignore[reportAttributeAccessIssue]
