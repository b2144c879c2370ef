"""The properties that every model shares with every layer."""

import pytest
import torch

from gnnlib.models import APPNP, GAT, GCN, GIN, SGC, TAGCN, ChebNet, GraphSAGE
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
