"""What the operator files share: the autocast rule and the folding of vmap's dimension."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .._memo import is_tracing, memo_of_tensor
from ._door import check_ptr, check_range, known
from ._dtypes import accumulate_dtype
from .layout import csr_transpose

_gather_rows = torch.ops.gnnlib.gather_rows.default

REDUCES = ("sum", "mean", "max", "min", "mul")
"""The reducers that spmm, segment_reduce and scatter have in common."""

Transpose = tuple[Tensor, Tensor, Tensor] | Callable[[], tuple[Tensor, Tensor, Tensor]] | None
"""(t_ptr, t_row, t_pos), or a function that returns it when a gradient needs it."""


def autocast(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Under autocast, floating tensors in the autocast dtype (float64 stays, as torch has it)."""
    if not torch.compiler.is_compiling() and not torch._C._is_any_autocast_enabled():
        return tensors
    device = next(t.device.type for t in tensors if t is not None)
    if device == "meta" or not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(
        t.to(dtype) if t is not None and t.is_floating_point() and t.dtype != torch.float64 else t
        for t in tensors
    )


def requires_grad(tensor: Tensor) -> bool:
    """Whether a gradient of `tensor` may be asked for. Inside vmap a tensor does not tell: what it
    stands for may be tracked by a `torch.func.grad` outside, so under torch.func each may."""
    return tensor.requires_grad or (
        not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()
    )


def needs_grad(*tensors: Tensor | None) -> bool:
    if not torch.is_grad_enabled():
        return False
    for tensor in tensors:  # noqa: SIM110 (a loop takes half the time of any)
        if tensor is not None and requires_grad(tensor):
            return True
    return False


def check_ids(eid: Tensor | None, name: str, rows: Tensor) -> None:
    """One edge id for each row; not while compiling, where sizes may be known by name alone."""
    if eid is None or torch.compiler.is_compiling() or eid.shape[0] == rows.shape[0]:
        return
    raise ValueError(
        f"{name} and eid must have one entry per edge: eid has {eid.shape[0]}, got {name} of shape"
        f" {tuple(rows.shape)}"
    )


def transposed(
    ptr: Tensor, col: Tensor, eid: Tensor | None, num_src: int, transpose: Transpose
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """(t_ptr, t_row, t_pos, t_eid): the way back for a gradient. t_eid None stands for t_pos."""
    check_ids(eid, "col", col)
    if transpose is None:
        transpose = csr_transpose(ptr, col, num_src)
    t_ptr, t_row, t_pos = transpose() if callable(transpose) else transpose
    if t_ptr.is_cuda:
        check_ptr("t_ptr", t_ptr, col.shape[0])
    check_range("t_row", t_row, ptr.shape[0] - 1, "destination ids below num_dst")
    check_range("t_pos", t_pos, col.shape[0], "positions below num_edges", once=True)
    return t_ptr, t_row, t_pos, None if eid is None else _turned_ids(eid, t_pos)


# eid[t_pos] by t_pos: as dear as a sum over neighbours, and the same in every step of a training.
_kept_ids = WeakIdKeyDictionary()


def _turned_ids(eid: Tensor, t_pos: Tensor) -> Tensor:
    if is_tracing() or eid.is_inference():
        return _gather_rows(eid, t_pos)

    def build() -> tuple[Tensor, Tensor]:  # with eid, so that its id is no other's
        ids = _gather_rows(eid, t_pos)
        known(ids, eid.shape[0], once=True)
        return eid, ids

    return memo_of_tensor(_kept_ids, t_pos, (id(eid), eid._version), build)[1]


def way_back(
    ptr: Tensor, col: Tensor, eid: Tensor | None, x: Tensor, transpose: Transpose
) -> tuple:
    """What `transposed` gives where a gradient of the source rows x is wanted, else None × 4."""
    if not needs_grad(x):
        return None, None, None, None
    return transposed(ptr, col, eid, x.shape[0], transpose)


def turned(back) -> tuple[Tensor, Tensor, Tensor | None]:
    """ptr, col and eid of the way back: what an op on the transpose begins with."""
    t_ptr, t_row, t_pos, t_eid = back
    return t_ptr, t_row, t_pos if t_eid is None else t_eid


def counts(ptr: Tensor, dtype: torch.dtype) -> Tensor:
    """Edges per row, at least 1, in the dtype in which sums of `dtype` are accumulated."""
    return ptr.diff().clamp(min=1).to(accumulate_dtype(dtype))


def shared_by_edges(ptr: Tensor, grad: Tensor) -> Tensor:
    """The gradient of a sum for that of a mean: each row divided by its edge count."""
    return (grad / per_row(counts(ptr, grad.dtype), grad)).to(grad.dtype)


def zero_without_edges(ptr: Tensor, out: Tensor) -> Tensor:
    return torch.where(per_row(ptr.diff() > 0, out), out, 0)


def distinct(*tensors: Tensor | None) -> tuple[Any, ...]:
    """The same tensors, none of them twice: torch.compile hands no Function a tensor twice."""
    seen: list[Tensor | None] = []
    for tensor in tensors:
        again = tensor is not None and any(tensor is other for other in seen)
        seen.append(tensor.view_as(tensor) if tensor is not None and again else tensor)
    return tuple(seen)


def per_row(scale: Tensor, like: Tensor) -> Tensor:
    """`scale` [N] shaped to multiply `like` [N, …]."""
    return scale.reshape(scale.shape + (1,) * (like.dim() - 1))


def fold(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """vmap's dimension behind the rows: [B, N, …] -> [N, B, …]; repeated if there is none."""
    if dim is None:
        return tensor.unsqueeze(1).expand(-1, size, *tensor.shape[1:])
    return tensor.movedim(dim, 1)


def vmap_rule(operator: str) -> Callable[[Callable], Any]:
    """Makes the function below it the rule by which torch.func.vmap runs an operator."""
    return functools.partial(torch.library.register_vmap, operator)


def refuse_batched_structure(names: str, *dims: int | None) -> None:
    if any(dim is not None for dim in dims):
        raise NotImplementedError(
            f"torch.vmap cannot map over the graph structure ({names}): join the graphs in one"
            " Batch instead"
        )
