import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gnnlib.train.sources import SOURCES, Source
from gnnlib.transforms import NormalizeFeatures
from tests.cli.program import gnnlib, pairs


@contextmanager
def small_datasets() -> Iterator[pytest.MonkeyPatch]:
    """Cora and digits are tiny here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "cora", Source(pairs, (NormalizeFeatures(),)))
        patch.setitem(SOURCES, "digits", Source(pairs))
        yield patch


@pytest.fixture(autouse=True)
def _small_datasets() -> Iterator[None]:
    with small_datasets():
        yield


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with small_datasets() as patch:
        patch.chdir(folder)
        for model in ("gcn", "gat"):
            done = gnnlib(f"train --dataset cora --model {model} --epochs 30 --seeds 2 --quiet")
            assert done.exit_code == 0, done.output
    return folder / "runs"


@pytest.fixture
def runs(_trained: Path, tmp_path: Path) -> None:
    """runs/cora-gcn-1 and runs/cora-gat-1, complete, for this test alone."""
    shutil.copytree(_trained, tmp_path / "runs")
