"""Polblogs: GML by small files, the facts by the real one."""

import networkx
import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import DatasetError, DownloadError, Polblogs
from gnnlib.datasets.polblogs import SOURCE, parse
from tests.datasets.manifest import check_source
from tests.datasets.test_damage import count_refused, cuts, flipped

SMALL = """Creator "someone"
graph [
  directed 1
  node [
    id 2
    label "b [&#38;] "
    value 1
    source "a,b"
  ]
  node [
    id 1
    value 0
  ]
  node [
    id 3
    value 1
  ]
  edge [
    source 1
    target 2
  ]
  edge [
    source 3
    target 3
  ]
  edge [
    source 2
    target 1
  ]
  edge [
    source 1
    target 2
  ]
]
"""


def read(text: str | bytes = SMALL, raw_edges: bool = False) -> Graph:
    data = text if isinstance(text, bytes) else text.encode()
    return parse({"f.gml": data}, raw_edges)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_nodes_count_from_1_and_edges_are_distinct_and_directed(end):
    graph = read(SMALL.replace("\n", end))
    assert graph.num_nodes == 3
    assert graph.y.tolist() == [0, 1, 1]
    assert graph.edge_index.tolist() == [[1, 0], [0, 1]]
    assert torch.equal(graph.x.to_dense(), torch.eye(3))


def test_raw_edges_are_the_list_as_published():
    assert read(raw_edges=True).edge_index.T.tolist() == [[0, 1], [2, 2], [1, 0], [0, 1]]


def changed(old: str, new: str, count: int = 1) -> str:
    assert old in SMALL
    return SMALL.replace(old, new, count)


WRONG = {
    "a page of HTML": ("<!DOCTYPE html>\n", r"line 1 must be '\]', or a key .*'<!DOCTYPE html>'"),
    "an empty file": ("", r"must hold one graph with directed 1, got \[\]"),
    "an undirected graph": (changed("directed 1", "directed 0"), r"directed 1, got \['0'\]"),
    "no direction": (changed("  directed 1\n", ""), r"directed 1, got \[None\]"),
    "two graphs": (SMALL + "graph [\ndirected 1\n]\n", "must hold one graph"),
    "no end": (SMALL.rstrip()[:-1], "f.gml ends within the block graph"),
    "an end too many": (SMALL + "]\n", "line 35 ends a block, and none has begun"),
    "a key without a value": (changed("id 2", "id"), "line 5 must be .*got '    id'"),
    "two keys in a line": (changed("id 2", "id 2 value 1"), "line 5 must be"),
    "a number with a point": (changed("value 1", "value 1.0"), "line 7 must be"),
    "a text that does not end": (changed(' "', ' "x"'), "line 1 must be"),
    "a key again": (changed("id 2", "id 2\nid 2"), "line 6 repeats the key id"),
    "a node at the top": ("node [\nid 1\n]\n", "line 1: no block node is read"),
    "a node in a node": (changed("id 2", "node ["), "line 5: no block graph.node.node is read"),
    "deep blocks": ("graph [\n" * 100_000, "line 2: no block graph.graph is read"),
    "a node without id": (changed("    id 2\n", ""), "node that ends in line 8 must have the numb"),
    "a node of text": (changed("id 2", 'id "2"'), "must have the numbers id and value"),
    "a negative node": (changed("id 2", "id -2"), "must have the numbers id and value"),
    "a node twice": (changed("id 3", "id 1"), "line 17: id must be new"),
    "a third class": (changed("value 1", "value 2"), "line 9: id must be new and value 0 or 1"),
    "no node 3": (changed("id 3", "id 4"), "must number its 3 nodes from 1 to 3"),
    "an edge from 0": (
        changed("source 1", "source 0"),
        r"edge that ends in line 21: source and target must be in \[1, 3\], got \[0, 2\]",
    ),
    "an edge to nowhere": (changed("target 3", "target 4"), r"line 25: .* got \[3, 4\]"),
    "an edge without end": (changed("    target 3\n", ""), "must have the numbers source and targ"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_such_graph_is_refused(text, message):
    with pytest.raises(DatasetError, match=message):
        read(text)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DatasetError, match="f.gml line 6 is no UTF-8"):
        read(SMALL.encode().replace(b"&", b"\xff"))


def test_damage_gives_an_error_or_a_valid_graph():
    data = SMALL.encode().rstrip()
    points = list(cuts(data, step=1))
    assert count_refused(read, points) == len(points)
    assert count_refused(read, flipped(data, 500)) > 250


def test_without_a_network_the_error_names_the_file(cache, monkeypatch):
    monkeypatch.setattr("gnnlib.datasets._download._download", lambda *_: "no connection")
    with pytest.raises(DownloadError, match=r"polblogs needs the file polblogs\.gml"):
        Polblogs()


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


def test_the_real_graph_has_the_facts_of_the_manifest(real):
    facts = check_source(real, SOURCE)
    dataset = Polblogs()
    [graph] = dataset
    assert graph.num_nodes == facts["nodes"] == dataset.num_features
    assert graph.num_edges == facts["distinct_directed"] - facts["self_loops"] == 19022
    assert not graph.is_undirected()
    assert not graph.has_self_loops()
    assert graph.to_undirected().num_edges == 2 * facts["undirected_edges_without_self_loops"]
    alone = (graph.adj.degree() == 0) & (graph.reverse().adj.degree() == 0)
    assert alone.sum() == facts["nodes_without_edges"]
    assert graph.y.bincount().tolist() == [facts["classes"]["0"], facts["classes"]["1"]]
    masks = graph.train_mask, graph.val_mask, graph.test_mask
    drawn = [graph.y[mask].bincount().tolist() for mask in masks]
    assert drawn == [[20, 20], [30, 30], [708, 682]]
    assert not torch.equal(Polblogs(seed=1)[0].train_mask, graph.train_mask)
    raw = Polblogs(raw_edges=True)[0]
    assert raw.num_edges == facts["edge_entries_listed"] == 19090
    assert raw.coalesce().num_edges == 19025


def test_the_real_graph_equals_what_networkx_reads(real):
    """networkx takes edges that are there again only in a multigraph."""
    text = (real / "social" / "polblogs" / "polblogs.gml").read_text()
    other = networkx.parse_gml(text.replace("directed 1", "directed 1\n  multigraph 1"), label="id")
    raw = Polblogs(raw_edges=True)[0]
    ours = sorted((i + 1, j + 1) for i, j in raw.edge_index.T.tolist())
    assert ours == sorted((i, j) for i, j, _ in other.edges(keys=True))
    assert raw.y.tolist() == [other.nodes[node]["value"] for node in range(1, 1491)]
