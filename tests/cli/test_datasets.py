import json
from dataclasses import replace

import pytest

from gnnlib.datasets import DownloadError
from gnnlib.datasets.catalogue import CATALOGUE
from gnnlib.train.sources import SOURCES
from tests.cli.program import gnnlib, unreachable


def test_all_datasets_are_listed_with_their_facts(monkeypatch):
    entry = replace(CATALOGUE["pubmed"], cached=lambda: False, download_size=8_123_456)
    monkeypatch.setitem(CATALOGUE, "pubmed", entry)
    done = gnnlib("datasets")
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.stdout.splitlines()[::-1] if line.split()}
    assert lines["digits"].split()[1:] == ["1,797", "19,858", "64", "10", "yes"]
    assert lines["pubmed"].split()[-3:] == ["no,", "8.1", "MB"]
    for name in CATALOGUE:
        assert f"{name}: {CATALOGUE[name].task}" in done.stdout
        assert f"{CATALOGUE[name].num_edges:,}" in lines[name]  # not cut off


def test_json_has_one_object_for_each():
    done = gnnlib("datasets --json")
    assert done.stdout.count("\n") == 1
    facts = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert facts.keys() == CATALOGUE.keys()
    assert facts["cora"]["num_features"] == 1433
    assert facts["digits"]["cached"] is True
    assert all(entry["licence"] and entry["citation"] for entry in facts.values())


def test_download_opens_one(monkeypatch):
    opened = []
    entry = replace(CATALOGUE["cora"], open=lambda: opened.append("cora"))
    monkeypatch.setitem(CATALOGUE, "cora", entry)
    done = gnnlib("datasets --download cora")
    assert (done.exit_code, opened) == (0, ["cora"])
    assert done.stdout == "cora is here: `gnnlib train --dataset cora`\n"


def test_download_without_a_network_is_one_error_line(monkeypatch):
    entry = replace(CATALOGUE["cora"], open=unreachable(DownloadError).open)
    monkeypatch.setitem(CATALOGUE, "cora", entry)
    done = gnnlib("datasets --download cora")
    assert (done.exit_code, done.stderr) == (1, "error: ind.cora.x: no network\n")


def test_an_unknown_name_is_a_wrong_command_line():
    done = gnnlib("datasets --download coar")
    assert done.exit_code == 2
    assert "download must be one of 'cora', " in done.stderr


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_listed_can_be_trained_on(name):
    assert name in SOURCES
