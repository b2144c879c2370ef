"""GMRES for u = v + Ju: the linear systems of implicit gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from ._space import Space
from .report import BackwardReport

Map = Callable[[Tensor], Tensor]


@torch.no_grad()
def gmres(
    product: Map, v: Tensor, space: Space, tol: float, max_iter: int, restart: int
) -> tuple[Tensor, BackwardReport]:
    """Solve u = v + Ju for each problem by the least residual in its Krylov space (GMRES).

    A problem that has arrived is frozen, so its answer does not depend on the others.

    Args:
        product: u ↦ Ju, linear, [N, D].
        v: right side, [N, D].
        space: the problems.
        tol: ‖v + Ju − u‖ / ‖v + Ju‖ that each has to reach.
        max_iter: the most products.
        restart: directions that are kept; their memory is `restart` times that of v.

    Returns:
        v + Ju, and how the solve went.

    Paper: Y. Saad and M. H. Schultz, "GMRES: A Generalized Minimal Residual Algorithm for Solving
    Nonsymmetric Linear Systems", SIAM J. Sci. Stat. Comput. 7(3), 1986.
    """
    # The squares of small float32 are 0: each problem in a unit of its own, a power of 2.
    largest = space.max(v.abs().amax(1) if v.shape[1] else v.new_zeros(v.shape[0]))
    unit = torch.exp2(torch.frexp(largest.float()).exponent.to(v.dtype) - 1)
    unit = space.spread(unit).unsqueeze(1)
    v = v / unit
    count = space.num_problems
    report = BackwardReport(
        "gmres",
        iterations=torch.zeros(count, dtype=torch.int64),
        residual=torch.full((count,), torch.inf, dtype=torch.float64),
        converged=torch.zeros(count, dtype=torch.bool),
    )
    u, products = torch.zeros_like(v), 0
    gap, out = v, v  # v + Ju − u and v + Ju, at u = 0
    while True:
        size = space.norm(gap).double()
        scale = space.norm(out).double()
        residual = torch.where(size == 0, 0.0, size / scale).cpu()
        open_ = ~report.converged
        report.residual[open_] = residual[open_]
        report.iterations[open_] = products
        if products:
            report.history.append((products, report.residual.clone()))
        # At u = 0 the residual is 1 unless v is 0.
        report.converged |= residual <= tol
        if report.converged.all() or products >= max_iter or not torch.isfinite(residual).all():
            return out * unit, report
        cycle = _Cycle(
            space, gap, torch.where(report.converged.to(size.device), 0.0, size), restart
        )
        while products + 1 < max_iter and cycle.length < restart:
            cycle.extend(product)
            products += 1
            arrived, relative = cycle.look(tol, space.norm(u).double() if products > restart else 0)
            report.history.append(
                (products, torch.where(report.converged, report.residual, relative))
            )
            if arrived:
                break
        u = u + cycle.correction()
        out = v + product(u)
        products += 1
        gap = out - u


class _Cycle:
    """The Krylov space of I − J from one start: an orthonormal basis, and I − J in it."""

    def __init__(self, space: Space, gap: Tensor, size: Tensor, restart: int):
        self.space = space
        self.size = size  # ‖gap‖ [B], 0 where nothing remains to be done
        self.basis = gap.new_empty((restart + 1,) + gap.shape)
        self.basis[0] = gap * space.spread(_inverse(size)).to(gap.dtype).unsqueeze(1)
        self.matrix = size.new_zeros((size.shape[0], restart + 1, restart))
        self.length = 0
        self.lengths = torch.where(size == 0, 0, restart)  # columns that a problem uses

    def extend(self, product: Map) -> None:
        """One more direction."""
        k = self.length
        known, direction = self.basis[: k + 1], self.basis[k + 1]
        w = product(self.basis[k])
        shares = self.space.dots(known, w)
        self.space.subtract(w, shares, known, out=direction)
        norm = self.space.norm(direction).double()
        shares = shares.double()
        # A space that is exhausted gives rounding noise, which is no direction.
        noise = torch.finfo(w.dtype).eps * torch.linalg.vector_norm(shares, dim=1)
        norm = torch.where((norm > noise) & (self.lengths > k), norm, 0.0)
        direction *= self.space.spread(_inverse(norm)).to(w.dtype).unsqueeze(1)
        self.matrix[:, : k + 1, k] = -shares
        self.matrix[:, k, k] += 1
        self.matrix[:, k + 1, k] = -norm
        self.length += 1

    def look(self, tol: float, before: Tensor | float) -> tuple[bool, Tensor]:
        """Whether all problems have arrived, and their residuals as the small systems tell them."""
        y, left = self._least_squares()
        reached = torch.linalg.vector_norm(y, dim=1) + before  # at most ‖u‖
        arrived = left <= 0.9 * tol * reached
        self.lengths = torch.where(arrived, self.lengths.clamp(max=self.length), self.lengths)
        relative = torch.where(self.size == 0, 0.0, left / reached)
        return bool(arrived.all()), relative.cpu()

    def correction(self) -> Tensor:
        """The element of the space with the least residual, [N, D]."""
        y, _ = self._least_squares()
        basis = self.basis[: self.length]
        return self.space.combine(y.to(basis.dtype), basis)

    def _least_squares(self) -> tuple[Tensor, Tensor]:
        k = self.length
        matrix = self.matrix[:, : k + 1, :k]
        unused = torch.arange(k, device=matrix.device) >= self.lengths.unsqueeze(1)  # [B, k]
        # A column that is not used stands alone in the row below it: its coefficient is 0.
        below = torch.eye(k + 1, k, dtype=matrix.dtype, device=matrix.device).roll(1, 0)
        matrix = torch.where(unused.unsqueeze(1), below, matrix)
        q, r = torch.linalg.qr(matrix)
        right = self.size.unsqueeze(1) * q[:, 0]
        y = torch.linalg.solve_triangular(r, right.unsqueeze(2), upper=True)
        left = -(matrix @ y).squeeze(2)
        left[:, 0] += self.size
        return y.squeeze(2), torch.linalg.vector_norm(left, dim=1)


def _inverse(size: Tensor) -> Tensor:
    return torch.where(size > 0, 1 / size, 0.0)
