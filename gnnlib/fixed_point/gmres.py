"""GMRES for u = v + Ju: the linear systems of implicit gradients."""

from collections.abc import Callable

import numpy as np
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
        size, scale = _numbers(torch.stack([space.norm(gap), space.norm(out)]).double())
        with np.errstate(divide="ignore", invalid="ignore"):
            residual = torch.from_numpy(np.where(size == 0, 0.0, size / scale))
        open_ = ~report.converged
        report.residual[open_] = residual[open_]
        report.iterations[open_] = products
        if products:
            report.history.append((products, report.residual.clone()))
        # At u = 0 the residual is 1 unless v is 0.
        report.converged |= residual <= tol
        if report.converged.all() or products >= max_iter or not torch.isfinite(residual).all():
            return out * unit, report
        before = _numbers(space.norm(u).double())
        cycle = _Cycle(space, gap, np.where(report.converged.numpy(), 0.0, size), before, restart)
        while products + 1 < max_iter and cycle.length < restart:
            cycle.extend(product)
            products += 1
            arrived, relative = cycle.look(tol)
            relative = torch.where(report.converged, report.residual, torch.from_numpy(relative))
            report.history.append((products, relative))
            if arrived:
                break
        u = u + cycle.correction()
        out = v + product(u)
        products += 1
        gap = out - u


class _Cycle:
    """The Krylov space of I − J from one start: an orthonormal basis, and I − J in it.

    What is small is in numpy, whose calls cost a tenth of torch's; each product needs a look, and
    so a transfer, anyway.
    """

    def __init__(
        self, space: Space, gap: Tensor, size: np.ndarray, before: np.ndarray, restart: int
    ):
        self.space = space
        self.size = size  # ‖gap‖ [B], 0 where nothing remains to be done
        self.before = before  # ‖u‖ [B], at the start of the cycle
        self.basis = gap.new_empty((restart + 1,) + gap.shape)
        torch.mul(gap, self._of_rows(_inverse(size)), out=self.basis[0])
        self.matrix = np.zeros((size.shape[0], restart + 1, restart))
        self.best = np.zeros((size.shape[0], 0))  # the coefficients of the last look
        self.length = 0
        self.lengths = np.where(size == 0, 0, restart)  # columns that a problem uses

    def extend(self, product: Map) -> None:
        """One more direction."""
        k = self.length
        known, direction = self.basis[: k + 1], self.basis[k + 1]
        w = product(self.basis[k])
        shares = self.space.dots(known, w)
        self.space.subtract(w, shares, known, out=direction)
        norm = self.space.norm(direction).unsqueeze(1)
        numbers = _numbers(torch.cat([shares.double(), norm.double()], 1))
        shares, norm = numbers[:, :-1], numbers[:, -1]
        # A space that is exhausted gives rounding noise, which is no direction.
        noise = torch.finfo(w.dtype).eps * np.linalg.norm(shares, axis=1)
        norm = np.where((norm > noise) & (self.lengths > k), norm, 0.0)
        direction *= self._of_rows(_inverse(norm))
        self.matrix[:, : k + 1, k] = -shares
        self.matrix[:, k, k] += 1
        self.matrix[:, k + 1, k] = -norm
        self.length += 1

    def look(self, tol: float) -> tuple[bool, np.ndarray]:
        """Whether all problems have arrived, and their residuals as the small systems tell them."""
        self.best, left = self._least_squares()
        reached = np.linalg.norm(self.best, axis=1) + self.before  # at most ‖u‖
        arrived = left <= 0.9 * tol * reached
        self.lengths = np.where(arrived, np.minimum(self.lengths, self.length), self.lengths)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(self.size == 0, 0.0, left / reached)
        return bool(arrived.all()), relative

    def correction(self) -> Tensor:
        """The element of the space with the least residual, [N, D]."""
        basis = self.basis[: self.length]
        return self.space.combine(torch.from_numpy(self.best).to(basis), basis)

    def _least_squares(self) -> tuple[np.ndarray, np.ndarray]:
        k = self.length
        matrix = self.matrix[:, : k + 1, :k]
        unused = np.arange(k) >= self.lengths[:, None]  # [B, k]
        if unused.any():
            # A column that is not used stands alone in the row below it: its coefficient is 0.
            matrix = np.where(unused[:, None], np.eye(k + 1, k, -1), matrix)
        q, r = np.linalg.qr(matrix)
        diagonal = np.arange(k)
        # I − J may be singular; what numpy refuses to solve is then not a number.
        r[:, diagonal, diagonal] = np.where(
            r[:, diagonal, diagonal] == 0, np.nan, r[:, diagonal, diagonal]
        )
        y = np.linalg.solve(r, self.size[:, None, None] * q[:, :1].swapaxes(1, 2))
        left = -(matrix @ y)[:, :, 0]
        left[:, 0] += self.size
        return y[:, :, 0], np.linalg.norm(left, axis=1)

    def _of_rows(self, values: np.ndarray) -> Tensor:
        """A number of each problem for its rows, as a factor of states."""
        return self.space.spread(torch.from_numpy(values).to(self.basis)).unsqueeze(1)


def _numbers(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


def _inverse(size: np.ndarray) -> np.ndarray:
    return np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
