import pytest
import torch

from gnnlib.models import GAT, GCN
from gnnlib.train import RECIPES, probe


def test_predictions_are_probabilities_of_the_model_without_dropout(graph):
    model = GCN(5, 4, 2, dropout=0.9).train()
    p = probe.predict(model, graph)
    assert torch.equal(p, probe.predict(model, graph))
    torch.testing.assert_close(p, model(graph.x, graph).softmax(1))
    assert not p.requires_grad


def test_hidden_features_are_what_the_last_layer_gets(graph):
    model = GCN(5, 4, 2, num_layers=3).eval()
    h = probe.hidden_features(model, graph)
    assert h.shape == (20, 4)
    torch.testing.assert_close(model.convs[-1](h, graph), model(graph.x, graph))
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_hidden_features_that_can_be_drawn(name, graph):
    h = probe.hidden_features(RECIPES[name].build(5, 2), graph)
    assert h.ndim == 2 and len(h) == 20 and h.isfinite().all()


@pytest.mark.parametrize("v2", [False, True])
def test_attention_weights_sum_to_one_at_each_node(graph, v2):
    model = GAT(5, 4, 2, heads=3, output_heads=2, v2=v2)
    for layer, heads in ((0, 3), (1, 2), (-1, 2)):
        edges, alpha = probe.attention_weights(model, graph, layer)
        assert edges.shape == (2, graph.num_edges + 20) and alpha.shape[1] == heads
        total = torch.zeros(20, heads).index_add(0, edges[1], alpha)
        torch.testing.assert_close(total, torch.ones(20, heads))


def test_a_model_without_attention_is_refused(graph):
    with pytest.raises(ValueError, match="layer 0 of GCN is a GCNConv"):
        probe.attention_weights(GCN(5, 4, 2), graph, 0)


def test_a_graph_without_x_is_refused(graph):
    with pytest.raises(ValueError, match="x must be there"):
        probe.predict(GCN(5, 4, 2), graph.replace(x=None))
