"""Maps with known fixed points, for the tests of the solvers."""

import torch
from torch import Tensor


class Affine:
    """z ↦ z Wᵀ + b on rows, with ‖W‖₂ = `norm`."""

    def __init__(self, rows=5, size=4, norm=0.9, dtype=torch.float64, seed=0, symmetric=False):
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(size, size, dtype=dtype, generator=generator)
        if symmetric:
            weight = weight + weight.T
        self.weight = norm * weight / torch.linalg.matrix_norm(weight, 2)
        self.bias = torch.randn(rows, size, dtype=dtype, generator=generator)
        self.start = torch.zeros(rows, size, dtype=dtype)

    def __call__(self, z: Tensor) -> Tensor:
        return z @ self.weight.T + self.bias

    @property
    def fixed_point(self) -> Tensor:
        eye = torch.eye(self.weight.shape[0], dtype=self.weight.dtype)
        return torch.linalg.solve(eye - self.weight, self.bias.T).T


def joined(maps: list[Affine]) -> tuple:
    """The maps as one batch: f, z0, the row pointers, and `narrow`."""
    counts = torch.tensor([map.start.shape[0] for map in maps])
    ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    def narrow(problems):
        chosen = [maps[b] for b in problems.tolist()]
        sizes = [map.start.shape[0] for map in chosen]
        return lambda z: torch.cat([m(part) for m, part in zip(chosen, z.split(sizes))])

    return narrow(torch.arange(len(maps))), torch.cat([m.start for m in maps]), ptr, narrow
