"""What all norms share: the properties of tests.graphwise, and PyG's numbers."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from gnnlib.norm import BatchNorm, GraphNorm, LayerNorm
from tests import pyg
from tests.graphs import make_graph
from tests.graphwise import CHECKS, Part, batch_of, name_of


class Pair(NamedTuple):
    mine: type[nn.Module]
    theirs: type[nn.Module]
    options: dict

    def make(self) -> nn.Module:
        return self.mine(4, **self.options)


NORMS = {
    "batch": Pair(BatchNorm, pyg.nn.BatchNorm, {}),
    "batch_without_parameters": Pair(BatchNorm, pyg.nn.BatchNorm, {"affine": False}),
    "graph": Pair(GraphNorm, pyg.nn.GraphNorm, {}),
    "graph_eps": Pair(GraphNorm, pyg.nn.GraphNorm, {"eps": 0.1}),
    "layer_graph": Pair(LayerNorm, pyg.nn.LayerNorm, {"mode": "graph"}),
    "layer_node": Pair(LayerNorm, pyg.nn.LayerNorm, {"mode": "node"}),
    "layer_without_parameters": Pair(LayerNorm, pyg.nn.LayerNorm, {"affine": False}),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(Part(NORMS[name].make, per_node=True))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_it_equals_pyg(name, training):
    mine, theirs = (
        NORMS[name].make().double(),
        NORMS[name].theirs(4, **NORMS[name].options).double(),
    )
    with torch.no_grad():
        for tensor in (*theirs.parameters(), *theirs.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5)
    mine.load_state_dict(theirs.state_dict())
    mine.train(training)
    theirs.train(training)
    batch = batch_of((3, 1, 8, 5))  # PyG has no graphs without nodes here
    x, other = (batch.x.clone().requires_grad_() for _ in range(2))
    out = mine(x, batch)
    expected = theirs(other) if "batch" in name else theirs(other, batch.batch)
    _close(out, expected)
    weights = torch.randn_like(out)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    _close(x.grad, other.grad)
    for parameter, wanted in zip(mine.parameters(), theirs.parameters(), strict=True):
        _close(parameter.grad, wanted.grad)
    for buffer, wanted in zip(mine.buffers(), theirs.buffers(), strict=True):
        _close(buffer, wanted)


def _close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NORMS)
def test_its_parameters_are_reset(name):
    norm = NORMS[name].make()
    first = {key: value.clone() for key, value in norm.state_dict().items()}
    batch = batch_of(dtype=torch.float32)
    norm(batch.x, batch)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(1.0)
    norm.reset_parameters()  # pyright: ignore[reportCallIssue]
    assert all(torch.equal(value, first[key]) for key, value in norm.state_dict().items())


@pytest.mark.parametrize("name", NORMS)
def test_what_does_not_fit_is_named(name):
    norm = NORMS[name].make()
    graph = make_graph("chain")
    with pytest.raises(TypeError, match="graph must be a Graph or a Batch, got Adjacency"):
        norm(graph.x, graph.adj)
    with pytest.raises(TypeError, match="x must be a dense floating tensor, got torch.int64"):
        norm(graph.y, graph)
    with pytest.raises(ValueError, match="one row per node: graph has num_nodes=17"):
        norm(graph.x[1:], graph)
    for x in (torch.ones(17, 3), torch.ones(17), torch.ones(17, 4, 1)):
        with pytest.raises(ValueError, match="with in_channels=4, got"):
            norm(x, graph)


def test_an_unknown_mode_lists_the_choices():
    with pytest.raises(ValueError, match="mode must be one of 'node', 'graph'; got 'nodes'"):
        LayerNorm(4, mode="nodes")  # pyright: ignore[reportArgumentType]
