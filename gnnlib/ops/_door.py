"""The door of the operators' structure: no kernel follows an index that nobody has looked at.

On the CPU, a ptr and the index of a scatter are looked at by the kernels on each call, for that
costs less than reading them again. The ids of a col or an eid are as many as the edges: looking at
them takes a good part of what the operator takes. So that is done once a tensor, and remembered for
as long as the tensor lives and nobody writes into it: torch counts that, but not what is written
through numpy or `.data`. On a GPU all of it is done so, for to look is to wait until the GPU is
done. Tracing knows no values, and neither looks nor remembers.
"""

import weakref
from typing import NamedTuple

import torch
from torch import Tensor
from torch.compiler import is_compiling

from .._memo import is_tracing

INDEX_DTYPES = (torch.int32, torch.int64)


class _Seen(NamedTuple):
    tensor: weakref.ref
    version: int | None  # None: nobody writes into it, says its maker
    size: int  # the ids lie in [0, size)
    once: bool  # each of them is there


# By id, which is quicker than a WeakIdKeyDictionary: an entry goes when its tensor dies.
_seen: dict[int, _Seen] = {}


def check_range(name: str, ids: Tensor, size: int, rule: str, *, once: bool = False) -> None:
    """The ids lie in [0, size), as `rule` says; `once`: and each is there.

    Raises:
        ValueError: with the first position where they do not.
    """
    if is_compiling():
        return
    seen = _seen.get(id(ids))
    if seen is not None and seen[2] <= size and (seen[3] or not once) and _is_same(seen, ids):
        return
    _look(name, ids, size, rule, once)


def check_edges(ptr: Tensor, col: Tensor, x: Tensor, eid: Tensor | None) -> None:
    """The structure of an operator that reads the rows of x by col, and edge rows by eid."""
    if is_compiling():
        return
    if ptr.is_cuda:
        check_ptr("ptr", ptr, len(col) if col.dim() else 0)
    # As in check_range, without its call: this is on the way of every layer.
    seen = _seen.get(id(col))
    if (
        seen is None
        or seen[0]() is not col
        or (seen[1] is not None and seen[1] != col._version)
        or x.dim() == 0
        or seen[2] > len(x)
    ):
        _look("col", col, len(x) if x.dim() else 0, "source ids below num_src", False)
    if eid is None:
        return
    seen = _seen.get(id(eid))
    if (
        seen is None
        or seen[0]() is not eid
        or (seen[1] is not None and seen[1] != eid._version)
        or not seen[3]
        or seen[2] != len(col)
    ):
        check_eid(eid, len(col) if col.dim() else 0)


def check_segments(ptr: Tensor, eid: Tensor | None, num_edges: int) -> None:
    """The structure of an operator that reads edge rows alone."""
    if ptr.is_cuda:
        check_ptr("ptr", ptr, num_edges)
    check_eid(eid, num_edges)


def check_index(op: str, index: Tensor, rows: Tensor | int) -> None:
    """The index of a gather or scatter, where the kernels do not look themselves."""
    if not index.is_cuda or is_compiling():
        return
    if isinstance(rows, Tensor):
        rows = len(rows) if rows.dim() else 0
    seen = _seen.get(id(index))
    if (seen is not None and seen[2] <= rows and _is_same(seen, index)) or not _has_values(index):
        return
    bound, k = _outside(index, rows)
    if k is not None:
        raise ValueError(
            f"{op}: index must be below {rows} and not negative: position {k} is {int(index[k])}"
        )
    if type(index) is Tensor and not index.is_inference():
        _remember(index, bound, False)


def check_ptr(name: str, ptr: Tensor, num_edges: int) -> None:
    """Row pointers rise from 0 to num_edges."""
    if is_compiling():
        return
    seen = _seen.get(id(ptr))
    if seen is not None and seen[2] == num_edges and _is_same(seen, ptr):
        return
    if not _has_values(ptr) or len(ptr) == 0:
        return
    steps = ptr.diff()
    least = steps.amin() if len(steps) else ptr[0]
    first, last, least = torch.stack([ptr[0], ptr[-1], least]).tolist()
    if first != 0 or last != num_edges:
        raise ValueError(
            f"{name} must run from 0 to the number of edges {num_edges}, got {first} to {last}"
        )
    if least < 0:
        i = int((steps < 0).nonzero()[0])
        low, high = ptr[i : i + 2].tolist()
        raise ValueError(
            f"{name} must never decrease: {name}[{i}] is {low}, {name}[{i + 1}] is {high}"
        )
    if type(ptr) is Tensor and not ptr.is_inference():
        _remember(ptr, num_edges, False)


def check_eid(eid: Tensor | None, num_edges: int) -> None:
    if eid is None or is_compiling():
        return
    seen = _seen.get(id(eid))
    if seen is not None and seen[2] == num_edges and seen[3] and _is_same(seen, eid):
        return
    if eid.shape[:1] == (num_edges,):  # else the operator's own door says so
        _look("eid", eid, num_edges, "ids below num_edges", True)


def _is_same(seen: _Seen, ids: Tensor) -> bool:
    return seen[0]() is ids and (seen[1] is None or seen[1] == ids._version)


def known(ids: Tensor, size: int, *, once: bool = False, immutable: bool = False) -> None:
    """Remember what the maker of `ids` knows of them. `immutable`: nobody may write into them, so
    that they need no version, which tensors of inference mode do not have."""
    if is_tracing() or type(ids) is not Tensor:
        return
    if immutable or not ids.is_inference():
        _remember(ids, size, once)


def part_of(ids: Tensor, begin: int, end: int) -> Tensor:
    """A slice of ids, known as far as they are: on a GPU it is not looked at again."""
    part = ids[begin:end]
    if is_tracing():
        return part
    seen = _seen.get(id(ids))
    if seen is not None and _is_same(seen, ids):
        _remember(part, seen.size, False)
    return part


def _remember(ids: Tensor, size: int, once: bool) -> None:
    key = id(ids)

    def forget(dead: weakref.ref) -> None:
        if key in _seen and _seen[key].tensor is dead:
            del _seen[key]

    version = None if ids.is_inference() else ids._version
    _seen[key] = _Seen(weakref.ref(ids, forget), version, size, once)


def _look(name: str, ids: Tensor, size: int, rule: str, once: bool) -> None:
    if not isinstance(ids, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(ids).__name__}")
    if not _has_values(ids):
        return
    bound, k = _outside(ids, size)
    if k is not None:
        raise ValueError(f"{name} must hold {rule}={size}: {name}[{k}] is {int(ids[k])}")
    if once:
        there = torch.zeros(size, dtype=torch.bool, device=ids.device)
        there[ids.long()] = True
        if not there.all():
            e = int(there.logical_not().nonzero()[0])
            raise ValueError(f"{name} must hold each id below {size} once, got no {e}")
    if type(ids) is Tensor and not ids.is_inference():  # which may change unseen
        _remember(ids, size if once else bound, once)


def _has_values(ids: Tensor) -> bool:
    """What is no index at all, or has no values, is left to the operator's own door."""
    return ids.dtype in INDEX_DTYPES and ids.dim() == 1 and not ids.is_meta and not is_tracing()


def _outside(ids: Tensor, size: int) -> tuple[int, int | None]:
    """One more than the largest id, and the first position whose id is not in [0, size)."""
    if not ids.shape[0]:
        return 0, None
    low, high = torch.stack(torch.aminmax(ids)).tolist()
    if low >= 0 and high < size:
        return high + 1, None
    return high + 1, int(((ids < 0) | (ids >= size)).nonzero()[0])
