import pytest
import torch

from gnnlib import Graph
from gnnlib.conv import GATConv
from gnnlib.plot import attention


def test_each_neighbour_has_an_edge_and_its_weight():
    edges = torch.tensor([[0, 1, 2, 3, 0], [3, 3, 3, 3, 1]])
    alpha = torch.tensor([[0.5, 0.25], [0.125, 0.125], [0.25, 0.5], [0.25, 0.5], [1, 1]])
    star, heads, _ = attention(edges, alpha, node=3, y=torch.tensor([0, 1, -1, 0])).axes
    assert len(star.lines) == 3  # its loop is no line
    texts = [text.get_text() for text in star.texts]
    assert texts == ["0", "0.38", "2", "0.38", "1", "0.12", "3\n0.38"]
    widths = [line.get_linewidth() for line in star.lines]
    assert widths[0] == widths[1] > widths[2]
    assert [label.get_text() for label in heads.get_yticklabels()] == ["0", "2", "3 (itself)", "1"]
    weights = heads.images[0].get_array()
    assert weights is not None and weights.shape == (4, 2)


def test_what_a_layer_returns_can_be_drawn(tmp_path):
    graph = Graph([[0, 1, 2], [1, 2, 1]], x=torch.eye(3))
    _, (edges, alpha) = GATConv(3, 8, heads=4)(graph.x, graph, return_attention_weights=True)
    attention(edges, alpha, 1, path=tmp_path / "attention.png")
    assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")


def test_of_a_hub_the_strongest_edges_are_drawn():
    sources = torch.arange(1, 101)
    alpha = sources.float()[:, None] / sources.sum()
    star = attention(torch.stack([sources, torch.zeros_like(sources)]), alpha, 0).axes[0]
    assert len(star.lines) == 24
    assert star.get_title("left") == "Attention of 1 head, 24 of 100 edges into node 0"
    assert star.texts[0].get_text() == "100"


def test_a_node_without_edges_and_weights_of_other_edges_are_refused():
    edges = torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="got node 0"):
        attention(edges, torch.ones(1, 1), 0)
    with pytest.raises(ValueError, match=r"1 edges, got alpha of shape \(2, 1\)"):
        attention(edges, torch.ones(2, 1), 1)
