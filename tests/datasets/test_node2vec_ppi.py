"""The PPI of node2vec: the format by files that the tests write, its facts by the real ones."""

import pytest
import torch

from gnnlib import Graph
from gnnlib.datasets import DatasetError, Node2VecPPI
from gnnlib.datasets.node2vec_ppi import SOURCE, parse
from tests.datasets.manifest import check_source
from tests.datasets.test_damage import FLIPS, count_refused, flipped

EDGES = b"0\t1\n2\t0\n3\t3\n1\t0\n"  # 3 has itself alone; 0 and 1 are listed twice
LABELS = b"0\t2\n3\n0\n"


def read(edges: bytes = EDGES, labels: bytes = LABELS, self_loops: bool = False) -> Graph:
    return parse({"PPI.ungraph": edges, "PPI.cmty": labels}, self_loops)


def test_a_pair_is_an_edge_in_both_directions_and_a_line_is_a_label():
    graph = read()
    assert graph.num_nodes == 4
    assert graph.edge_index.T.tolist() == [[1, 0], [2, 0], [0, 1], [0, 2]]
    assert graph.y.dtype == torch.float32
    assert graph.y.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert graph.adj.eid is None
    assert torch.equal(graph.x.to_dense(), torch.eye(4))


def test_self_loops_may_be_kept():
    assert read(self_loops=True).edge_index.T.tolist()[-1] == [3, 3]


@pytest.mark.parametrize(
    ("edges", "labels", "message"),
    [
        (b"0\t1\n2 0\n", LABELS, "PPI.ungraph line 2 must hold 2 integers"),
        (b"0\t1\n2\t-1\n", LABELS, "must list the nodes 0, 1, … without a gap"),
        (b"0\t1\n3\t0\n", LABELS, "must list the nodes 0, 1, … without a gap"),
        (b"1\t2\n", LABELS, "must list the nodes 0, 1, … without a gap"),
        (b"", LABELS, "must list the nodes 0, 1, … without a gap"),
        (EDGES, b"0\n4\n", r"PPI.cmty line 2 must list nodes in \[0, 4\), got 4"),
        (EDGES, b"0\n\n1\n", "PPI.cmty line 2 must list nodes, got ''"),
        (EDGES, b"0\n-1\n", "PPI.cmty line 2 must list nodes, got '-1'"),
        (EDGES, b"0\n0.5\n", "PPI.cmty line 2 must list nodes, got '0.5'"),
        (EDGES, b"", "PPI.cmty line 1 must list nodes, got ''"),
    ],
)
def test_a_line_that_is_not_in_the_format_is_named(edges, labels, message):
    with pytest.raises(DatasetError, match=message):
        read(edges, labels)


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bits_and_cut_files(flips):
    def with_labels(data: bytes) -> Graph:
        return read(labels=data)

    assert 0.5 * flips < count_refused(read, flipped(EDGES, flips)) < flips
    assert 0.5 * flips < count_refused(with_labels, flipped(LABELS, flips)) < flips
    assert count_refused(read, (EDGES[:end] for end in range(len(EDGES)))) > 10


def test_the_facts_of_the_real_files(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    facts = check_source(mirror, SOURCE)
    dataset = Node2VecPPI()
    graph = dataset[0]
    assert graph.num_nodes == facts["nodes"]
    assert graph.num_edges == 2 * facts["undirected_edges_without_self_loops"]
    assert graph.is_undirected() and not graph.has_repeated_edges()
    assert int((graph.adj.degree() == 0).sum()) == facts["nodes_without_edges"]
    assert graph.y.shape == (facts["nodes"], facts["labels"])
    assert (graph.y.sum(1) >= 1).all() and (graph.y.sum(0) >= 1).all()
    assert (dataset.num_features, dataset.num_classes) == (facts["nodes"], facts["labels"])
    looped = Node2VecPPI(self_loops=True)[0]
    assert looped.num_edges == graph.num_edges + facts["self_loops"]
    assert (looped.adj.degree() > 0).all()


def test_the_seed_draws_the_split(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    graph, other = Node2VecPPI()[0], Node2VecPPI(train=0.1, val=0.0, seed=3)[0]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(1).tolist() == [1945, 389, 1556]
    assert (masks.sum(0) == 1).all()
    assert int(other.train_mask.sum()) == 389 and not other.val_mask.any()
    assert torch.equal(Node2VecPPI(seed=3)[0].train_mask, Node2VecPPI(seed=3)[0].train_mask)
    assert not torch.equal(Node2VecPPI(seed=3)[0].train_mask, graph.train_mask)
    with pytest.raises(ValueError, match="train and val must be fractions"):
        Node2VecPPI(train=0.9, val=0.2)
