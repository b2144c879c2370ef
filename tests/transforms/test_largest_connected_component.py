"""LargestConnectedComponent, against networkx and PyG."""

import networkx
import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.transforms import LargestConnectedComponent
from tests.graphs import GRAPHS, assert_same_graph, make_graph
from tests.pyg import transforms

# Sizes 3 (a cycle), 2, 4 (a chain) and 1.
PARTS = Graph(
    [[0, 1, 2, 3, 5, 6, 7], [1, 2, 0, 4, 6, 7, 8]],
    x=torch.arange(10.0)[:, None],
    edge_attr=torch.arange(7),
    graph_y=torch.ones(1),
    num_nodes=10,
)


def kept(graph: Graph) -> list[int]:
    return graph.x.flatten().long().tolist()


@pytest.mark.parametrize("connection", ["weak", "strong"])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_nodes_are_those_of_networkx(name, connection):
    graph = make_graph(name).replace(position=torch.arange(GRAPHS[name][1]))
    find = f"{connection}ly_connected_components"
    components = [sorted(part) for part in getattr(networkx, find)(graph.to_networkx())]
    components.sort(key=lambda part: (-len(part), part))
    for number in (1, 2):
        nodes = sorted(node for part in components[:number] for node in part)
        found = LargestConnectedComponent(number, connection)(graph)
        assert found.position.tolist() == nodes
        assert_same_graph(found, graph.subgraph(nodes))


def test_tensors_are_cut_to_their_level():
    graph = LargestConnectedComponent()(PARTS)
    assert kept(graph) == [5, 6, 7, 8]
    assert graph.edge_attr.tolist() == [4, 5, 6]
    assert graph.edge_index.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert torch.equal(graph.graph_y, PARTS.graph_y)


def test_strong_components_follow_the_direction():
    assert kept(LargestConnectedComponent(connection="strong")(PARTS)) == [0, 1, 2]


def test_the_edges_are_those_of_pyg():
    theirs = transforms.LargestConnectedComponents(2)(PARTS.to_pyg())
    assert_same_graph(LargestConnectedComponent(2)(PARTS), Graph.from_pyg(theirs))


def test_of_equal_ones_the_first_is_kept():
    graph = Graph([[4, 1], [3, 2]], x=torch.arange(5.0)[:, None])
    assert kept(LargestConnectedComponent()(graph)) == [1, 2]


def test_a_connected_graph_is_itself():
    graph = make_graph("ring")
    assert LargestConnectedComponent()(graph) is graph
    assert LargestConnectedComponent(9)(PARTS) is PARTS


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="num_components must be 1 or more, got 0"):
        LargestConnectedComponent(0)
    with pytest.raises(TypeError, match="num_components must be an int, got float"):
        LargestConnectedComponent(1.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="connection must be one of 'weak', 'strong'; got 'week'"):
        LargestConnectedComponent(connection="week")
    with pytest.raises(ValueError, match="one graph at a time, got a batch of 2"):
        LargestConnectedComponent()(Batch.from_graphs([PARTS, PARTS]))


def test_repr_is_what_a_config_records():
    expected = "LargestConnectedComponent(num_components=2, connection='weak')"
    assert repr(LargestConnectedComponent(2)) == expected
