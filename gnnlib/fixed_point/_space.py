"""Rows of numbers that belong to independent problems, and their norms."""

import torch
from torch import Tensor

from .. import ops


class Space:
    """States [N, D] of B problems: problem b has the rows ptr[b] to ptr[b + 1].

    Results have one entry per problem. One problem alone (`ptr` None) takes the short way: whole
    tensors, no sums over segments.
    """

    def __init__(self, ptr: Tensor | None, num_rows: int):
        self.ptr = ptr
        self.num_rows = num_rows
        self.num_problems = 1 if ptr is None else ptr.shape[0] - 1
        self._problem: Tensor | None = None  # of each row

    def norm(self, x: Tensor, kind: str = "frobenius") -> Tensor:
        """The norms of the problems' parts of x, [B]."""
        # Rows first, then float64: the square of a small float32 is 0.
        rows = torch.linalg.vector_norm(x, dim=1).double()
        if kind == "node":
            return self.max(rows)
        if self.ptr is None:
            return torch.linalg.vector_norm(rows).reshape(1)
        return self._reduce(rows.square(), "sum").sqrt()

    def max(self, row: Tensor) -> Tensor:
        """The largest of one number per row [N] in each problem; 0 where it has no rows."""
        if self.ptr is None:
            return row.amax().reshape(1) if row.numel() else row.new_zeros(1)
        return self._reduce(row, "max")

    def dots(self, vectors: Tensor, x: Tensor) -> Tensor:
        """<vectors[k], x> for each problem, [B, K] with vectors [K, N, D]."""
        if self.ptr is None:
            return (vectors.flatten(1) @ x.flatten()).unsqueeze(0)
        products = (vectors * x).sum(2)  # [K, N]
        return ops.segment_reduce(self.ptr, products.t().contiguous())

    def combine(self, coefficients: Tensor, vectors: Tensor) -> Tensor:
        """Σ_k coefficients[b, k] · vectors[k], [N, D]."""
        if self.ptr is None:
            return (coefficients[0] @ vectors.flatten(1)).view(vectors.shape[1:])
        rows = self.spread(coefficients)  # [N, K]
        return torch.einsum("nk,knd->nd", rows, vectors)

    def subtract(self, x: Tensor, coefficients: Tensor, vectors: Tensor, out: Tensor) -> None:
        """x − Σ_k coefficients[b, k] · vectors[k] into `out`, all [N, D]; x stays as it is."""
        if self.ptr is None and out.numel():
            flat = vectors.flatten(1).t()
            torch.addmv(x.flatten(), flat, coefficients[0], alpha=-1, out=out.view(-1))
        else:
            torch.sub(x, self.combine(coefficients, vectors), out=out)

    def spread(self, values: Tensor) -> Tensor:
        """The problem's values [B, …] at each of its rows, [N, …]; one problem: broadcastable."""
        if self.ptr is None:
            return values
        if self._problem is None:
            count = self.ptr.diff()
            self._problem = torch.repeat_interleave(count, output_size=self.num_rows)
        return values[self._problem]

    def keep(self, problems: Tensor) -> tuple["Space", Tensor]:
        """The space of some of the problems (ids in ascending order), and its rows here."""
        assert self.ptr is not None
        chosen = torch.zeros(self.num_problems, dtype=torch.bool, device=self.ptr.device)
        chosen[problems] = True
        rows = self.spread(chosen).nonzero().squeeze(1)
        counts = self.ptr.diff()[problems]
        ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).to(self.ptr.dtype)
        return Space(ptr, rows.shape[0]), rows

    def _reduce(self, row: Tensor, reduce: str) -> Tensor:
        assert self.ptr is not None
        return ops.segment_reduce(self.ptr, row.unsqueeze(1), reduce=reduce).squeeze(1)
