"""WebPageRanking: PageRank as networkx computes it, doubled for pages on one topic."""

import networkx
import pytest
import torch

from gnnlib.datasets import WebPageRanking


def test_the_target_is_pagerank_and_twice_that_for_one_topic():
    graph = WebPageRanking(300, mean_degree=12)[0]
    assert int(torch.bincount(graph.edge_index[0], minlength=300).min()) > 0  # no dead ends
    web = networkx.DiGraph(graph.edge_index.T.tolist())
    web.add_nodes_from(range(300))
    ranks = networkx.pagerank(web, alpha=0.85, tol=1e-12)
    factor = 1 + (graph.x[:, 0] != graph.x[:, 1])
    expected = torch.tensor([300 * ranks[n] for n in range(300)]) * factor
    torch.testing.assert_close(graph.y, expected)
    assert factor.unique().tolist() == [1, 2]


def test_the_links_are_different_and_as_many_as_asked_for():
    graph = WebPageRanking(200, mean_degree=3.5)[0]
    assert graph.num_edges == 700
    assert len(graph.edge_index.unique(dim=1).T) == 700
    assert (graph.edge_index[0] != graph.edge_index[1]).all()
    assert graph.adj.eid is None  # the edges are in the order of the kernels


def test_a_web_without_links_ranks_all_pages_alike():
    graph = WebPageRanking(200, mean_degree=0.0)[0]
    torch.testing.assert_close(graph.y, 0.15 * (1 + (graph.x.sum(1) == 1)))


def test_50_pages_are_for_training_and_50_for_validation():
    graph = WebPageRanking()[0]
    masks = torch.stack([graph.train_mask, graph.val_mask, graph.test_mask])
    assert masks.sum(1).tolist() == [50, 50, 4900]
    assert (masks.sum(0) == 1).all()
    assert torch.equal(graph.y, WebPageRanking()[0].y)
    assert not torch.equal(graph.y, WebPageRanking(seed=1)[0].y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_nodes": 99}, r"num_train \+ num_val must be at most the 99 nodes, got 50 \+ 50"),
        ({"num_nodes": 101, "mean_degree": 51}, r"mean_degree must be in \[0, 50.0\], .* got 51"),
        ({"damping": 1.0}, r"damping must be in \[0, 1\), got 1.0"),
        ({"num_train": -1}, r"num_train must be 0 or more, got -1"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WebPageRanking(**arguments)
