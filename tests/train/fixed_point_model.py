"""A small model around a fixed point, with all that the Trainer looks for."""

import torch
from torch import Tensor, nn

from gnnlib import Graph
from gnnlib.fixed_point import Picard, Report, Stop, solve


class Equilibrium(nn.Module):
    """Z = κ mean of the neighbours' Z, with W between them, plus a Linear of x."""

    def __init__(self, in_channels: int, out_channels: int, kappa: float, **solving):
        super().__init__()
        self.lin = nn.Linear(in_channels, out_channels)
        self.weight = nn.Parameter(kappa * torch.eye(out_channels))
        self.stop = Stop(tol=1e-6, max_iter=solving.pop("max_iter", 200))
        self.solving = solving
        self.last_report: Report | None = None

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        degree = graph.adj.degree().clamp(min=1).unsqueeze(1)
        source, destination = graph.edge_index
        forcing = self.lin(x)

        def step(z: Tensor) -> Tensor:
            mean = torch.zeros_like(z).index_add(0, destination, z[source]) / degree
            return mean @ self.weight.T + forcing

        start = torch.zeros_like(forcing)
        z, self.last_report = solve(step, start, solver=Picard(), stop=self.stop, **self.solving)
        return z


class FixedPointModel(nn.Module):
    """A layer to the class scores, and then a fixed point of them."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kappa: float = 0.5,
        dropout: float = 0.0,
        **solving,
    ):
        super().__init__()
        self.convs = nn.ModuleList([nn.Linear(in_channels, 8)])
        self.dropout = nn.Dropout(dropout)
        self.equilibrium = Equilibrium(8, out_channels, kappa, **solving)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        x = x if isinstance(x, Tensor) else x.to_dense()
        return self.equilibrium(self.dropout(self.convs[0](x)).relu(), graph)

    def transition_parameters(self) -> list[nn.Parameter]:
        return [self.equilibrium.weight]
