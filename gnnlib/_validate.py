"""The checks at the door of Adjacency and Graph: after them no kernel needs a check that syncs."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

INDEX_DTYPES = (torch.int32, torch.int64)


def index_dtype(*sizes: int) -> torch.dtype:
    """int32 unless one of the sizes (node or edge counts) needs more."""
    return torch.int64 if max(sizes) >= 2**31 else torch.int32


def as_size(name: str, value: Any) -> int:
    """`value` as a count: an integer of 0 or more."""
    if isinstance(value, torch.SymInt):  # under torch.export; a comparison would be a guard
        return value  # pyright: ignore[reportReturnType]
    try:
        size = operator.index(value)
    except TypeError:
        size = None
    if size is None or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if size < 0:
        raise ValueError(f"{name} must be 0 or more, got {size}")
    return size


def as_positions(
    chosen: Any, size: int, device: torch.device, name: str, whole: str, part: str
) -> Tensor:
    """The positions below `size` that a slice, a bool mask, or a list or tensor of ints chooses.

    Negative ones count from the end. `name` is the argument, and `whole` has `part`s, in errors.

    Raises:
        IndexError: a position out of bounds, or a mask of another length.
        TypeError: what chooses nothing.
    """
    if isinstance(chosen, slice):
        chosen = range(*chosen.indices(size))
        end = chosen.start + len(chosen) * chosen.step
        return torch.arange(chosen.start, end, chosen.step, device=device)
    if isinstance(chosen, (list, range)) or hasattr(chosen, "__array__"):
        chosen = chosen if isinstance(chosen, Tensor) else _from_list(chosen, part)
        chosen = chosen if chosen.numel() else chosen.long()  # an empty list has no dtype
    if not isinstance(chosen, Tensor) or chosen.dim() != 1:
        raise TypeError(
            f"{name} must be a slice, a bool mask or a one-dimensional tensor of {part} numbers,"
            f" got {chosen if isinstance(chosen, int) else type(chosen).__name__}"
        )
    if chosen.dtype == torch.bool:
        if chosen.shape[0] != size:
            raise IndexError(f"a mask needs {size} entries, one per {part}, got {len(chosen)}")
        return chosen.to(device).nonzero().flatten()
    if chosen.dtype not in INDEX_DTYPES:
        raise TypeError(f"{part} numbers must be integers, got {chosen.dtype}")
    index = chosen.to(device).long()
    low, high = (int(end) for end in torch.aminmax(index)) if len(index) else (0, -1)
    if low < -size or high >= size:
        first = int(index[(index < -size) | (index >= size)][0])
        raise IndexError(f"{whole} has {size} {part}s, got {part} {first}")
    return index if low >= 0 else torch.where(index < 0, index + size, index)


def _from_list(values: Any, part: str) -> Tensor:
    import numpy as np

    try:
        return torch.from_numpy(np.asarray(values))  # which reads lists faster than torch
    except (TypeError, ValueError) as error:
        raise TypeError(f"{part} numbers must be integers: {error}") from None


def as_edge_index(value: Any) -> Tensor:
    """`value` as a contiguous integer tensor [2, E]; lists and numpy arrays are converted."""
    edge_index = value if isinstance(value, Tensor) else _from_array(value)
    if edge_index.layout != torch.strided:
        raise TypeError(
            f"edge_index must be a dense tensor [2, num_edges], got layout {edge_index.layout}:"
            " Graph.from_torch_sparse takes an adjacency matrix"
        )
    if edge_index.dtype not in INDEX_DTYPES:
        raise TypeError(f"edge_index must be int64 or int32, got {edge_index.dtype}")
    if edge_index.dim() != 2 or edge_index.shape[0] != 2:
        hint = ": transpose it" if edge_index.dim() == 2 and edge_index.shape[1] == 2 else ""
        raise ValueError(
            "edge_index must have shape [2, num_edges] (sources, destinations), got"
            f" {tuple(edge_index.shape)}{hint}"
        )
    return edge_index.contiguous()


def _from_array(value: Any) -> Tensor:
    import numpy as np

    if isinstance(value, Sequence) and value and all(isinstance(row, Tensor) for row in value):
        return torch.stack(list(value))
    try:
        array = np.asarray(value)
    except ValueError:
        array = None
    if array is None or array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and array.size):
        kind = "ragged rows" if array is None else f"values of dtype {array.dtype}"
        raise TypeError(f"edge_index must be int64 or int32, got {kind}") from None
    return torch.from_numpy(array.astype(np.int64))


def largest_ids(edge_index: Tensor, num_src: int | None, num_dst: int | None) -> tuple[int, int]:
    """Check ids in one pass and one sync; the largest source and destination, -1 without edges.

    A limit of None is not checked from above.

    Raises:
        ValueError: naming the first edge that is out of bounds.
    """
    if edge_index.shape[1] == 0:
        return -1, -1
    low, high = torch.aminmax(edge_index, dim=1)
    low_src, low_dst, high_src, high_dst = torch.cat([low, high]).tolist()
    src_fits = num_src is None or high_src < num_src
    dst_fits = num_dst is None or high_dst < num_dst
    if min(low_src, low_dst) < 0 or not src_fits or not dst_fits:
        raise _first_bad_edge(edge_index, num_src, num_dst)
    return high_src, high_dst


def _first_bad_edge(edge_index: Tensor, num_src: int | None, num_dst: int | None) -> ValueError:
    source, destination = edge_index
    bad = (edge_index < 0).any(0)
    if num_src is not None:
        bad |= source >= num_src
    if num_dst is not None:
        bad |= destination >= num_dst
    edge = int(bad.nonzero()[0])
    src, dst = int(source[edge]), int(destination[edge])
    if min(src, dst) < 0:
        rule = "edge_index must hold node ids of 0 or more"
    elif num_src == num_dst:
        rule = f"edge_index must hold node ids below num_nodes={num_src}"
    elif num_src is not None and src >= num_src:
        rule = f"edge_index[0] must hold source ids below num_src={num_src}"
    else:
        rule = f"edge_index[1] must hold destination ids below num_dst={num_dst}"
    return ValueError(f"{rule}: edge {edge} is ({src}, {dst})")


def check_csr_kinds(ptr: Tensor, col: Tensor, eid: Tensor | None) -> None:
    """dtype, shape and device of the arrays of a CSR: nothing that syncs."""
    for name, array in (("ptr", ptr), ("col", col), ("eid", eid)):
        if array is None:
            continue
        if not isinstance(array, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(array).__name__}")
        if array.dtype not in INDEX_DTYPES:
            raise TypeError(f"{name} must be int64 or int32, got {array.dtype}")
        if array.dim() != 1:
            raise ValueError(f"{name} must have one dimension, got shape {tuple(array.shape)}")
        if array.device != ptr.device:
            raise ValueError(
                f"{name} must be on the device of ptr: {ptr.device}, got {array.device}"
            )
    if ptr.shape[0] == 0:
        raise ValueError("ptr must have num_dst + 1 entries, at least one, got shape (0,)")
    if eid is not None and eid.shape != col.shape:
        raise ValueError(
            f"eid must have one id per edge: col has {col.shape[0]} edges, got {eid.shape[0]}"
        )


def check_csr_values(ptr: Tensor, col: Tensor, num_src: int, eid: Tensor | None) -> None:
    """The values of a CSR: monotone ptr, ids in bounds, eid a permutation, stable in each row."""
    num_edges = col.shape[0]
    if int(ptr[0]) != 0 or int(ptr[-1]) != num_edges:
        raise ValueError(
            f"ptr must run from 0 to the number of edges {num_edges}, got {int(ptr[0])} to"
            f" {int(ptr[-1])}"
        )
    _refuse(ptr.diff() < 0, lambda row: f"ptr must never decrease: it does after row {row}")
    _refuse(
        (col < 0) | (col >= num_src),
        lambda k: f"col must hold source ids below num_src={num_src}: col[{k}] is {int(col[k])}",
    )
    if eid is None or num_edges == 0:
        return
    _refuse(
        (eid < 0) | (eid >= num_edges),
        lambda k: f"eid must hold ids below num_edges={num_edges}: eid[{k}] is {int(eid[k])}",
    )
    seen = torch.zeros(num_edges, dtype=torch.bool, device=eid.device)
    seen[eid.long()] = True
    _refuse(~seen, lambda e: f"eid must hold each id below num_edges={num_edges} once, got no {e}")
    in_row = torch.ones(num_edges, dtype=torch.bool, device=eid.device)
    in_row[ptr[ptr < num_edges].long()] = False  # the first position of a row follows no other
    _refuse(
        (eid.diff() < 0) & in_row[1:],
        lambda k: (
            f"eid must increase within each row (the sort is stable): eid[{k}] is {int(eid[k])},"
            f" eid[{k + 1}] is {int(eid[k + 1])}"
        ),
    )


def _refuse(bad: Tensor, message: Any) -> None:
    if bad.any():
        raise ValueError(message(int(bad.nonzero()[0])))
