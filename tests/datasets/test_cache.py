"""The processed cache: found again, never trusted when damaged, never in the way."""

import hashlib

import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import Planetoid, Polblogs, _cache
from gnnlib.datasets._cache import cached


class Build:
    """Makes a graph, and counts how often it did."""

    def __init__(self):
        self.calls = 0

    def __call__(self) -> Graph:
        self.calls += 1
        return Graph([[0, 1, 2], [1, 2, 0]], x=torch.eye(3), y=torch.tensor([0, 1, 1]))


@pytest.fixture
def build():
    return Build()


def test_a_graph_is_built_once_and_comes_back_the_same(tmp_path, build):
    first = cached(tmp_path / "new" / "folder", ["a"], build)
    again = cached(tmp_path / "new" / "folder", ["a"], build)
    assert build.calls == 1
    assert again.keys() == first.keys()
    assert all(torch.equal(again[name], first[name]) for name, _ in first.items())
    assert torch.equal(again.edge_index, first.edge_index)
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 1


def test_another_source_or_version_is_built_anew(tmp_path, build, monkeypatch):
    for source in (["a"], ["b"], ["a", "b"], ["a", "b"]):
        cached(tmp_path, source, build)
    assert build.calls == 3
    monkeypatch.setattr(_cache, "_VERSION", -1)
    cached(tmp_path, ["a"], build)
    assert build.calls == 4


@pytest.mark.parametrize("damage", ["a bit", "the end", "everything", "a file of something else"])
def test_a_damaged_file_is_built_anew_and_replaced(tmp_path, build, damage):
    cached(tmp_path, ["a"], build)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(
        {
            "a bit": data[:-1] + bytes([data[-1] ^ 1]),
            "the end": data[:-8],
            "everything": b"",
            "a file of something else": b"cos\nsystem\n.",
        }[damage]
    )
    cached(tmp_path, ["a"], build)
    assert build.calls == 2
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [data]
    cached(tmp_path, ["a"], build)
    assert build.calls == 2


def test_a_file_of_a_format_that_is_not_understood_is_built_anew(tmp_path, build):
    cached(tmp_path, ["a"], build)
    (path,) = tmp_path.iterdir()
    other = b"no safetensors"
    named = path.with_name(
        path.name[: path.name.rindex("-") + 1] + hashlib.sha256(other).hexdigest() + path.suffix
    )
    path.rename(named).write_bytes(other)
    cached(tmp_path, ["a"], build)
    assert build.calls == 2


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fail():
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        cached(tmp_path / "folder", ["a"], fail)
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path, build):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="cannot be written.* read again each time") as caught:
        graph = cached(tmp_path / "file" / "folder", ["a"], build)
    assert graph.num_nodes == 3
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("open", "num_edges"), [(lambda: Planetoid("cora"), 10556), (Polblogs, 19022)]
)
def test_without_a_writable_cache_a_mirror_still_gives_a_graph(
    open, num_edges, mirror, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    monkeypatch.setenv("GNNLIB_CACHE", str(tmp_path / "file" / "cache"))
    message = "set GNNLIB_CACHE to a folder that can be written"
    with pytest.warns(UserWarning, match=message) as caught:
        assert open()[0].num_edges == num_edges
    assert caught[0].filename == __file__  # where the user asked


def test_the_second_load_of_cora_needs_no_raw_file(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    first = Planetoid("cora")[0]
    monkeypatch.delenv("GNNLIB_MIRROR")
    monkeypatch.setattr("gnnlib.datasets.planetoid.fetch", None)
    second = Planetoid("cora")[0]
    assert torch.equal(first.edge_index, second.edge_index)
    assert torch.equal(first.x.to_dense(), second.x.to_dense())
    assert torch.equal(first.adj.ptr, second.adj.ptr)
    for name in ("y", "train_mask", "val_mask", "test_mask"):
        assert torch.equal(first[name], second[name])
