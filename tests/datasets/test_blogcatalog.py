"""BlogCatalog and BlogCatalog3: variables that do not fit, and the facts of the real files."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import torch

from gnnlib import Graph
from gnnlib.datasets import BlogCatalog, BlogCatalog3, DatasetError, DownloadError
from gnnlib.datasets import blogcatalog as one
from gnnlib.datasets import blogcatalog3 as several
from tests.datasets.manifest import check_source
from tests.datasets.test_damage import count_refused, cuts, flipped
from tests.datasets.test_mat import write

EDGES = sp.csc_matrix(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=float))
ONE = {
    "Network": EDGES,
    "Attributes": sp.csc_matrix(np.array([[0, 3, 0, 0], [0, 0, 0, 0], [1, 0, 2, 0]], dtype=float)),
    "Label": np.array([[6], [1], [3]], dtype=np.uint8),
}
GROUPS = sp.csc_matrix(([1.0, 1.0, 1.0, 1.0], ([0, 0, 1, 2], [0, 38, 5, 5])), shape=(3, 39))
SEVERAL = {"network": EDGES, "group": GROUPS}


def read_one(**changed) -> Graph:
    return one.parse({"f.mat": write(ONE | changed)})


def read_several(**changed) -> Graph:
    return several.parse({"f.mat": write(SEVERAL | changed)})


def test_attributes_are_features_and_labels_count_from_1():
    graph = read_one()
    assert graph.edge_index.tolist() == [[1, 2, 0, 0], [0, 0, 1, 2]]
    assert graph.x.dtype == torch.float32
    np.testing.assert_array_equal(graph.x.to_dense(), ONE["Attributes"].toarray())
    assert graph.y.tolist() == [5, 0, 2]
    assert graph.y.dtype == torch.int64


def test_groups_are_labels_of_many_and_the_features_are_the_identity():
    graph = read_several()
    assert graph.y.dtype == torch.float32
    np.testing.assert_array_equal(graph.y, GROUPS.toarray())
    assert torch.equal(graph.x.to_dense(), torch.eye(3))
    assert torch.equal(graph.edge_index, read_one().edge_index)


HUGE = sp.csc_matrix(np.array([[1e300], [0], [0]]))
WRONG_ONE = {
    "features that are dense": ({"Attributes": np.ones((3, 4))}, "Attributes must be sparse"),
    "features of four nodes": ({"Attributes": sp.csc_matrix((4, 4))}, r"have 3 rows.*\(4, 4\)"),
    "a feature beyond float32": ({"Attributes": HUGE}, "finite float32"),
    "a feature that is no number": ({"Attributes": HUGE * np.nan}, "finite float32"),
    "a row of labels": ({"Label": ONE["Label"].T}, r"column of 3 numbers, .*\(1, 3\)"),
    "labels that are sparse": ({"Label": sp.csc_matrix(ONE["Label"])}, "column of 3 numbers"),
    "a label of 0": ({"Label": ONE["Label"] - 1}, "classes 1 to 6"),
    "a label of 7": ({"Label": ONE["Label"] + 1}, "classes 1 to 6"),
    "a label between": ({"Label": ONE["Label"] - 0.5}, "classes 1 to 6"),
}


@pytest.mark.parametrize(("changed", "message"), WRONG_ONE.values(), ids=WRONG_ONE.keys())
def test_variables_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(DatasetError, match=rf"f\.mat, variable \w+ must .*{message}|{message}"):
        read_one(**changed)


@pytest.mark.parametrize(
    "group",
    [GROUPS.toarray(), GROUPS * 2, GROUPS[:, :38], sp.csc_matrix((4, 39))],
    ids=["dense", "twos", "38 groups", "4 nodes"],
)
def test_groups_that_do_not_fit_are_refused(group):
    with pytest.raises(DatasetError, match=r"f\.mat, variable group must"):
        read_several(group=group)


def test_a_variable_that_is_missing_is_named():
    with pytest.raises(DatasetError, match=r"f\.mat lacks the variable Label"):
        one.parse({"f.mat": write({name: ONE[name] for name in ("Network", "Attributes")})})
    with pytest.raises(DatasetError, match=r"f\.mat lacks the variable network"):
        several.parse({"f.mat": write(ONE)})


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(("parse", "variables"), [(one.parse, ONE), (several.parse, SEVERAL)])
def test_damage_gives_an_error_or_a_valid_graph(parse, variables, pack):
    data = write(variables, pack)
    damaged = [*cuts(data, step=9), *flipped(data, 400)]
    assert count_refused(lambda changed: parse({"f.mat": changed}), damaged) > 150


def test_without_a_network_the_error_names_the_file(cache, monkeypatch):
    monkeypatch.setattr("gnnlib.datasets._download._download", lambda *_: "no connection")
    with pytest.raises(DownloadError, match=r"needs the file BlogCatalog\.mat"):
        BlogCatalog()
    with pytest.raises(DownloadError, match=r"needs the file blogcatalog\.mat"):
        BlogCatalog3()


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


def test_blogcatalog_has_the_facts_of_the_manifest(real):
    facts = check_source(real, one.SOURCE)
    dataset = BlogCatalog()
    [graph] = dataset
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert graph.num_edges == facts["edge_entries_listed"]
    assert graph.is_undirected()
    assert (dataset.num_features, dataset.num_classes) == (facts["features"], facts["classes"])
    assert graph.x.values.numel() == facts["feature_nonzeros"]
    sizes = graph.y.bincount()
    masks = graph.train_mask, graph.val_mask, graph.test_mask
    drawn = [graph.y[mask].bincount().tolist() for mask in masks]
    assert drawn == [[20] * 6, [30] * 6, (sizes - 50).tolist()]
    assert not torch.equal(BlogCatalog(seed=1)[0].train_mask, graph.train_mask)


def test_blogcatalog_equals_what_scipy_reads(real):
    path = real / "social" / "blogcatalog_attributed" / "BlogCatalog.mat"
    found = scipy.io.loadmat(path)
    graph = BlogCatalog()[0]
    np.testing.assert_array_equal(graph.y + 1, found["Label"][:, 0])
    ptr, col = graph.x.structure.ptr, graph.x.structure.col
    x = sp.csr_array((graph.x.values.numpy(), col.numpy(), ptr.numpy()), shape=graph.x.shape)
    assert (x - sp.csr_array(found["Attributes"])).count_nonzero() == 0
    assert (graph.to_scipy() != sp.csr_array(found["Network"])).nnz == 0


def test_blogcatalog3_has_the_facts_of_the_manifest(real):
    facts = check_source(real, several.SOURCE)
    dataset = BlogCatalog3()
    [graph] = dataset
    assert graph.num_nodes == facts["nodes"] == dataset.num_features
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert graph.is_undirected()
    assert graph.y.shape == (facts["nodes"], facts["groups"])
    assert dataset.num_classes == facts["groups"]
    assert graph.y.sum() == facts["memberships"]
    assert graph.y.sum(dim=1).min() == 1
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(dim=1).tolist() == [5156, 1031, 4125]
    assert (masks.sum(dim=0) == 1).all()
    found = scipy.io.loadmat(real / "social" / "blogcatalog3_multilabel" / "blogcatalog.mat")
    np.testing.assert_array_equal(graph.y, found["group"].toarray())
    assert (graph.to_scipy() != sp.csr_array(found["network"])).nnz == 0
