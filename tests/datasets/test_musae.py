"""Facebook pages, Twitch and Deezer: the format by small files, the facts by the real ones."""

import csv
import io
import json
import zipfile
from functools import partial

import numpy as np
import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import (
    DatasetError,
    DeezerEurope,
    DownloadError,
    FacebookPages,
    Twitch,
    deezer_europe,
    facebook_pages,
    twitch,
)
from gnnlib.datasets._musae import Form, parse
from tests.datasets.manifest import check_source
from tests.datasets.test_damage import count_refused, cuts, flipped

FORM = Form("from,to", "id,name,kind,new_id", "new_id", "kind", ("dog", "cat"), num_features=9)
FILES = {
    "edges.csv": b"from,to\n2,0\n3,1\n0,1\n2,2\n",
    "lists.json": b'{"2": [8, 0, 8], "0": [], "3": [5], "1": [0]}',
    "labels.csv": b'id,name,kind,new_id\n70,"Rex, the first",dog,2\n71,b,cat,0\n'
    b"72,c,cat,3\n73,d,dog,1\n",
}


def read(raw_edges=False, changed: dict[str, bytes] | None = None) -> Graph:
    """The graph of FILES, of which `changed` has some by the names before the point."""
    other = changed or {}
    files = {name: other.get(name.split(".")[0], data) for name, data in FILES.items()}
    return parse(files, FORM, raw_edges)


def test_nodes_are_joined_by_their_numbers_whatever_the_order():
    graph = read()
    assert graph.num_nodes == 4
    assert graph.y.tolist() == [1, 0, 0, 1]
    assert graph.y.dtype == torch.int64
    expected = np.zeros((4, 9), dtype=np.float32)
    expected[[2, 2, 3, 1], [8, 0, 5, 0]] = 1
    np.testing.assert_array_equal(graph.x.to_dense(), expected)


def test_a_feature_that_a_list_repeats_counts_once():
    graph = read()
    assert graph.x.values.tolist() == [1.0] * 4


def test_edges_are_in_both_directions_without_loops():
    graph = read()
    assert graph.edge_index.tolist() == [[1, 2, 0, 3, 0, 1], [0, 0, 1, 1, 2, 3]]
    assert graph.adj.eid is None


def test_raw_edges_are_the_list_as_published():
    assert read(raw_edges=True).edge_index.T.tolist() == [[2, 0], [3, 1], [0, 1], [2, 2]]


def test_lines_may_end_as_those_of_windows():
    windows = {
        name.split(".")[0]: data.replace(b"\n", b"\r\n")
        for name, data in FILES.items()
        if name.endswith("csv")
    }
    assert torch.equal(read(changed=windows).edge_index, read().edge_index)
    assert torch.equal(read(changed=windows).y, read().y)


WRONG = {
    "another header of edges": ({"edges": b"to,from\n"}, "edges.csv line 1 must be 'from,to'"),
    "edges of HTML": ({"edges": b"<!DOCTYPE html>\n"}, "line 1 must be 'from,to', got '<!DOC"),
    "an edge of three": (
        {"edges": FILES["edges.csv"] + b"1,2,3\n"},
        "edges.csv line 6 must hold 2 numbers .* got '1,2,3'",
    ),
    "an edge to no node": (
        {"edges": FILES["edges.csv"] + b"1,4\n"},
        r"edges.csv line 6 must hold 2 numbers in \[0, 4\) and \[0, 4\), got '1,4'",
    ),
    "another header of labels": ({"labels": b"id,name\n"}, "labels.csv line 1 must be 'id,name,k"),
    "a label too few": (
        {"labels": FILES["labels.csv"] + b"74,e,dog\n"},
        "labels.csv line 6 must hold 4 cells",
    ),
    "a node twice": (
        {"labels": FILES["labels.csv"] + b"74,e,dog,1\n"},
        r"labels.csv line 6: new_id must be in \[0, 5\), each once, got '1'",
    ),
    "a node out of range": (
        {"labels": FILES["labels.csv"].replace(b"cat,3", b"cat,4")},
        r"labels.csv line 4: new_id must be in \[0, 4\), each once, got '4'",
    ),
    "an unknown label": (
        {"labels": FILES["labels.csv"].replace(b"b,cat", b"b,cow")},
        "labels.csv line 3: kind must be one of dog, cat, got 'cow'",
    ),
    "no JSON": ({"lists": b"<!DOCTYPE html>"}, "lists.json is no JSON: Expecting value"),
    "JSON that is deep": ({"lists": b"[" * 100_000}, "lists.json is no JSON"),
    "JSON that is no text": ({"lists": b'{"\xff": []}'}, "lists.json is no JSON"),
    "JSON of a huge number": ({"lists": b'{"0": [' + b"9" * 10_000 + b"]}"}, "lists.json"),
    "a list": ({"lists": b"[[0]]"}, "must hold a list of features for each node"),
    "no lists": ({"lists": b'{"0": 1}'}, "must hold a list of features for each node"),
    "too few lists": (
        {"lists": b'{"0": []}'},
        r"one list for each node in \[0, 4\), got 1 lists$",
    ),
    "no list at all": ({"lists": b"{}"}, "got 0 lists$"),
    "a list of no node": (
        {"lists": FILES["lists.json"].replace(b'"2"', b'"x"')},
        "got 4 lists, one of them for 'x'",
    ),
    "a feature too large": (
        {"lists": FILES["lists.json"].replace(b"5", b"9")},
        r"features in \[0, 9\), got '\[9\]' for node 3",
    ),
    "a feature below 0": ({"lists": FILES["lists.json"].replace(b"5", b"-1")}, "for node 3"),
    "a feature that is true": ({"lists": FILES["lists.json"].replace(b"5", b"true")}, "'.True.'"),
    "a feature of 0.5": ({"lists": FILES["lists.json"].replace(b"5", b"0.5")}, "for node 3"),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG.keys())
def test_files_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(DatasetError, match=message):
        read(changed=changed)


def test_no_nodes_are_a_graph_too():
    graph = read(
        changed={"edges": b"from,to\n", "lists": b"{}", "labels": b"id,name,kind,new_id\n"}
    )
    assert (graph.num_nodes, graph.num_edges, graph.x.shape) == (0, 0, (0, 9))


@pytest.mark.parametrize("file", FILES)
def test_damage_gives_an_error_or_a_valid_graph(file):
    data = FILES[file]
    part = file.split(".")[0]
    count = count_refused(
        lambda changed: read(changed={part: changed}), [*cuts(data, step=1), *flipped(data, 400)]
    )
    assert count > 200


ZIPPED: dict[str, bytes] = dict(zip(deezer_europe.MEMBERS, FILES.values(), strict=True))


def archive(members: dict[str, bytes]) -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return {"deezer.zip": buffer.getvalue()}


def test_the_members_of_the_zip_are_the_three_files(monkeypatch):
    monkeypatch.setattr(deezer_europe, "FORM", FORM)
    shuffled = {"README.txt": b"read me", **dict(reversed(ZIPPED.items()))}
    graph = deezer_europe.parse_archive(archive(shuffled))
    assert torch.equal(graph.edge_index, read().edge_index)
    raw = deezer_europe.parse_archive(archive(shuffled), raw_edges=True)
    assert raw.num_edges == 4
    bad = ZIPPED | {deezer_europe.MEMBERS[0]: b"from,to\n1,2,3\n"}
    with pytest.raises(DatasetError, match=r"deezer_europe_edges\.csv line 2 must hold 2 numbers"):
        deezer_europe.parse_archive(archive(bad))


@pytest.mark.parametrize("name", deezer_europe.MEMBERS)
def test_a_member_that_is_missing_is_named(name):
    rest = {member: data for member, data in ZIPPED.items() if member != name}
    with pytest.raises(DatasetError, match=rf"deezer\.zip lacks the member {name}"):
        deezer_europe.parse_archive(archive(rest))


def test_a_page_in_place_of_the_zip_is_refused():
    with pytest.raises(DatasetError, match=r"deezer\.zip is neither zip nor tar\.gz"):
        deezer_europe.parse_archive({"deezer.zip": b"<!DOCTYPE html>"})


def test_a_damaged_zip_is_refused_or_read(monkeypatch):
    monkeypatch.setattr(deezer_europe, "FORM", FORM)
    [(name, data)] = archive(ZIPPED).items()
    points = list(cuts(data, step=9))
    opened = partial(_open_archive, name)
    assert count_refused(opened, points) == len(points)
    assert count_refused(opened, flipped(data, 300)) > 100


def _open_archive(name: str, data: bytes) -> Graph:
    return deezer_europe.parse_archive({name: data})


@pytest.mark.parametrize("name", ["EN", "", None])
def test_an_unknown_language_lists_the_choices(name):
    with pytest.raises(ValueError, match=r"name must be one of .*'PTBR'.*; got"):
        Twitch(name)


def test_without_a_network_the_error_names_the_file(cache, monkeypatch):
    monkeypatch.setattr("gnnlib.datasets._download._download", lambda *_: "no connection")
    for make, message in {
        FacebookPages: "musae_facebook needs the file facebook_edges.csv",
        partial(Twitch, "ru"): "musae_twitch needs the file RU_edges.csv",
        DeezerEurope: "deezer_europe needs the file deezer_europe.zip",
    }.items():
        with pytest.raises(DownloadError, match=message):
            make()


# The real files.


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


REAL = {
    "facebook-pages": (FacebookPages, facebook_pages.SOURCE),
    "twitch-engb": (partial(Twitch, "engb"), twitch.SOURCES["ENGB"]),
    "twitch-ptbr": (partial(Twitch, "PTBR"), twitch.SOURCES["PTBR"]),
    "twitch-ru": (partial(Twitch, "RU"), twitch.SOURCES["RU"]),
    "deezer-europe": (DeezerEurope, deezer_europe.SOURCE),
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_graph_has_the_facts_of_the_manifest(name, real):
    make, source = REAL[name]
    facts = check_source(real, source)
    dataset = make()
    [graph] = dataset
    assert dataset.name == name
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert graph.is_undirected()
    assert not graph.has_self_loops()
    used = graph.x.structure.col.unique()
    assert used.max() == facts["max_feature_index"] < dataset.num_features
    assert len(used) == facts["distinct_features_used"]
    assert set(graph.x.values.tolist()) == {1.0}
    sizes = graph.y.bincount().tolist()
    classes = facts.get("classes") or facts["classes_mature"]
    assert sizes == [classes[text] for text in sorted(classes)]
    masks = graph.train_mask, graph.val_mask, graph.test_mask
    drawn = [graph.y[mask].bincount().tolist() for mask in masks]
    assert drawn == [[20] * len(sizes), [30] * len(sizes), [size - 50 for size in sizes]]
    if name != "deezer-europe":
        return
    assert (graph.x.row_sum() == 0).sum() == facts["nodes_with_empty_feature_list"] == 6159


def test_raw_edges_of_facebook_have_its_loops(real):
    raw = FacebookPages(raw_edges=True)[0]
    assert raw.num_edges == 171002
    assert (raw.edge_index[0] == raw.edge_index[1]).sum() == 179


def test_all_languages_of_twitch_have_the_same_columns(real):
    assert {Twitch(name).num_features for name in twitch.SOURCES} == {3170}


def test_the_labels_of_twitch_are_those_of_new_id(real):
    """By another way: row by row, with the csv module alone."""
    path = real / "social" / "musae_twitch" / "PTBR_target.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["new_id"] for row in rows] != sorted(row["new_id"] for row in rows)
    graph = Twitch("PTBR")[0]
    assert all(graph.y[int(row["new_id"])] == (row["mature"] == "True") for row in rows)
    lists = json.loads(path.with_name("PTBR.json").read_text())
    assert any(len(set(columns)) < len(columns) for columns in lists.values())
    assert graph.x.values.numel() == sum(len(set(columns)) for columns in lists.values())


def test_the_seed_draws_the_split_and_a_transform_sees_it(real):
    masks = [Twitch("PTBR", seed=seed)[0].train_mask for seed in (0, 0, 1)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    counts = []
    Twitch("PTBR", transform=lambda graph: counts.append(int(graph.test_mask.sum())) or graph)
    assert counts == [1812]
