"""Each compiled operator in plain torch: slow, obvious, and the truth the kernels are tested by.

Same names, arguments and results as the operators of `_schema.SCHEMAS`. These functions also run
the package when it was built without kernels (`GNNLIB_BUILD_EXT=0`).

N nodes, E edges, F features, H heads, D features per head. `ptr` [num_dst + 1] and `col` [E] are
the CSR by destination; `eid` [E] addresses tensors in the user's edge order (None: CSR order).
"""

import torch
from torch import Tensor

from ._dtypes import accumulate_dtype
from ._reference_attention import (  # noqa: F401
    attention_dot,
    attention_dot_backward,
    attention_gat,
    attention_gat_backward,
    attention_gatv2,
    attention_gatv2_backward,
)


def _rows(ptr: Tensor) -> Tensor:
    """The row of each CSR position, [E]."""
    ids = torch.arange(ptr.numel() - 1, device=ptr.device)
    return torch.repeat_interleave(ids, ptr.diff().long())


# layout ------------------------------------------------------------------------------------------


def coo_to_csr(dst: Tensor, src: Tensor, num_dst: int) -> tuple[Tensor, Tensor, Tensor]:
    eid = torch.argsort(dst, stable=True)
    ptr = torch.zeros(num_dst + 1, dtype=dst.dtype, device=dst.device)
    ptr[1:] = torch.bincount(dst, minlength=num_dst).cumsum(0)
    return ptr, src[eid], eid.to(dst.dtype)


def csr_transpose(ptr: Tensor, col: Tensor, num_src: int) -> tuple[Tensor, Tensor, Tensor]:
    return coo_to_csr(col, _rows(ptr).to(col.dtype), num_src)


def csr_add_loops(ptr: Tensor, col: Tensor, eid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    row, num_nodes, num_edges = _rows(ptr), ptr.numel() - 1, col.numel()
    has_loop = torch.zeros(num_nodes, dtype=torch.bool, device=ptr.device)
    has_loop[row[row == col]] = True
    missing = (~has_loop).nonzero().flatten()
    if eid is None:
        eid = torch.arange(num_edges, dtype=col.dtype, device=col.device)
    loop_ids = torch.arange(num_edges, num_edges + missing.numel(), device=col.device)
    # Loops come last in the list, so a stable sort by row leaves them last in their row.
    row, col = torch.cat([row, missing]), torch.cat([col, missing.to(col.dtype)])
    eid = torch.cat([eid, loop_ids.to(eid.dtype)])
    new_ptr, new_col, order = coo_to_csr(row.to(ptr.dtype), col, num_nodes)
    return new_ptr, new_col, eid[order.long()]


# spmm --------------------------------------------------------------------------------------------


def _messages(
    ptr: Tensor, col: Tensor | None, eid: Tensor | None, weight: Tensor | None, x: Tensor
) -> Tensor:
    """weight · x[col] for each CSR position, [E, H, D] (or [E, F]) in the accumulation dtype."""
    num_edges = int(ptr[-1])
    message = (x[:num_edges] if col is None else x[col.long()]).to(accumulate_dtype(x.dtype))
    if weight is not None:
        weight = weight[:num_edges] if eid is None else weight[eid.long()]
        # [E] and [E, H] both broadcast over the trailing features.
        message = message * weight.reshape(weight.shape + (1,) * (x.dim() - weight.dim()))
    return message


def spmm(
    ptr: Tensor,
    col: Tensor | None,
    eid: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    reduce: str,
    row_scale: Tensor | None,
    col_scale: Tensor | None,
) -> Tensor:
    if reduce in ("max", "min"):
        return spmm_arg(ptr, col, eid, weight, x, reduce)[0]
    row, num_dst = _rows(ptr), ptr.numel() - 1
    message = _messages(ptr, col, eid, weight, x)
    if col_scale is not None:
        scale = col_scale[: message.shape[0]] if col is None else col_scale[col.long()]
        message = message * scale.reshape((-1,) + (1,) * (x.dim() - 1))
    shape = (num_dst,) + x.shape[1:]
    if reduce == "mul":
        index = row.reshape((-1,) + (1,) * (x.dim() - 1)).expand_as(message)
        out = message.new_ones(shape).scatter_reduce(0, index, message, "prod")
    else:
        out = message.new_zeros(shape).index_add(0, row, message)
    if reduce == "mean":
        out = out / ptr.diff().clamp(min=1).reshape((-1,) + (1,) * (x.dim() - 1))
    if row_scale is not None:
        out = out * row_scale.reshape((-1,) + (1,) * (x.dim() - 1))
    return out.to(x.dtype)


def spmm_arg(
    ptr: Tensor,
    col: Tensor | None,
    eid: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    reduce: str,
) -> tuple[Tensor, Tensor]:
    num_dst = ptr.numel() - 1
    message = _messages(ptr, col, eid, weight, x).to(x.dtype)
    out = x.new_zeros((num_dst,) + x.shape[1:])
    arg = torch.full(out.shape, -1, dtype=ptr.dtype, device=x.device)
    bounds = ptr.tolist()
    for i in range(num_dst):
        first, last = bounds[i], bounds[i + 1]
        if first == last:
            continue
        part = message[first:last]
        best = part.max(0).values if reduce == "max" else part.min(0).values  # NaN propagates
        winner = (part == best) | (part.isnan() & best.isnan())
        out[i] = best
        arg[i] = winner.int().argmax(0).to(arg.dtype) + first  # argmax: the first of equals
    return out, arg


def spmm_arg_backward(
    col: Tensor | None,
    eid: Tensor | None,
    weight: Tensor | None,
    grad: Tensor,
    arg: Tensor,
    num_src: int,
    t_ptr: Tensor | None,
    t_row: Tensor | None,
    t_pos: Tensor | None,
) -> Tensor:
    out = grad.new_zeros((num_src,) + grad.shape[1:], dtype=accumulate_dtype(grad.dtype))
    if not (arg >= 0).any():
        return out.to(grad.dtype)
    win = arg.clamp(min=0).long()
    share = torch.where(arg >= 0, grad, 0).to(out.dtype)
    if weight is not None:
        edge = win if eid is None else eid.long()[win]
        heads = weight.reshape(weight.shape + (1,) * (grad.dim() - weight.dim()))
        share = share * heads.expand((-1,) + grad.shape[1:]).gather(0, edge)
    return out.scatter_add(0, win if col is None else col.long()[win], share).to(grad.dtype)


def spmm_arg_weight(
    ptr: Tensor,
    col: Tensor | None,
    eid: Tensor | None,
    grad: Tensor,
    x: Tensor,
    arg: Tensor,
    num_edges: int,
) -> Tensor:
    row = _rows(ptr)
    position = torch.arange(row.numel(), device=ptr.device)
    column = position if col is None else col.long()
    edge = position if eid is None else eid.long()
    won = arg[row] == position.reshape((-1,) + (1,) * (grad.dim() - 1))
    product = grad[row].to(accumulate_dtype(grad.dtype)) * x[column]
    product = torch.where(won, product, 0)
    product = product.sum(-1)
    out = product.new_zeros((num_edges,) + product.shape[1:])
    return out.index_copy(0, edge, product).to(grad.dtype)


# multi -------------------------------------------------------------------------------------------


def spmm_multi(
    ptr: Tensor, col: Tensor | None, x: Tensor, reduces: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    names = reduces.split(",")
    wide = x.to(accumulate_dtype(x.dtype))
    mean = spmm(ptr, col, None, None, wide, "mean", None, None)
    row = _rows(ptr)
    apart = (wide[: row.numel()] if col is None else wide[col.long()]) - mean[row]
    variance = spmm(ptr, None, None, None, apart.square(), "mean", None, None)
    empty_arg = torch.empty((0, x.shape[1]), dtype=ptr.dtype, device=x.device)
    args = {"max": empty_arg, "min": empty_arg}
    results = []
    for name in names:
        if name in args:
            out, args[name] = spmm_arg(ptr, col, None, None, x, name)
        elif name == "std":
            out = variance.sqrt().to(x.dtype)
        else:
            out = spmm(ptr, col, None, None, x, name, None, None)
        results.append(out)
    kept = mean if "std" in names else mean[:0]
    return torch.stack(results, 1), kept, args["max"], args["min"]


def spmm_multi_backward(
    t_ptr: Tensor, t_row: Tensor, x: Tensor, even: Tensor, spread: Tensor, mean: Tensor
) -> Tensor:
    source, row = _rows(t_ptr), t_row.long()
    share = even[row] + spread[row] * (x[source].to(mean.dtype) - mean[row])
    return mean.new_zeros(x.shape).index_add(0, source, share).to(x.dtype)


# propagate ---------------------------------------------------------------------------------------


def propagate(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    steps: int,
    alpha: float,
    row_scale: Tensor | None,
    col_scale: Tensor | None,
) -> Tensor:
    wide = accumulate_dtype(x.dtype)
    h = x.clone()
    for _ in range(steps):
        hop = spmm(ptr, col, eid, weight, h.to(wide), "sum", row_scale, col_scale)
        h = ((1 - alpha) * hop + alpha * x).to(x.dtype)
    return h


def propagate_powers(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    steps: int,
    row_scale: Tensor | None,
    col_scale: Tensor | None,
) -> Tensor:
    powers = [x]
    for _ in range(steps):
        powers.append(spmm(ptr, col, eid, weight, powers[-1], "sum", row_scale, col_scale))
    return torch.stack(powers, 1)


def propagate_horner(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    weight: Tensor | None,
    x: Tensor,
    row_scale: Tensor | None,
    col_scale: Tensor | None,
) -> Tensor:
    wide = accumulate_dtype(x.dtype)
    h = x[:, -1].clone()
    for k in range(x.shape[1] - 2, -1, -1):
        hop = spmm(ptr, col, eid, weight, h.to(wide), "sum", row_scale, col_scale)
        h = (hop + x[:, k]).to(x.dtype)
    return h


# spmm_add ----------------------------------------------------------------------------------------


def _sums(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor | None,
    y: Tensor | None,
    edge: Tensor | None,
    alpha: float,
) -> Tensor:
    """x[col] + y[row] + alpha · edge for each CSR position, in the accumulation dtype."""
    rows = x if x is not None else y
    assert rows is not None
    total = rows.new_zeros((col.numel(),) + rows.shape[1:], dtype=accumulate_dtype(rows.dtype))
    if y is not None:
        total = total + y[_rows(ptr)]
    if x is not None:
        total = total + x[col.long()]
    if edge is not None:
        edge = edge[: col.numel()] if eid is None else edge[eid.long()]
        total = total + alpha * edge.reshape(edge.shape + (1,) * (rows.dim() - edge.dim()))
    return total


def spmm_add(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor,
    y: Tensor | None,
    edge: Tensor | None,
    alpha: float,
    relu: bool,
    reduce: str,
) -> Tensor:
    message = _sums(ptr, col, eid, x, y, edge, alpha)
    message = message.relu() if relu else message
    return spmm(ptr, None, None, None, message, reduce, None, None).to(x.dtype)


def spmm_add_arg(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor,
    edge: Tensor,
    alpha: float,
    reduce: str,
) -> tuple[Tensor, Tensor]:
    message = _sums(ptr, col, eid, x, None, edge, alpha).to(x.dtype)
    return spmm_arg(ptr, None, None, None, message, reduce)


def spmm_add_gate(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor | None,
    y: Tensor | None,
    edge: Tensor | None,
    alpha: float,
    grad: Tensor,
    grad_is_own: bool,
) -> Tensor:
    closed = _sums(ptr, col, eid, x, y, edge, alpha) <= 0
    rows = grad[_rows(ptr) if grad_is_own else col.long()].to(accumulate_dtype(grad.dtype))
    message = torch.where(closed, 0, rows)
    return spmm(ptr, None, None, None, message, "sum", None, None).to(grad.dtype)


def spmm_add_edge(
    ptr: Tensor,
    col: Tensor,
    eid: Tensor | None,
    x: Tensor,
    y: Tensor | None,
    edge: Tensor,
    alpha: float,
    grad: Tensor,
) -> Tensor:
    closed = _sums(ptr, col, eid, x, y, edge, alpha) <= 0
    rows = torch.where(closed, 0, alpha * grad[_rows(ptr)].to(accumulate_dtype(grad.dtype)))
    if edge.dim() == 1:
        rows = rows.flatten(1).sum(1)
    out = torch.zeros_like(rows)
    out[slice(None) if eid is None else eid.long()] = rows
    return out.to(edge.dtype)


# sddmm -------------------------------------------------------------------------------------------


def sddmm(
    ptr: Tensor, col: Tensor, eid: Tensor | None, a: Tensor | None, b: Tensor, op: str
) -> Tensor:
    wide = accumulate_dtype(b.dtype)
    right = b[col.long()].to(wide)
    left = right if a is None else a[_rows(ptr)].to(wide)
    result = {
        "dot": lambda: (left * right).sum(-1),
        "add": lambda: left + right,
        "sub": lambda: left - right,
        "mul": lambda: left * right,
        "copy": lambda: right,
    }[op]()
    out = torch.empty_like(result)
    out[slice(None) if eid is None else eid.long()] = result
    return out.to(b.dtype)


# segment -----------------------------------------------------------------------------------------


def segment_expand(ptr: Tensor, eid: Tensor | None, x: Tensor, num_edges: int) -> Tensor:
    out = x.new_zeros((num_edges,) + x.shape[1:])
    row = _rows(ptr)
    position = torch.arange(row.numel(), device=ptr.device) if eid is None else eid.long()
    out[position] = x[row]
    return out


def segment_softmax(ptr: Tensor, eid: Tensor | None, scores: Tensor) -> Tensor:
    row, num_dst = _rows(ptr), ptr.numel() - 1
    position = torch.arange(row.numel(), device=ptr.device) if eid is None else eid.long()
    value = scores[position].to(accumulate_dtype(scores.dtype))
    flat = value.flatten(1) if value.dim() > 1 else value.unsqueeze(1)
    index = row.unsqueeze(1).expand_as(flat)
    top = flat.new_full((num_dst, flat.shape[1]), -torch.inf)
    top = top.scatter_reduce(0, index, flat, "amax")
    exp = (flat - top[row]).exp()
    total = exp.new_zeros(top.shape).index_add(0, row, exp)
    out = torch.zeros_like(flat)
    out[position] = exp / total[row]
    return out.reshape(scores.shape).to(scores.dtype)


def segment_softmax_backward(ptr: Tensor, eid: Tensor | None, out: Tensor, grad: Tensor) -> Tensor:
    weighted = out.to(accumulate_dtype(out.dtype)) * grad
    total = spmm(ptr, eid, None, None, weighted, "sum", None, None)
    spread = segment_expand(ptr, eid, total, out.shape[0])
    return (weighted - out * spread).to(out.dtype)


# dropout -----------------------------------------------------------------------------------------


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """The shift of an unsigned integer: no copies of the sign come in from the left."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def edge_dropout(x: Tensor, eid: Tensor | None, p: float, seed: Tensor) -> Tensor:
    rows = torch.arange(x.shape[0], device=x.device) if eid is None else eid.long()
    heads = x[:1].numel()
    counter = rows.unsqueeze(1) * heads + torch.arange(heads, device=x.device)
    # splitmix64 in int64 arithmetic, which wraps around; the constants as signed numbers.
    z = seed.to(x.device) + (counter + 1) * -0x61C8864680B583EB
    z = (z ^ _shift_right(z, 30)) * -0x40A7B892E31B1A47
    z = (z ^ _shift_right(z, 27)) * -0x6B2FB644ECCEEE15
    keep = _shift_right(z ^ _shift_right(z, 31), 40) >= int(p * 2**24)
    wide = x.to(accumulate_dtype(x.dtype)) * (1 / (1 - p) if p < 1 else 0)
    return torch.where(keep.reshape(x.shape), wide, 0).to(x.dtype)


# scatter -----------------------------------------------------------------------------------------


def gather_rows(x: Tensor, index: Tensor) -> Tensor:
    return x[index.long()]


def scatter(x: Tensor, index: Tensor, num_rows: int, reduce: str) -> Tensor:
    ptr, _, order = coo_to_csr(index, index, num_rows)
    return spmm(ptr, order, None, None, x, reduce, None, None)


def scatter_arg(x: Tensor, index: Tensor, num_rows: int, reduce: str) -> tuple[Tensor, Tensor]:
    ptr, _, order = coo_to_csr(index, index, num_rows)
    out, arg = spmm_arg(ptr, order, None, None, x, reduce)
    input_row = order[arg.clamp(min=0).long()] if order.numel() else arg
    return out, torch.where(arg < 0, arg, input_row)


def scatter_add_(out: Tensor, x: Tensor, index: Tensor) -> None:
    out.index_add_(0, index.long(), x.to(out.dtype))
