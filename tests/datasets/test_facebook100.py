"""Facebook100: variables that do not fit, and the facts of the real files."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import torch

from gnnlib import Graph
from gnnlib.datasets import DatasetError, DownloadError, Facebook100
from gnnlib.datasets.facebook100 import SOURCES, parse
from tests.datasets.manifest import check_source
from tests.datasets.test_damage import count_refused, cuts, flipped
from tests.datasets.test_mat import write

EDGES = sp.csc_matrix(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=float))
INFO = np.array(
    [[1, 2, 70, 0, 5, 2006, 9], [1, 0, 70, 3, 5, 2006, 9], [2, 1, 0, 0, 5, 2007, 9]],
    dtype=np.uint16,
)


def read(**changed) -> Graph:
    return parse({"f.mat": write({"A": EDGES, "local_info": INFO} | changed)})


def test_the_gender_is_the_label_and_missing_where_it_is_0():
    graph = read()
    assert graph.y.tolist() == [1, -1, 0]
    assert graph.y.dtype == torch.int64
    assert graph.edge_index.tolist() == [[1, 2, 0, 0], [0, 0, 1, 2]]


def test_the_other_columns_are_one_hot_column_by_column():
    expected = [
        # status, major 0 and 70, second major 0 and 3, dormitory, year, school
        [1, 0, 0, 1, 1, 0, 1, 1, 0, 1],
        [1, 0, 0, 1, 0, 1, 1, 1, 0, 1],
        [0, 1, 1, 0, 1, 0, 1, 0, 1, 1],
    ]
    assert read().x.to_dense().tolist() == expected


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"local_info": INFO.astype(np.float64) + 0.5}, "must be a dense matrix of integers"),
        ({"local_info": sp.csc_matrix(INFO)}, "must be a dense matrix of integers"),
        ({"local_info": INFO[:, :6]}, r"must be of shape \(3, 7\), got \(3, 6\)"),
        ({"local_info": INFO[:2]}, r"must be of shape \(3, 7\), got \(2, 7\)"),
        ({"local_info": INFO + 1}, "must hold 0, 1 or 2 in column 1"),
        ({"A": EDGES.toarray()}, "variable A must be sparse and square"),
        ({"A": EDGES * 2}, "variable A must hold ones"),
    ],
)
def test_variables_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(DatasetError, match=message):
        read(**changed)


def test_a_variable_that_is_missing_is_named():
    with pytest.raises(DatasetError, match=r"f\.mat lacks the variable local_info"):
        parse({"f.mat": write({"A": EDGES})})


@pytest.mark.parametrize("pack", [False, True])
def test_damage_gives_an_error_or_a_valid_graph(pack):
    data = write({"A": EDGES, "local_info": INFO}, pack)
    damaged = [*cuts(data, step=9), *flipped(data, 400)]
    assert count_refused(lambda changed: parse({"f.mat": changed}), damaged) > 150


@pytest.mark.parametrize("name", ["Reed", "", None])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(ValueError, match=r"name must be one of .*'amherst41'.*; got"):
        Facebook100(name)


def test_without_a_network_the_error_names_the_file(cache, monkeypatch):
    monkeypatch.setattr("gnnlib.datasets._download._download", lambda *_: "no connection")
    with pytest.raises(DownloadError, match=r"facebook100 needs the file Reed98\.mat"):
        Facebook100("Reed98")


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


@pytest.mark.parametrize(("name", "num_features"), [("Reed98", 745), ("Amherst41", 1193)])
def test_a_real_graph_has_the_facts_of_the_manifest(name, num_features, real):
    facts = check_source(real, SOURCES[name.lower()])
    dataset = Facebook100(name)
    [graph] = dataset
    assert dataset.name == name.lower()
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert graph.is_undirected()
    assert dataset.num_features == num_features  # as published with the paper of 2021
    assert (graph.x.row_sum() == facts["local_info_columns"] - 1).all()
    counts = facts["gender_column_counts_0_is_missing"]
    assert (graph.y + 1).bincount().tolist() == [counts[value] for value in "012"]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert torch.equal(masks.sum(dim=0) == 1, graph.y >= 0)
    drawn = [graph.y[mask].bincount().tolist() for mask in masks]
    assert drawn == [[20, 20], [30, 30], [counts["1"] - 50, counts["2"] - 50]]
    assert not torch.equal(Facebook100(name, seed=1)[0].train_mask, graph.train_mask)
    found = scipy.io.loadmat(real / "social" / "facebook100" / f"{name}.mat")
    assert (graph.to_scipy() != sp.csr_array(found["A"])).nnz == 0
    columns = torch.from_numpy(found["local_info"][:, [0, 2, 3, 4, 5, 6]].astype(np.int64))
    assert dataset.num_features == sum(len(column.unique()) for column in columns.T)
