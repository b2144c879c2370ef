"""Whole processes: one killed with SIGKILL again and again, and one whose memory is watched."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gnnlib.train import RunFolder

TRAIN = """
import json, sys
import torch
from gnnlib.datasets import Digits
from gnnlib.models import GCN
from gnnlib.train import RunFolder, TrainConfig, train_seeds
from gnnlib.train.record import make_record

torch.set_num_threads(1)
path, rounds = sys.argv[1:]
dataset = Digits()
config = TrainConfig(
    epochs=8, patience=6, lr=0.05, scheduler="plateau", scheduler_epochs=1, grad_clip=1.0
)
folder = RunFolder(path) if rounds == "first" else RunFolder.open(path)
if rounds == "first":
    folder.write_config({})
with folder.lock():
    outcome = train_seeds(
        lambda: GCN(dataset.num_features, 8, dataset.num_classes), dataset[0], config, [0, 1, 2],
        folder, checkpoint_seconds=0, on_epoch=lambda epoch: print(epoch.epoch, flush=True),
    )
    record = make_record("digits", "gcn", "", outcome.runs, outcome.results, "")
    folder.finish({**record, "best_seed": outcome.best_seed}, outcome)
"""


def train(path: Path, first: bool, kill_after: int | None) -> bool:
    """Whether a training process came to its end; else it was killed after so many epochs."""
    command = [sys.executable, "-c", TRAIN, str(path), "first" if first else "again"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for seen, _ in enumerate(process.stdout, 1):
            if seen == kill_after:
                process.kill()
        code = process.wait()
    assert code in (0, -signal.SIGKILL)
    return code == 0


def left_behind(path: Path) -> tuple[dict[str, Any], str, str, dict[str, torch.Tensor]]:
    folder = RunFolder.open(path)
    assert folder.is_complete
    assert not folder.progress.exists()
    result = {name: value for name, value in folder.result().items() if "seconds" not in name}
    table, lines = ((path / f"history.{kind}").read_text() for kind in ("csv", "json"))
    return result, table, lines, torch.load(path / "model.pt", weights_only=True)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(tmp_path):
    assert train(tmp_path / "whole", True, None)
    generator, kills = random.Random(1), 0
    # The epochs before a checkpoint are shown again: the more epochs there are, the later the kill.
    while not train(tmp_path / "run", kills == 0, 3 + 2 * kills + generator.randrange(2)):
        kills += 1
    assert kills >= 3
    *whole, weights = left_behind(tmp_path / "whole")
    *resumed, resumed_weights = left_behind(tmp_path / "run")
    assert resumed == whole
    assert weights.keys() == resumed_weights.keys()
    assert all(torch.equal(weights[name], resumed_weights[name]) for name in weights)


MEMORY = """
import sys
import torch
from gnnlib.datasets import Planetoid
from gnnlib.train import RECIPES, train_seed
from gnnlib.transforms import NormalizeFeatures

torch.set_num_threads(1)
kilobytes = []

def on_epoch(epoch):
    if epoch.epoch in (100, 1100):
        # Not the pages of libraries, which the system drops and reads again as it likes.
        lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
        kilobytes.append(sum(int(lines[name].split()[0]) for name in ("RssAnon", "VmSwap")))

dataset = Planetoid("cora", transform=NormalizeFeatures())
recipe = RECIPES[sys.argv[2]].override(epochs=1100, patience=None)
train_seed(
    lambda: recipe.build(dataset.num_features, dataset.num_classes),
    dataset[0], recipe.config, 0, on_epoch, sys.argv[1], False, 1.0,
)
print((kilobytes[1] - kilobytes[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("model", ["gcn", "appnp"])
def test_a_thousand_epochs_grow_memory_by_less_than_5_megabytes(model, mirror, tmp_path):
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "a.ckpt"), model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) < 5
