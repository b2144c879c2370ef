"""Edge list to CSR, its transpose, and the CSR with self-loops. Stable, so results never vary."""

import torch
from torch import Tensor

from ._door import check_segments, known
from ._fake import fake_rule

_coo_to_csr = torch.ops.gnnlib.coo_to_csr.default
_csr_transpose = torch.ops.gnnlib.csr_transpose.default
_csr_add_loops = torch.ops.gnnlib.csr_add_loops.default


def coo_to_csr(dst: Tensor, src: Tensor, num_dst: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort an edge list by destination, stably.

    Args:
        dst: destination of each edge, [E], int32 or int64, below `num_dst`.
        src: source of each edge, [E], same dtype.
        num_dst: number of rows.

    Returns:
        ptr [num_dst + 1], col [E] and eid [E]: row i holds the sources `col[ptr[i]:ptr[i+1]]`, and
        position k is the edge `eid[k]` of the input.

    Example:
        >>> dst, src = torch.tensor([1, 0, 1]), torch.tensor([0, 1, 2])
        >>> coo_to_csr(dst, src, num_dst=3)
        (tensor([0, 1, 3, 3]), tensor([1, 0, 2]), tensor([1, 0, 2]))
    """
    ptr, col, eid = _coo_to_csr(dst, src, num_dst)
    known(ptr, dst.shape[0])
    known(eid, dst.shape[0], once=True)
    return ptr, col, eid


def csr_transpose(ptr: Tensor, col: Tensor, num_src: int) -> tuple[Tensor, Tensor, Tensor]:
    """The CSR by source of a CSR by destination.

    Args:
        ptr: row pointers, [num_dst + 1].
        col: source of each position, [E].
        num_src: number of source nodes.

    Returns:
        t_ptr [num_src + 1], t_row [E] and t_pos [E]: source j has the destinations
        `t_row[t_ptr[j]:t_ptr[j+1]]`, found at the positions t_pos of the input.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3, 3]), torch.tensor([1, 0, 2])
        >>> csr_transpose(ptr, col, num_src=3)
        (tensor([0, 1, 2, 3]), tensor([1, 0, 1]), tensor([1, 0, 2]))
    """
    check_segments(ptr, None, col.shape[0] if col.dim() else 0)
    t_ptr, t_row, t_pos = _csr_transpose(ptr, col, num_src)
    known(t_ptr, col.shape[0])
    known(t_row, ptr.shape[0] - 1)
    known(t_pos, col.shape[0], once=True)
    return t_ptr, t_row, t_pos


def csr_add_loops(
    ptr: Tensor, col: Tensor, eid: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Add a self-loop to each node that has none.

    Args:
        ptr: row pointers, [N + 1].
        col: source of each position, [E].
        eid: edge id of each position, [E]; None means position k is edge k.

    Returns:
        ptr [N + 1], col [E + L] and eid [E + L]. The L new loops have the edge ids E, E + 1, … in
        node order, and stand last in their rows.

    Example:
        >>> ptr, col = torch.tensor([0, 1, 3, 3]), torch.tensor([1, 1, 2])
        >>> csr_add_loops(ptr, col)
        (tensor([0, 2, 4, 5]), tensor([1, 0, 1, 2, 2]), tensor([0, 3, 1, 2, 4]))
    """
    check_segments(ptr, eid, col.shape[0] if col.dim() else 0)
    return _csr_add_loops(ptr, col, eid)


@fake_rule("gnnlib::coo_to_csr")
def _(dst, src, num_dst):
    return dst.new_empty(num_dst + 1), torch.empty_like(src), torch.empty_like(dst)


@fake_rule("gnnlib::csr_transpose")
def _(ptr, col, num_src):
    return ptr.new_empty(num_src + 1), torch.empty_like(col), torch.empty_like(col)


@fake_rule("gnnlib::csr_add_loops")
def _(ptr, col, eid):
    num_nodes, num_edges = ptr.shape[0] - 1, col.shape[0]
    size = torch.library.get_ctx().new_dynamic_size(min=0)
    torch._check(size >= num_edges)
    torch._check(size <= num_edges + num_nodes)
    return torch.empty_like(ptr), col.new_empty(size), col.new_empty(size)
