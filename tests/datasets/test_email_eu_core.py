"""EmailEuCore: the format by small files, the facts by the real ones."""

import numpy as np
import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import DatasetError, DownloadError, EmailEuCore
from gnnlib.datasets.email_eu_core import SOURCE, parse
from tests.datasets.manifest import check_source
from tests.datasets.test_damage import count_refused, cuts, flipped

EDGES = b"0 1\r\n2 0\r\n2 2\r\n1 0\r\n"
LABELS = b"2 41\r\n0 7\r\n1 0\r\n3 7\r\n"


def read(edges: bytes = EDGES, labels: bytes = LABELS) -> Graph:
    return parse({"edges.txt": edges, "labels.txt": labels})


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_end_as_those_of_unix_or_windows(end):
    graph = read(EDGES.replace(b"\r\n", end), LABELS.replace(b"\r\n", end))
    assert graph.num_nodes == 4
    assert graph.y.tolist() == [7, 0, 41, 7]
    assert graph.edge_index.tolist() == [[1, 2, 0], [0, 0, 1]]


def test_raw_edges_are_the_list_as_published():
    graph = parse({"edges.txt": EDGES, "labels.txt": LABELS}, raw_edges=True)
    assert graph.edge_index.T.tolist() == [[0, 1], [2, 0], [2, 2], [1, 0]]


def test_the_features_are_the_identity():
    assert torch.equal(read().x.to_dense(), torch.eye(4))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"edges": EDGES + b"3 4\r\n"}, r"edges.txt line 5 must hold 2 .*\[0, 4\), got '3 4'"),
        ({"edges": EDGES + b"3\r\n"}, "edges.txt line 5 must hold 2 numbers"),
        ({"edges": b"<!DOCTYPE html>\n"}, "edges.txt line 1 must hold 2 .*got '<!DOCTYPE html>'"),
        ({"labels": b"0 1 2\n"}, "labels.txt line 1 must hold 2 numbers"),
        ({"labels": b"0 42\n"}, r"labels.txt line 1 must .* in \[0, 1\) and \[0, 42\), got '0 42'"),
        ({"labels": b"0 1\n2 1\n"}, "labels.txt line 2 must hold 2 numbers"),
        ({"labels": b"0 1\n1 1\n1 2\n"}, "labels.txt must name each node once, got 1 several"),
    ],
)
def test_files_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(DatasetError, match=message):
        read(**changed)


def test_damage_gives_an_error_or_a_valid_graph():
    for part, data in {"edges": EDGES, "labels": LABELS}.items():
        damaged = [*cuts(data, step=1), *flipped(data, 300)]
        assert count_refused(lambda changed, part=part: read(**{part: changed}), damaged) > 150


def test_without_a_network_the_error_names_the_file(cache, monkeypatch):
    monkeypatch.setattr("gnnlib.datasets._download._download", lambda *_: "no connection")
    with pytest.raises(DownloadError, match=r"email_eu_core needs the file email-Eu-core\.txt"):
        EmailEuCore()


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


def test_the_real_graph_has_the_facts_of_the_manifest(real):
    facts = check_source(real, SOURCE)
    dataset = EmailEuCore()
    [graph] = dataset
    assert graph.num_nodes == facts["nodes"] == dataset.num_features
    assert graph.num_edges == facts["distinct_directed"] - facts["self_loops"]
    assert not graph.is_undirected()
    assert not graph.has_self_loops()
    assert graph.to_undirected().num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert len(graph.y.unique()) == dataset.num_classes == facts["classes"]
    alone = (graph.adj.degree() == 0) & (graph.reverse().adj.degree() == 0)
    assert alone.sum() == facts["nodes_without_edges"]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(dim=1).tolist() == [603, 201, 201]
    assert (masks.sum(dim=0) == 1).all()
    assert not torch.equal(EmailEuCore(seed=1)[0].train_mask, graph.train_mask)
    assert EmailEuCore(train=0.1, val=0.9)[0].test_mask.sum() == 1005 - 100 - 904
    with pytest.raises(ValueError, match="train and val must be fractions with a sum of at most 1"):
        EmailEuCore(train=0.9)
    raw = EmailEuCore(raw_edges=True)[0]
    assert raw.num_edges == facts["edge_entries_listed"]
    assert (raw.edge_index[0] == raw.edge_index[1]).sum() == facts["self_loops"]


def test_the_real_graph_equals_what_numpy_reads(real):
    folder = real / "social" / "email_eu_core"
    edges = np.loadtxt(folder / "email-Eu-core.txt", dtype=np.int64)
    np.testing.assert_array_equal(EmailEuCore(raw_edges=True)[0].edge_index, edges.T)
    labels = np.loadtxt(folder / "email-Eu-core-department-labels.txt", dtype=np.int64)
    np.testing.assert_array_equal(EmailEuCore()[0].y[labels[:, 0]], labels[:, 1])
