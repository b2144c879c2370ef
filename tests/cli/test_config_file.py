import json
from pathlib import Path

import pytest

from tests.cli.program import gnnlib

TOML = """
dataset = "cora"
model = "gat"
seeds = [3, 5]

[model_args]
heads = 2
hidden_channels = 4

[train]
epochs = 4
patience = "none"
class_weights = [1, 2, 1]
"""


def config_of(done) -> dict:
    assert done.exit_code == 0, done.output
    return json.loads(Path(json.loads(done.stdout)["run_dir"], "config.json").read_text())


def test_a_toml_file_sets_what_the_command_line_would():
    Path("run.toml").write_text(TOML)
    config = config_of(gnnlib("train --config run.toml --json"))
    assert (config["model"], config["seeds"]) == ("gat", [3, 5])
    assert config["model_args"] == {
        "heads": 2,
        "hidden_channels": 4,
        "num_layers": 2,
        "dropout": 0.6,
    }
    assert config["train"]["epochs"] == 4
    assert config["train"]["patience"] is None
    assert config["train"]["class_weights"] == [1, 2, 1]


def test_the_command_line_wins():
    Path("run.toml").write_text(TOML)
    line = "train --config run.toml --heads 3 --epochs 2 --seeds 1 --dataset digits --json"
    config = config_of(gnnlib(line))
    assert (config["model_args"]["heads"], config["train"]["epochs"]) == (3, 2)
    assert (config["seeds"], config["dataset"]) == ([0], "digits")


def test_the_config_of_a_run_gives_the_same_run_again():
    first = config_of(gnnlib("train --dataset cora --epochs 3 --seeds 2 --lr 0.02 --json"))
    second = config_of(gnnlib("train --config runs/cora-gcn-1/config.json --json"))
    assert first == second
    histories = [Path(f"runs/cora-gcn-{n}/history.csv").read_text() for n in (1, 2)]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modell = 'gcn'", "a key must be one of 'model', "),
        ("model = 'gatt'", "model must be one of 'gat', "),
        ("dataset = 'coar'", "dataset must be one of 'cora', "),
        ("[train]\nepoch = 3", "a key of train must be one of 'epochs', "),
        ("[model_args]\nheads = 3", "a key of model_args must be one of"),
        ("[model_args]\nhiden_channels = 3", "must be one of 'hidden_channels', "),
        ("[model_args]\nhidden_channels = 3.5", "model_args.hidden_channels"),
        ("[model_args]\nhidden_channels = true", "model_args.hidden_channels cannot be True"),
        ("[model_args]\nhidden_channels = [16]", "model_args.hidden_channels cannot be [16]"),
        ("[train]\nepochs = 0", "train.epochs: 0 is not in the range x>=1"),
        ("[train]\nlr = 'fast'", "train.lr: 'fast' is not a valid float"),
        ("[train]\nlr = [1]", "train.lr cannot be [1]"),
        ("[train]\nscheduler = 'cosin'", "must be one of 'cosine', "),
        ("[train]\ncheck_finite = 'yes'", "train.check_finite cannot be 'yes'"),
        ("seeds = 0", "seeds must be how many, at least 1"),
        ("seeds = [1, 1]", "a list of different seeds; got [1, 1]"),
        ("seeds = true", "seeds cannot be True"),
        ("in_channels = 3", "a key must be one of"),
        ("train = 3", "train cannot be 3"),
        ("model = ", "cannot be read"),
        ("device = 'abacus'", "got 'abacus'"),
    ],
)
def test_a_wrong_file_is_a_wrong_command_line(text, message):
    Path("run.toml").write_text(text)
    done = gnnlib("train --config run.toml")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe", b"{"])
def test_what_is_no_json_object_is_refused(content):
    Path("config.json").write_bytes(content)
    assert gnnlib("train --config config.json").exit_code == 2


def test_only_what_may_be_none_may_be_null():
    Path("config.json").write_text('{"model_args": {"hidden_channels": null}}')
    done = gnnlib("train --config config.json")
    assert done.exit_code == 2
    assert "model_args.hidden_channels cannot be None" in done.stderr
