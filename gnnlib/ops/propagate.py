"""Several steps along the edges in one call: no Python between them, and two buffers for all."""

import torch
from torch import Tensor

from ._apply import form
from ._common import (
    Transpose,
    autocast,
    distinct,
    fold,
    needs_grad,
    refuse_batched_structure,
    turned,
    vmap_rule,
    way_back,
)
from ._door import check_edges
from ._fake import fake_rule

_propagate = torch.ops.gnnlib.propagate.default
_powers = torch.ops.gnnlib.propagate_powers.default
_horner = torch.ops.gnnlib.propagate_horner.default


def propagate(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    steps: int,
    weight: Tensor | None = None,
    *,
    alpha: float = 0.0,
    eid: Tensor | None = None,
    row_scale: Tensor | None = None,
    col_scale: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """Personalised PageRank of the rows of x by power iteration; powers of S for alpha 0.

    h₀ = x,  hₖ₊₁ = (1 − α) S hₖ + α x,  S[i, j] = row_scale[i] · weight[ji] · col_scale[j]

    Args:
        ptr: row pointers of a square CSR by destination, [N + 1].
        col: source of each CSR position, [E].
        x: [N, F] or [N, H, D].
        steps: K, the number of steps.
        weight: one factor an edge, [E]; a constant for the gradient, like the scales.
        alpha: α.
        eid: edge id of each CSR position, [E]: position k has `weight[eid[k]]`.
        row_scale, col_scale: [N].
        transpose: (t_ptr, t_row, t_pos), or a function that returns it, for the gradient.

    Returns:
        h_K, like x.

    Raises:
        ValueError: where weight or a scale requires a gradient: take steps of `spmm` for that.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 2]), torch.tensor([1, 0])
        >>> propagate(ptr, col, torch.tensor([[1.0], [0.0]]), 3, alpha=0.5).flatten()
        tensor([0.6250, 0.3750])
    """
    check_edges(ptr, col, x, eid)
    x, weight = _constant(x, weight, row_scale, col_scale)
    back = _back(ptr, col, eid, weight, x, transpose)
    row_scale, col_scale = distinct(row_scale, col_scale)
    return _run_propagate(ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale, back)


def propagate_powers(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    steps: int,
    weight: Tensor | None = None,
    *,
    eid: Tensor | None = None,
    row_scale: Tensor | None = None,
    col_scale: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """The rows of x after 0, 1, …, K steps: out[:, k] = Sᵏ x.

    The arguments are those of `propagate`.

    Returns:
        [N, K + 1, F] (or [N, K + 1, H, D]).

    Example:
        >>> ptr, col = torch.tensor([0, 1, 2]), torch.tensor([1, 0])
        >>> propagate_powers(ptr, col, torch.tensor([[1.0], [2.0]]), 2).squeeze(-1)
        tensor([[1., 2., 1.],
                [2., 1., 2.]])
    """
    check_edges(ptr, col, x, eid)
    x, weight = _constant(x, weight, row_scale, col_scale)
    back = _back(ptr, col, eid, weight, x, transpose)
    row_scale, col_scale = distinct(row_scale, col_scale)
    return _run_powers(ptr, col, eid, weight, x, steps, row_scale, col_scale, back)


def propagate_horner(
    ptr: Tensor,
    col: Tensor,
    x: Tensor,
    weight: Tensor | None = None,
    *,
    eid: Tensor | None = None,
    row_scale: Tensor | None = None,
    col_scale: Tensor | None = None,
    transpose: Transpose = None,
) -> Tensor:
    """The polynomial Σ over k = 0 … K of Sᵏ x[:, k], by Horner's scheme.

    Args:
        x: [N, K + 1, F] or [N, K + 1, H, D]. The others are those of `propagate`.

    Returns:
        [N, F] or [N, H, D]. It is the transpose of `propagate_powers` (of the reversed edges).

    Example:
        >>> ptr, col = torch.tensor([0, 1, 2]), torch.tensor([1, 0])
        >>> x = torch.tensor([[[1.0], [10.0]], [[2.0], [20.0]]])
        >>> propagate_horner(ptr, col, x).flatten()
        tensor([21., 12.])
    """
    check_edges(ptr, col, x, eid)
    x, weight = _constant(x, weight, row_scale, col_scale)
    back = _back(ptr, col, eid, weight, x, transpose)
    row_scale, col_scale = distinct(row_scale, col_scale)
    return _run_horner(ptr, col, eid, weight, x, row_scale, col_scale, back)


def _constant(x, weight, *scales):
    for name, given in zip(("weight", "row_scale", "col_scale"), (weight, *scales), strict=True):
        if torch.is_grad_enabled() and given is not None and given.requires_grad:
            raise ValueError(
                f"{name} must not require a gradient: a step for each gradient is `spmm`'s"
            )
    return autocast(x, weight)


def _back(ptr, col, eid, weight, x, transpose) -> tuple:
    return way_back(ptr, col, None if weight is None else eid, x, transpose)


def _run_propagate(ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale, back) -> Tensor:
    arguments = (ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale)
    return form(_Propagate).apply(*arguments, *back) if needs_grad(x) else _propagate(*arguments)


def _run_powers(ptr, col, eid, weight, x, steps, row_scale, col_scale, back) -> Tensor:
    arguments = (ptr, col, eid, weight, x, steps, row_scale, col_scale)
    return form(_Powers).apply(*arguments, *back) if needs_grad(x) else _powers(*arguments)


def _run_horner(ptr, col, eid, weight, x, row_scale, col_scale, back) -> Tensor:
    arguments = (ptr, col, eid, weight, x, row_scale, col_scale)
    return form(_Horner).apply(*arguments, *back) if needs_grad(x) else _horner(*arguments)


def _turned_steps(saved) -> tuple:
    """The arguments of the steps along the reversed edges: structure, weight, scales, way back."""
    ptr, col, eid, weight, row_scale, col_scale, *back = saved
    t_ptr, t_row, t_at = turned(back)
    return t_ptr, t_row, t_at, weight, col_scale, row_scale, (ptr, col, None, eid)


class _Propagate(torch.autograd.Function):
    """A polynomial of S, so its transpose is the same polynomial of Sᵀ."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale, *back):
        return _propagate(ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *first, _, ctx.steps, ctx.alpha, row_scale, col_scale, t_ptr, t_row, t_pos, t_eid = inputs
        ctx.save_for_backward(*first, row_scale, col_scale, t_ptr, t_row, t_pos, t_eid)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, weight, *rest = _turned_steps(ctx.saved_tensors)
        out = _run_propagate(ptr, col, eid, weight, grad, ctx.steps, ctx.alpha, *rest)
        return (None,) * 4 + (out,) + (None,) * 8


class _Powers(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, x, steps, row_scale, col_scale, *back):
        return _powers(ptr, col, eid, weight, x, steps, row_scale, col_scale)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *first, _, _, row_scale, col_scale, t_ptr, t_row, t_pos, t_eid = inputs
        ctx.save_for_backward(*first, row_scale, col_scale, t_ptr, t_row, t_pos, t_eid)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, weight, *rest = _turned_steps(ctx.saved_tensors)
        out = _run_horner(ptr, col, eid, weight, grad, *rest)
        return (None,) * 4 + (out,) + (None,) * 7


class _Horner(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(ptr, col, eid, weight, x, row_scale, col_scale, *back):
        return _horner(ptr, col, eid, weight, x, row_scale, col_scale)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *first, x, row_scale, col_scale, t_ptr, t_row, t_pos, t_eid = inputs
        ctx.steps = x.shape[1] - 1
        ctx.save_for_backward(*first, row_scale, col_scale, t_ptr, t_row, t_pos, t_eid)

    @staticmethod
    def backward(ctx, grad):
        ptr, col, eid, weight, *rest = _turned_steps(ctx.saved_tensors)
        out = _run_powers(ptr, col, eid, weight, grad, ctx.steps, *rest)
        return (None,) * 4 + (out,) + (None,) * 6


@fake_rule("gnnlib::propagate")
def _(ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@fake_rule("gnnlib::propagate_powers")
def _(ptr, col, eid, weight, x, steps, row_scale, col_scale):
    return x.new_empty(x.shape[:1] + (steps + 1,) + x.shape[1:])


@fake_rule("gnnlib::propagate_horner")
def _(ptr, col, eid, weight, x, row_scale, col_scale):
    return x.new_empty(x.shape[:1] + x.shape[2:])


def _refuse(*dims: int | None) -> None:
    refuse_batched_structure("ptr, col, eid, weight, row_scale, col_scale", *dims)


@vmap_rule("gnnlib::propagate")
def _(info, in_dims, ptr, col, eid, weight, x, steps, alpha, row_scale, col_scale):
    _refuse(*in_dims[:4], *in_dims[7:])
    x = fold(x, in_dims[4], info.batch_size)
    out = _propagate(ptr, col, eid, weight, x.flatten(1), steps, alpha, row_scale, col_scale)
    return out.reshape(x.shape), 1


@vmap_rule("gnnlib::propagate_powers")
def _(info, in_dims, ptr, col, eid, weight, x, steps, row_scale, col_scale):
    _refuse(*in_dims[:4], *in_dims[6:])
    x = fold(x, in_dims[4], info.batch_size)
    out = _powers(ptr, col, eid, weight, x.flatten(1), steps, row_scale, col_scale)
    return out.reshape(x.shape[:1] + (steps + 1,) + x.shape[1:]), 2


@vmap_rule("gnnlib::propagate_horner")
def _(info, in_dims, ptr, col, eid, weight, x, row_scale, col_scale):
    _refuse(*in_dims[:4], *in_dims[5:])
    x = fold(x, in_dims[4], info.batch_size).transpose(1, 2)  # [N, K + 1, B, …]
    out = _horner(ptr, col, eid, weight, x.flatten(2), row_scale, col_scale)
    return out.reshape(x.shape[:1] + x.shape[2:]), 1
