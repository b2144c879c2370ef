"""Gather rows by an index, and reduce rows into the places an unsorted index names."""

import torch
from torch import Tensor

from .._errors import unknown_choice
from ._apply import form
from ._common import REDUCES, fold, needs_grad, per_row, refuse_batched_structure, vmap_rule
from ._door import check_index
from ._dtypes import accumulate_dtype
from ._fake import fake_rule
from .layout import coo_to_csr
from .segment import arg_to_rows, multiply_backward

_gather_rows = torch.ops.gnnlib.gather_rows.default
_scatter = torch.ops.gnnlib.scatter.default
_scatter_arg = torch.ops.gnnlib.scatter_arg.default
_scatter_add_ = torch.ops.gnnlib.scatter_add_.default


def gather_rows(x: Tensor, index: Tensor) -> Tensor:
    """The rows of x that index names: out[k] = x[index[k]].

    Args:
        x: [N, …].
        index: [E], int32 or int64, from 0 to N − 1.

    Returns:
        [E, …]. The gradient is a deterministic `scatter`.

    Example:
        >>> gather_rows(torch.tensor([[1.0], [2.0]]), torch.tensor([1, 1, 0])).flatten()
        tensor([2., 2., 1.])
    """
    check_index("gather_rows", index, x)
    if needs_grad(x):
        return form(_Gather).apply(x, index)
    return _gather_rows(x, index)


def scatter(x: Tensor, index: Tensor, num_rows: int, reduce: str = "sum") -> Tensor:
    """Reduce the rows of x that have the same index: out[i] = reduce of x[k] with index[k] = i.

    Args:
        x: [E, …].
        index: [E], int32 or int64, in any order, from 0 to num_rows − 1.
        num_rows: rows of the result.
        reduce: 'sum', 'mean', 'max', 'min' or 'mul'. A row nothing falls into is 0 ('mul': 1). For
            max and min the first of equals takes the gradient, and NaN propagates.

    Returns:
        [num_rows, …]. Each row is reduced in the order of x, whatever the number of threads.

    Raises:
        ValueError: for an unknown reduce.

    Example:
        >>> scatter(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), 3)
        tensor([2., 0., 5.])
    """
    if reduce not in REDUCES:
        raise unknown_choice("reduce", reduce, REDUCES)
    check_index("scatter", index, num_rows)
    if not needs_grad(x):
        return _scatter(x, index, num_rows, reduce)
    if reduce in ("max", "min"):
        return form(_ScatterArg).apply(x, index, num_rows, reduce)[0]
    if reduce == "mul":
        return form(_ScatterMul).apply(x, index, num_rows)
    if reduce == "mean":
        return form(_ScatterMean).apply(x, index, num_rows)[0]
    return form(_Scatter).apply(x, index, num_rows)


def scatter_add_(out: Tensor, x: Tensor, index: Tensor) -> None:
    """Add rows in place: out[index[k]] += x[k]. For use where no gradient is recorded.

    Example:
        >>> out = torch.zeros(2)
        >>> scatter_add_(out, torch.tensor([1.0, 2.0]), torch.tensor([1, 1]))
        >>> out
        tensor([0., 3.])
    """
    check_index("scatter_add_", index, out)
    _scatter_add_(out, x, index)


def _sum(x: Tensor, index: Tensor, num_rows: int) -> Tensor:
    if needs_grad(x):
        return form(_Scatter).apply(x, index, num_rows)
    return _scatter(x, index, num_rows, "sum")


class _Gather(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, index):
        return _gather_rows(x, index)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.num_rows = inputs[0].shape[0]
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        return _sum(grad, index, ctx.num_rows), None


class _Scatter(torch.autograd.Function):
    """The sum."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, index, num_rows):
        return _scatter(x, index, num_rows, "sum")

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        return gather_rows(grad, index), None, None


class _ScatterMean(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, index, num_rows):
        wide = accumulate_dtype(x.dtype)
        ones = torch.ones(index.shape[0], dtype=wide, device=x.device)
        share = _scatter(ones, index, num_rows, "sum").clamp(min=1).reciprocal()
        if x.dtype == wide:  # what the operator does, with the counts that are there
            return _scatter(x, index, num_rows, "sum") * per_row(share, x), share
        return _scatter(x, index, num_rows, "mean"), share

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[1], output[1])

    @staticmethod
    def backward(ctx, grad, _):
        index, share = ctx.saved_tensors
        return gather_rows((grad * per_row(share, grad)).to(grad.dtype), index), None, None


class _ScatterMul(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, index, num_rows):
        return _scatter(x, index, num_rows, "mul")

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, index, ctx.num_rows = inputs
        ctx.save_for_backward(x, index)

    @staticmethod
    def backward(ctx, grad):
        x, index = ctx.saved_tensors
        ptr, _, order = coo_to_csr(index, index, ctx.num_rows)
        return multiply_backward(ptr, order, x, grad), None, None


class _ScatterArg(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, index, num_rows, reduce):
        return _scatter_arg(x, index, num_rows, reduce)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.num_inputs = inputs[0].shape[0]
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx, grad, _):
        (arg,) = ctx.saved_tensors
        return arg_to_rows(None, grad, arg, ctx.num_inputs), None, None, None


@fake_rule("gnnlib::gather_rows")
def _(x, index):
    return x.new_empty(index.shape + x.shape[1:])


@fake_rule("gnnlib::scatter")
def _(x, index, num_rows, reduce):
    return x.new_empty((num_rows,) + x.shape[1:])


@fake_rule("gnnlib::scatter_arg")
def _(x, index, num_rows, reduce):
    out = x.new_empty((num_rows,) + x.shape[1:])
    return out, torch.empty_like(out, dtype=index.dtype)


@fake_rule("gnnlib::scatter_add_")
def _(out, x, index):
    return None


@vmap_rule("gnnlib::gather_rows")
def _(info, in_dims, x, index):
    refuse_batched_structure("index", in_dims[1])
    return _gather_rows(fold(x, in_dims[0], info.batch_size), index), 1


@vmap_rule("gnnlib::scatter")
def _(info, in_dims, x, index, num_rows, reduce):
    refuse_batched_structure("index", in_dims[1])
    return _scatter(fold(x, in_dims[0], info.batch_size), index, num_rows, reduce), 1


@vmap_rule("gnnlib::scatter_arg")
def _(info, in_dims, x, index, num_rows, reduce):
    refuse_batched_structure("index", in_dims[1])
    return _scatter_arg(fold(x, in_dims[0], info.batch_size), index, num_rows, reduce), (1, 1)
