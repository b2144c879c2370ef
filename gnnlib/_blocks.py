"""Runs a message of any form without an E×F array: block by block of whole destination rows.

Forward, the rows at the ends of a block's edges are gathered, the user's code runs on them, and
the result is reduced; nothing of it is kept. Backward does the same again with a graph, block by
block, and adds the gradients up. A destination with more edges than a block holds is split into
pseudo-rows, whose results are reduced once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import ops
from .adjacency import Adjacency

SPLITTABLE = ("sum", "mean", "max", "min", "mul")


class Block(NamedTuple):
    """The pseudo-rows [first, last) and their edges, the CSR positions [begin, end)."""

    first: int
    last: int
    begin: int
    end: int


class Plan(NamedTuple):
    """Blocks of pseudo-rows: rows of the adjacency, or parts of those that are too long."""

    ptr: Tensor  # of the pseudo-rows
    rows_ptr: Tensor | None  # pseudo-rows of each row; None: each row is one
    blocks: list[Block]


class WholeRows(Exception):
    """The message looks at all edges of a destination, so its row cannot be split."""


def make_plan(adj: Adjacency, max_edges: int, split: bool) -> Plan:
    """Blocks of at most max_edges edges, where a row that is not split may be longer."""
    import numpy as np

    ptr = adj.ptr.cpu().numpy()
    rows_ptr = None
    degree = np.diff(ptr)
    if split and degree.size and degree.max() > max_edges:
        parts = np.maximum(1, -(-degree // max_edges))
        starts = np.repeat(ptr[:-1], parts)
        index_in_row = np.arange(starts.size) - np.repeat(np.cumsum(parts) - parts, parts)
        ptr = np.append(starts + index_in_row * max_edges, ptr[-1])
        bounds = np.concatenate([[0], np.cumsum(parts)])
        rows_ptr = torch.from_numpy(bounds).to(adj.ptr.dtype).to(adj.device)
    blocks, first, num_rows = [], 0, ptr.size - 1
    while first < num_rows or not blocks:
        last = int(np.searchsorted(ptr, ptr[first] + max_edges, side="right")) - 1
        last = min(max(last, first + 1), num_rows)
        blocks.append(Block(first, last, int(ptr[first]), int(ptr[last])))
        first = last
    pseudo = adj.ptr if rows_ptr is None else torch.from_numpy(ptr).to(adj.ptr)
    return Plan(pseudo, rows_ptr, blocks)


class Run:
    """One propagation: the user's message on a slice of the edges, and its reduction.

    Args:
        adj: the edges.
        sides: for each tensor, whether its rows are those of 'src', 'dst' or 'edge'.
        call: message(tensors of the slice, ptr of the slice, whether rows are split) -> [e, …].
        reduces: the reducers whose results are joined in the last dimension.
    """

    def __init__(
        self,
        adj: Adjacency,
        sides: list[str],
        call: Callable[[list[Tensor], Tensor, bool], Tensor],
        reduces: tuple[str, ...],
    ):
        self.adj = adj
        self.sides = sides
        self.call = call
        self.reduces = reduces

    def index(self, side: str, begin: int, end: int) -> Tensor | None:
        """The rows that a slice of the edges takes; None: the slice itself."""
        adj = self.adj
        rows = {"src": adj.col, "dst": adj.row, "edge": adj.eid}[side]
        return None if rows is None else rows[begin:end]

    def gather(self, tensors: list[Tensor], begin: int, end: int) -> list[Tensor]:
        out = []
        for side, tensor in zip(self.sides, tensors, strict=True):
            index = self.index(side, begin, end)
            out.append(tensor[begin:end] if index is None else ops.gather_rows(tensor, index))
        return out

    def reduce(self, ptr: Tensor, message: Tensor, reduces: tuple[str, ...]) -> Tensor:
        return join([ops.segment_reduce(ptr, message, reduce=reduce) for reduce in reduces])

    def whole(self, tensors: list[Tensor]) -> Tensor:
        """All edges at once, under torch's own autograd."""
        message = self.call(self.gather(tensors, 0, self.adj.num_edges), self.adj.ptr, False)
        return self.reduce(self.adj.ptr, check_message(message, self.adj.num_edges), self.reduces)


def join(results: list[Tensor]) -> Tensor:
    return results[0] if len(results) == 1 else torch.cat(results, -1)


def check_message(message: Any, num_edges: int) -> Tensor:
    if not isinstance(message, Tensor):
        raise TypeError(f"message must return a tensor, got {type(message).__name__}")
    if message.dim() == 0 or message.shape[0] != num_edges:
        raise ValueError(
            f"message must return one row per edge: it was given {num_edges} edges and returned"
            f" shape {tuple(message.shape)}"
        )
    return message


def in_blocks(run: Run, tensors: list[Tensor], module: nn.Module, block_bytes: int) -> Tensor:
    """The reduced message, with at most block_bytes in a gathered operand of a block."""
    widest = max((t[:1].numel() * t.element_size() for t in tensors if t.shape[0]), default=1)
    max_edges = max(1, block_bytes // max(1, widest))
    one_block = _couples_edges(module)
    if one_block or run.adj.num_edges <= max_edges and not torch.is_grad_enabled():
        return run.whole(tensors)
    captured: list[Tensor] = []
    if torch.is_grad_enabled():
        found = _find_captured(run, tensors)
        if found is None:
            return run.whole(tensors)
        captured = found
    split = all(reduce in SPLITTABLE for reduce in run.reduces)
    try:
        return _run_plan(run, tensors, captured, max_edges, split)
    except WholeRows:
        return _run_plan(run, tensors, captured, max_edges, False)


def _couples_edges(module: nn.Module) -> bool:
    """BatchNorm in training looks at all edges together."""
    batch_norm = nn.modules.batchnorm._BatchNorm
    return any(isinstance(m, batch_norm) and m.training for m in module.modules())


def _run_plan(
    run: Run, tensors: list[Tensor], captured: list[Tensor], max_edges: int, split: bool
) -> Tensor:
    adj = run.adj
    plan = adj.memo(("blocks", max_edges, split), lambda: make_plan(adj, max_edges, split))
    if plan.rows_ptr is None:
        return _Blocks.apply(run, plan, run.reduces, len(tensors), *tensors, *captured)
    results = []
    for reduce in run.reduces:  # one after the other: each has its own second step
        partial = "sum" if reduce == "mean" else reduce
        rows = _Blocks.apply(run, plan, (partial,), len(tensors), *tensors, *captured)
        out = ops.segment_reduce(plan.rows_ptr, rows, reduce=partial)
        if reduce == "mean":
            count = adj.ptr.diff().clamp(min=1).to(out.dtype)
            out = out / count.reshape((-1,) + (1,) * (out.dim() - 1))
        results.append(out)
    return join(results)


class _Watch(TorchFunctionMode):
    """Notes the tensors with gradient that the user's code takes from outside.

    They are those that are no argument of the message, and no result of a node of the autograd
    graph made since: such nodes count up from `start`.
    """

    def __init__(self, arguments: list[Tensor], start: int):
        super().__init__()
        self.arguments = {id(t) for t in arguments}
        self.start = start
        self.captured: dict[int, Tensor] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for value in _tensors_in((args, kwargs)):
            if not value.requires_grad or id(value) in self.arguments:
                continue
            if value.grad_fn is None or value.grad_fn._sequence_nr() < self.start:
                self.captured[id(value)] = value
        return func(*args, **kwargs)


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors_in(item)


def _find_captured(run: Run, tensors: list[Tensor]) -> list[Tensor] | None:
    """The tensors with gradient that `message` uses besides its arguments, seen on one edge.

    None when its graph reaches a tensor that was not seen: then only torch's own autograd, over all
    edges at once, is sure to be right.
    """
    end = min(1, run.adj.num_edges)
    ptr = torch.tensor([0, end], dtype=run.adj.ptr.dtype, device=run.adj.device)
    with torch.random.fork_rng(_rng_devices(tensors)), torch.enable_grad():
        marker = torch.zeros((), requires_grad=True) * 1
        assert marker.grad_fn is not None
        start = marker.grad_fn._sequence_nr()
        edges = _leaves(run.gather([t.detach() for t in tensors], 0, end), tensors)
        with _Watch(edges, start) as watch:
            message = run.call(edges, ptr, False)
    captured = list(watch.captured.values())
    known = {id(t) for t in (*edges, *captured)}
    known_nodes = {t.grad_fn for t in captured if t.grad_fn is not None}
    pending = [message.grad_fn] if isinstance(message, Tensor) and message.grad_fn else []
    seen = set()
    while pending:
        node = pending.pop()
        if node in seen or node in known_nodes:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            if id(leaf) not in known:
                return None
        elif node._sequence_nr() < start:
            return None
        else:
            pending += [following for following, _ in node.next_functions if following]
    return captured


def _leaves(edges: list[Tensor], originals: Any) -> list[Tensor]:
    return [
        edge.detach().requires_grad_(original.requires_grad)
        for edge, original in zip(edges, originals, strict=True)
    ]


def _rng_devices(tensors: list[Tensor]) -> list[torch.device]:
    return list({t.device for t in tensors if t.is_cuda})


class _Modes:
    """The random state and autocast of the forward pass, for running the message again."""

    def __init__(self, tensors: Any):
        self.devices = _rng_devices(tensors)
        self.cpu = torch.get_rng_state()
        self.cuda = [torch.cuda.get_rng_state(device) for device in self.devices]
        self.device = tensors[0].device.type if tensors else "cpu"
        self.enabled = torch.is_autocast_enabled(self.device)
        self.dtype = torch.get_autocast_dtype(self.device)

    def autocast(self) -> Any:
        return torch.autocast(self.device, dtype=self.dtype, enabled=self.enabled)

    def rewind(self) -> None:
        torch.set_rng_state(self.cpu)
        for device, state in zip(self.devices, self.cuda, strict=True):
            torch.cuda.set_rng_state(state, device)


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, run: Run, plan: Plan, reduces, num_tensors: int, *tensors: Tensor):
        ctx.run, ctx.plan, ctx.reduces, ctx.num_tensors = run, plan, reduces, num_tensors
        ctx.modes = _Modes(tensors)
        ctx.save_for_backward(*tensors)
        out = None
        for block in plan.blocks:
            edges = run.gather(list(tensors[:num_tensors]), block.begin, block.end)
            part = _reduce_block(run, plan, block, edges, reduces)
            if out is None:
                out = part.new_empty((plan.ptr.shape[0] - 1,) + part.shape[1:])
            out[block.first : block.last] = part
        return out

    @staticmethod
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        run, plan, num_tensors = ctx.run, ctx.plan, ctx.num_tensors
        tensors = list(ctx.saved_tensors)
        wanted = list(ctx.needs_input_grad[4:])
        with torch.random.fork_rng(ctx.modes.devices), ctx.modes.autocast():
            ctx.modes.rewind()
            if torch.is_grad_enabled():  # a second gradient: everything at once, with its graph
                grads = _grads_with_graph(run, plan, ctx.reduces, tensors, num_tensors, wanted, grad)
            else:
                grads = _grads(run, plan, ctx.reduces, tensors, num_tensors, wanted, grad)
        return (None,) * 4 + tuple(grads)


def _reduce_block(run: Run, plan: Plan, block: Block, edges, reduces) -> Tensor:
    ptr = plan.ptr[block.first : block.last + 1] - block.begin
    message = run.call(edges, ptr, plan.rows_ptr is not None)
    return run.reduce(ptr, check_message(message, block.end - block.begin), reduces)


def _grads(run, plan, reduces, tensors, num_tensors, wanted, grad) -> list[Tensor | None]:
    inputs, captured = tensors[:num_tensors], tensors[num_tensors:]
    totals: list[Tensor | None] = [
        torch.zeros(t.shape, dtype=_wide(t.dtype), device=t.device) if want else None
        for t, want in zip(tensors, wanted, strict=True)
    ]
    for block in plan.blocks:
        with torch.enable_grad():
            edges = _leaves(run.gather([t.detach() for t in inputs], block.begin, block.end), inputs)
            part = _reduce_block(run, plan, block, edges, reduces)
            leaves = [t for t, want in zip((*edges, *captured), wanted, strict=True) if want]
        if not part.requires_grad:
            continue
        found = iter(
            torch.autograd.grad(part, leaves, grad[block.first : block.last], allow_unused=True)
        )
        for n, total in enumerate(totals):
            part_grad = next(found) if total is not None else None
            if total is None or part_grad is None:
                continue
            if n >= num_tensors:
                total += part_grad
                continue
            index = run.index(run.sides[n], block.begin, block.end)
            if run.sides[n] != "edge":
                ops.scatter_add_(total, part_grad, index)
            elif index is None:
                total[block.begin : block.end] = part_grad
            else:
                total[index] = part_grad.to(total.dtype)
    return [None if g is None else g.to(t.dtype) for g, t in zip(totals, tensors, strict=True)]


def _grads_with_graph(run, plan, reduces, tensors, num_tensors, wanted, grad):
    num_edges = run.adj.num_edges
    edges = run.gather(tensors[:num_tensors], 0, num_edges)
    message = run.call(edges, plan.ptr, plan.rows_ptr is not None)
    out = run.reduce(plan.ptr, check_message(message, num_edges), reduces)
    leaves = [t for t, want in zip(tensors, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(out, leaves, grad, create_graph=True, allow_unused=True))
    return [next(found) if want else None for want in wanted]


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
