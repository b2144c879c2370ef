"""Compose: one after the other, in order."""

import pytest

from gnnlib import Graph
from gnnlib.transforms import AddSelfLoops, Compose, NormalizeFeatures, ToUndirected
from tests.graphs import GRAPHS, assert_same_graph, make_graph


@pytest.mark.parametrize("name", GRAPHS)
def test_transforms_are_applied_in_order(name):
    graph = make_graph(name)
    steps = [ToUndirected("mean"), AddSelfLoops(), NormalizeFeatures()]
    expected = graph
    for step in steps:
        expected = step(expected)
    assert_same_graph(Compose(steps)(graph), expected)
    assert_same_graph(Compose(step for step in steps)(graph), expected)


def test_without_transforms_the_graph_is_itself():
    graph = make_graph("ring")
    assert Compose([])(graph) is graph


def test_compositions_nest_and_take_any_function():
    def double(graph: Graph) -> Graph:
        return graph.replace(x=2 * graph.x)

    graph = make_graph("ring")
    nested = Compose([double, Compose([double, double])])
    assert (nested(graph).x == 8 * graph.x).all()


def test_repr_says_every_step():
    assert repr(Compose([NormalizeFeatures(), ToUndirected("max")])) == (
        "Compose([NormalizeFeatures(), ToUndirected(reduce='max')])"
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([NormalizeFeatures(), 3], "number 1 is 3"),
        ([ToUndirected], r"number 0 is .*: write ToUndirected\(…\)"),
    ],
)
def test_what_is_no_transform_is_refused(wrong, message):
    with pytest.raises(TypeError, match=message):
        Compose(wrong)
