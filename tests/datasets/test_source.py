"""Source: its files reach the parser in order, and each set of options is kept by itself."""

import hashlib

import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import DownloadError
from gnnlib.datasets._source import RemoteFile, Source

CONTENTS = {"b.txt": b"0 1", "a.txt": b"22"}
SOURCE = Source(
    "social",
    "small",
    [
        RemoteFile(name, hashlib.sha256(data).hexdigest(), len(data), f"https://invalid/{name}")
        for name, data in CONTENTS.items()
    ],
)


class Parser:
    def __init__(self):
        self.calls = []

    def __call__(self, files, flag=False):
        self.calls.append((files, flag))
        return Graph([[0], [1]], num_nodes=2, flag=torch.tensor([flag, flag]))


@pytest.fixture
def small(cache, tmp_path, monkeypatch):
    folder = tmp_path / "files" / "social" / "small"
    folder.mkdir(parents=True)
    for name, data in CONTENTS.items():
        (folder / name).write_bytes(data)
    monkeypatch.setenv("GNNLIB_MIRROR", str(tmp_path / "files"))
    return cache


def test_the_parser_gets_the_bytes_by_name_in_order_and_once(small):
    parse = Parser()
    for _ in range(2):
        assert SOURCE.graph(parse).num_edges == 1
    [(files, flag)] = parse.calls
    assert list(files.items()) == list(CONTENTS.items())
    assert not flag
    assert SOURCE.size == 5


def test_each_set_of_options_is_kept_by_itself(small):
    parse = Parser()
    for flag in (True, False, True, False):
        assert SOURCE.graph(parse, flag=flag).flag.tolist() == [flag, flag]
    assert [flag for _, flag in parse.calls] == [True, False]


def test_it_is_at_hand_with_its_files_or_its_graph(small, monkeypatch, tmp_path):
    assert SOURCE.is_at_hand()
    assert SOURCE.is_at_hand(flag=True)
    SOURCE.graph(Parser(), flag=True)
    monkeypatch.delenv("GNNLIB_MIRROR")
    assert SOURCE.is_at_hand(flag=True)
    assert not SOURCE.is_at_hand(flag=False)
    assert not SOURCE.is_at_hand()


def test_the_graph_is_kept_below_the_root_that_is_given(small, tmp_path):
    SOURCE.graph(Parser(), tmp_path / "root")
    assert list((tmp_path / "root" / "social" / "small").glob("graph-*.safetensors"))
    assert not small.exists()


def test_without_its_files_the_error_names_the_first(cache, monkeypatch):
    monkeypatch.setattr("gnnlib.datasets._download._download", lambda *_: "no connection")
    with pytest.raises(DownloadError, match=r"small needs the file b\.txt"):
        SOURCE.graph(Parser())
