import pytest
import torch

from gnnlib import Graph


@pytest.fixture
def graph() -> Graph:
    """Two classes of ten nodes, a ring in each; x tells them apart, with noise."""
    nodes, y = torch.arange(20), torch.arange(20) // 10
    ring = torch.stack([nodes, (nodes + 1) % 10 + 10 * y])
    part = nodes % 10
    return Graph(
        torch.cat([ring, ring.flip(0)], dim=1),
        x=torch.nn.functional.one_hot(y, 5) + 0.5 * torch.rand(20, 5),
        y=y,
        train_mask=part < 3,
        val_mask=(part >= 3) & (part < 6),
        test_mask=part >= 6,
    )
