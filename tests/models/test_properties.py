"""The properties that every model shares with every layer."""

import warnings

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from gnnlib import Graph
from gnnlib.models import APPNP, GAT, GCN, GIN, SGC, TAGCN, ChebNet, GraphSAGE
from tests.graphs import random_edges
from tests.properties import (
    CHECKS,
    Layer,
    a_hub_under_autocast_stays_close_to_float32,
    name_of,
)

MODELS = {
    "gcn": Layer(lambda: GCN(4, 5, 3), edges=("edge_weight",)),
    "sage": Layer(lambda: GraphSAGE(4, 5, 3)),
    "gin": Layer(lambda: GIN(4, 5, 3)),
    "gat": Layer(lambda: GAT(4, 5, 3, heads=2)),
    "gat_v2_cat": Layer(lambda: GAT(4, 5, 3, heads=2, v2=True, jk="cat")),
    "gcn_lstm": Layer(lambda: GCN(4, 5, 3, jk="lstm"), edges=("edge_weight",)),
    "sage_max": Layer(lambda: GraphSAGE(4, 5, 3, jk="max")),
    "appnp": Layer(lambda: APPNP(4, 5, 3, K=3), edges=("edge_weight",)),
    "sgc": Layer(lambda: SGC(4, 3), edges=("edge_weight",)),
    "chebnet": Layer(lambda: ChebNet(4, 5, 3), edges=("edge_weight",)),
    "tagcn": Layer(lambda: TAGCN(4, 5, 3), edges=("edge_weight",)),
}


def _gin_of_one_sign() -> GIN:
    model = GIN(4, 5, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_a_model_passes_every_shared_check(check, name):
    layer = MODELS[name]
    if name == "gin" and check is a_hub_under_autocast_stays_close_to_float32:
        # GIN's networks read plain sums, and take differences of them: whatever the size of the
        # rounding, such a difference can be as small. With weights of one sign none is taken.
        layer = Layer(_gin_of_one_sign)
    check(layer)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_trains_compiles_to_one_graph_for_all_sizes(name):
    """The shared check is of evaluation; here dropout is traced."""
    warnings.filterwarnings("ignore", ".*should not be instantiated", DeprecationWarning)
    torch._dynamo.reset()
    model = MODELS[name].make().train()
    backend = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    compilations = []
    for num_nodes, num_edges in ((23, 57), (31, 97), (18, 12)):
        graph = Graph(random_edges(num_nodes, num_edges), x=torch.randn(num_nodes, 4))
        out = compiled(graph.x, graph)
        out.square().sum().backward()
        assert out.shape == (num_nodes, 3) and out.isfinite().all()
        compilations.append(backend.frame_count)
    assert compilations[0] == compilations[-1], "compiled again for another size"
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    torch._dynamo.reset()
