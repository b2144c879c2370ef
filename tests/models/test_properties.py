"""The properties that every model shares with every layer."""

import pytest

from gnnlib.models import GAT, GCN, GIN, GraphSAGE
from tests.properties import CHECKS, Layer, name_of

MODELS = {
    "gcn": Layer(lambda: GCN(4, 5, 3), edges=("edge_weight",)),
    "sage": Layer(lambda: GraphSAGE(4, 5, 3)),
    "gin": Layer(lambda: GIN(4, 5, 3)),
    "gat": Layer(lambda: GAT(4, 5, 3, heads=2)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_a_model_passes_every_shared_check(check, name):
    check(MODELS[name])
