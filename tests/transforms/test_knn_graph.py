"""KNNGraph, against distances computed one by one."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from gnnlib import Batch, Graph
from gnnlib.features import SparseFeatures
from gnnlib.transforms import KNNGraph
from tests.graphs import make_graph

POINTS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EMPTY = torch.empty(2, 0, dtype=torch.long)


def nearest(points: torch.Tensor, k: int, loop: bool, metric: Any) -> np.ndarray:
    distances = cdist(points, points, metric)
    np.fill_diagonal(distances, -1 if loop else np.inf)
    return np.argsort(distances, axis=1)[:, :k]


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("k", [1, 2, 6, 39])
def test_each_node_has_its_k_nearest(k, loop, cosine):
    graph = KNNGraph(k, loop=loop, cosine=cosine)(Graph(EMPTY, pos=POINTS))
    sources, destinations = graph.edge_index.reshape(2, 40, k)
    assert torch.equal(destinations, torch.arange(40)[:, None].expand(40, k))
    expected = nearest(POINTS, k, loop, "cosine" if cosine else "euclidean")
    np.testing.assert_array_equal(sources, expected)
    assert graph.adj.eid is None
    assert graph.has_self_loops() == loop


@pytest.mark.parametrize("loop", [False, True])
def test_points_in_one_place_choose_others_or_themselves(loop):
    graph = KNNGraph(3, loop=loop)(Graph(EMPTY, pos=torch.zeros(7, 2)))
    assert graph.adj.degree().tolist() == [3] * 7
    assert not graph.has_repeated_edges()
    loops = int((graph.edge_index[0] == graph.edge_index[1]).sum())
    assert loops == (7 if loop else 0)


def test_both_directions_are_there_when_forced():
    one_way = KNNGraph(3)(Graph(EMPTY, pos=POINTS))
    both = KNNGraph(3, force_undirected=True)(Graph(EMPTY, pos=POINTS))
    assert not one_way.is_undirected()
    assert both.is_undirected()
    dense = one_way.to_dense()
    assert torch.equal(both.to_dense(), torch.maximum(dense, dense.T))


def test_positions_come_before_features_and_sparse_features_do():
    by_x = KNNGraph(4)(Graph(EMPTY, x=POINTS.abs()))
    sparse = KNNGraph(4)(Graph(EMPTY, x=SparseFeatures.from_dense(POINTS.abs())))
    assert torch.equal(by_x.edge_index, sparse.edge_index)
    both = KNNGraph(4)(Graph(EMPTY, x=POINTS.abs(), pos=POINTS))
    assert torch.equal(both.edge_index, KNNGraph(4)(Graph(EMPTY, pos=POINTS)).edge_index)
    assert not torch.equal(both.edge_index, by_x.edge_index)


def test_edge_tensors_go_with_their_edges_and_the_others_stay():
    graph = make_graph("power_law")
    joined = KNNGraph(2)(graph)
    assert set(joined.keys()) == {"x", "y", "train_mask", "graph_y"}
    assert all(joined[name] is graph[name] for name in joined.keys())  # noqa: SIM118
    assert joined.num_edges == 2 * graph.num_nodes


@pytest.mark.parametrize(
    ("transform", "graph", "message"),
    [
        (KNNGraph(40), Graph(EMPTY, pos=POINTS), "k must be at most 39: .* got k=40"),
        (KNNGraph(41, loop=True), Graph(EMPTY, pos=POINTS), "k must be at most 40"),
        (KNNGraph(1), Graph(EMPTY), "needs graph.pos or graph.x"),
        (KNNGraph(1), Graph(EMPTY, x=torch.full((3, 1), torch.nan)), "x must be finite"),
        (KNNGraph(1), Batch.from_graphs([make_graph("ring")] * 2), "got a batch of 2"),
    ],
)
def test_what_has_no_neighbours_is_refused(transform, graph, message):
    with pytest.raises(ValueError, match=message):
        transform(graph)


def test_k_must_be_a_positive_number():
    with pytest.raises(ValueError, match="k must be 1 or more, got 0"):
        KNNGraph(0)
    with pytest.raises(TypeError, match="k must be an int, got float"):
        KNNGraph(2.0)  # pyright: ignore[reportArgumentType]


def test_repr_is_what_a_config_records():
    assert repr(KNNGraph(3)) == "KNNGraph(k=3, loop=False, force_undirected=False, cosine=False)"
