"""Runs a message of any form without an E×F array: block by block of whole destination rows.

Forward, the rows at the ends of a block's edges are gathered, the user's code runs on them, and
the result is reduced; nothing of it is kept. Backward does the same again with a graph, block by
block, and adds the gradients up. A destination with more edges than a block holds is split into
pseudo-rows, whose results are reduced once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from . import ops
from ._capture import Outside, leaf_of, sees_all, writable
from ._memo import is_tracing
from .adjacency import Adjacency
from .ops._apply import visible
from .ops._door import known, part_of
from .ops._dtypes import accumulate_dtype

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
    """Blocks of at most max_edges edges, where a row that is not split may be longer.

    None is without edges, if there are any: not all code takes empty tensors.
    """
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
        if last < num_rows and ptr[last] == ptr[first]:  # the next row with edges is too long
            last = int(np.searchsorted(ptr, ptr[last + 1], side="right")) - 1
        blocks.append(Block(first, last, int(ptr[first]), int(ptr[last])))
        first = last
    pseudo = adj.ptr if rows_ptr is None else torch.from_numpy(ptr).to(adj.ptr)
    return Plan(pseudo, rows_ptr, blocks)


class Run:
    """One propagation: the user's message on a slice of the edges, and its reduction.

    Args:
        adj: the edges.
        sides: for each tensor, whether its rows are those of 'src', 'dst' or 'edge'.
        module: the user's module.
        message: (module, tensors of the slice, ptr of the slice, whether rows are split) -> [e, …].
        reduces: the reducers whose results are joined in the last dimension.
    """

    def __init__(
        self,
        adj: Adjacency,
        sides: list[str],
        module: nn.Module,
        message: Callable[[Any, list[Tensor], Tensor, bool], Any],
        reduces: tuple[str, ...],
    ):
        self.adj = adj
        self.sides = sides
        self.module = module
        self.message = message
        self.reduces = reduces

    def index(self, side: str, begin: int, end: int) -> Tensor | None:
        """The rows that a slice of the edges takes; None: the slice itself."""
        adj = self.adj
        rows = {"src": adj.col, "dst": adj.row, "edge": adj.eid}[side]
        return None if rows is None else part_of(rows, begin, end)

    def gather(self, tensors: Sequence[Tensor], begin: int, end: int) -> list[Tensor]:
        out = []
        for side, tensor in zip(self.sides, tensors, strict=True):
            index = self.index(side, begin, end)
            # A copy in either case: the user's code may write into it.
            rows = tensor[begin:end].clone() if index is None else ops.gather_rows(tensor, index)
            out.append(rows)
        return out

    def call(self, edges: list[Tensor], ptr: Tensor, split: bool) -> Tensor:
        """The user's message on gathered rows."""
        num_edges = edges[0].shape[0]
        message = self.message(self.module, edges, ptr, split)
        if not isinstance(message, Tensor):
            raise TypeError(f"message must return a tensor, got {type(message).__name__}")
        if message.dim() == 0 or message.shape[0] != num_edges:
            raise ValueError(
                f"message must return one row per edge: it was given {num_edges} edges and returned"
                f" shape {tuple(message.shape)}"
            )
        return message

    def whole(self, tensors: list[Tensor]) -> Tensor:
        """All edges at once, under torch's own autograd."""
        ptr = self.adj.ptr
        message = self.call(self.gather(tensors, 0, self.adj.num_edges), ptr, False)
        return join([ops.segment_reduce(ptr, message, reduce=r) for r in self.reduces])

    def freeze(self, captured: list[Tensor]) -> Run:
        """The same run for later, when the module's attributes may be others.

        Results of layers among them that the message did not take would keep whole graphs alive.
        """
        frozen = object.__new__(type(self.module))
        taken = {id(t) for t in captured}
        for name, value in self.module.__dict__.items():
            if isinstance(value, dict):  # _parameters, _buffers
                frozen.__dict__[name] = value.copy()
            elif not isinstance(value, Tensor) or value.grad_fn is None or id(value) in taken:
                frozen.__dict__[name] = value
        return Run(self.adj, self.sides, frozen, self.message, self.reduces)


def join(results: Sequence[Tensor]) -> Tensor:
    """The results of several reducers, in the last dimension: [N, D] each, or [N]."""
    if len(results) == 1:
        return results[0]
    results = list(results)
    return torch.stack(results, -1) if results[0].dim() == 1 else torch.cat(results, -1)


def in_blocks(run: Run, tensors: list[Tensor], block_bytes: int) -> Tensor:
    """The reduced message, with at most block_bytes in a gathered operand of a block."""
    if is_tracing() or _couples_edges(run.module):
        return run.whole(tensors)
    widest = max((t[:1].numel() * t.element_size() for t in tensors if t.shape[0]), default=1)
    max_edges = max(1, block_bytes // max(1, widest))
    if torch.is_grad_enabled():
        one_block = not _sees_all(run, tensors)
    else:
        one_block = run.adj.num_edges <= max_edges
    if one_block:
        return run.whole(tensors)
    split = all(reduce in SPLITTABLE for reduce in run.reduces)
    try:
        return _run_plan(run, tensors, max_edges, split)
    except WholeRows:
        return _run_plan(run, tensors, max_edges, False)


def _couples_edges(module: nn.Module) -> bool:
    """BatchNorm in training looks at all edges together."""
    batch_norm = nn.modules.batchnorm._BatchNorm
    return any(isinstance(m, batch_norm) and m.training for m in module.modules())


def _run_plan(run: Run, tensors: list[Tensor], max_edges: int, split: bool) -> Tensor:
    adj = run.adj
    plan = adj.memo(("blocks", max_edges, split), lambda: make_plan(adj, max_edges, split))
    reduces = run.reduces
    if plan.rows_ptr is not None:  # a mean of means is no mean
        reduces = tuple("sum" if reduce == "mean" else reduce for reduce in reduces)
    modes = _Modes(tensors, run.module)
    outside = Outside() if torch.is_grad_enabled() else None
    with torch.no_grad():
        results = _forward(run, plan, reduces, tensors, outside)
    if outside is not None:
        captured = outside.tensors
        saved = _Saved(run.freeze(captured), plan, reduces, modes, len(tensors), captured)
        results = visible(_Blocks).apply(saved, results, *tensors, *captured)
    if plan.rows_ptr is not None:
        results = [
            _join_parts(adj, plan.rows_ptr, parts, reduce)
            for parts, reduce in zip(results, run.reduces, strict=True)
        ]
    return join(results)


def _join_parts(adj: Adjacency, rows_ptr: Tensor, parts: Tensor, reduce: str) -> Tensor:
    """The result of each row from those of its pseudo-rows (for a mean: from their sums)."""
    if reduce != "mean":
        return ops.segment_reduce(rows_ptr, parts, reduce=reduce)
    out = ops.segment_reduce(rows_ptr, parts, reduce="sum")
    count = adj.ptr.diff().clamp(min=1).to(out.dtype)
    return out / count.reshape((-1,) + (1,) * (out.dim() - 1))


def _sees_all(run: Run, tensors: list[Tensor]) -> bool:
    """Whether the gradients of all that the message takes can be found, judged on two edges."""
    end = min(2, run.adj.num_edges)  # of one, squeeze() would take the dimension
    ptr = torch.tensor([0, end], dtype=run.adj.ptr.dtype, device=run.adj.device)
    edges = _leaves(run.gather([t.detach() for t in tensors], 0, end), tensors)
    with torch.random.fork_rng(_rng_devices(tensors)):
        return sees_all(lambda rows: run.call(rows, ptr, False), edges)


def _leaves(edges: list[Tensor], originals: Sequence[Tensor]) -> list[Tensor]:
    return [
        leaf_of(edge) if original.requires_grad else edge
        for edge, original in zip(edges, originals, strict=True)
    ]


def _rng_devices(tensors: Sequence[Tensor]) -> list[torch.device]:
    return list({t.device for t in tensors if t.is_cuda})


class _Modes:
    """What the forward pass ran under, for running the message again: the random state, autocast,
    and of each submodule whether it trains and which parameters it has (functional_call swaps
    them for the time of a call)."""

    def __init__(self, tensors: Sequence[Tensor], module: nn.Module):
        self.modules = [(m, _module_state(m)) for m in module.modules()]
        self.devices = _rng_devices(tensors)
        self.cpu = torch.get_rng_state()
        self.cuda = [torch.cuda.get_rng_state(device) for device in self.devices]
        self.device = tensors[0].device.type
        self.enabled = torch.is_autocast_enabled(self.device)
        self.dtype = torch.get_autocast_dtype(self.device)

    @contextmanager
    def again(self) -> Iterator[None]:
        with (
            torch.random.fork_rng(self.devices),
            torch.autocast(self.device, dtype=self.dtype, enabled=self.enabled),
        ):
            torch.set_rng_state(self.cpu)
            for device, state in zip(self.devices, self.cuda, strict=True):
                torch.cuda.set_rng_state(state, device)
            present = [(m, _module_state(m)) for m, _ in self.modules]
            try:
                for module, state in self.modules:
                    module.__dict__.update(state)
                yield
            finally:
                for module, state in present:
                    module.__dict__.update(state)


def _module_state(module: nn.Module) -> dict[str, Any]:
    return {
        "training": module.training,
        "_parameters": module._parameters.copy(),
        "_buffers": module._buffers.copy(),
    }


class _Saved(NamedTuple):
    """What the backward pass needs besides the tensors."""

    run: Run
    plan: Plan
    reduces: tuple[str, ...]
    modes: _Modes
    num_tensors: int
    captured: list[Tensor]  # the very objects that the user's code takes


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, saved: _Saved, results: list[Tensor], *tensors: Tensor):
        ctx.saved = saved
        ctx.save_for_backward(*tensors)
        return tuple(results)

    @staticmethod
    def backward(ctx, *grads):
        wanted = [n for n, want in enumerate(ctx.needs_input_grad[2:]) if want]
        # Where a second gradient may follow, all blocks together, with their graph.
        compute = _grads_with_graph if torch.is_grad_enabled() else _grads
        with ctx.saved.modes.again():
            found = dict(zip(wanted, compute(ctx.saved, ctx.saved_tensors, wanted, grads)))
        return None, None, *(found.get(n) for n in range(len(ctx.saved_tensors)))


def _results(
    run: Run, plan: Plan, reduces: tuple[str, ...], block: Block, edges: list[Tensor], outside: Any
) -> list[Tensor]:
    """The reduced messages of a block, one tensor a reducer."""
    ptr = plan.ptr[block.first : block.last + 1] - block.begin
    known(ptr, block.end - block.begin, immutable=True)
    with outside or nullcontext():
        message = run.call(edges, ptr, plan.rows_ptr is not None)
    return [ops.segment_reduce(ptr, message, reduce=reduce) for reduce in reduces]


def _forward(
    run: Run, plan: Plan, reduces: tuple[str, ...], tensors: Sequence[Tensor], outside: Any
) -> list[Tensor]:
    results: list[Tensor] = []
    for block in plan.blocks:
        edges = run.gather(tensors, block.begin, block.end)
        parts = _results(run, plan, reduces, block, edges, outside)
        if not results:
            num_rows = plan.ptr.shape[0] - 1
            results = [part.new_empty((num_rows, *part.shape[1:])) for part in parts]
        for result, part in zip(results, parts, strict=True):
            result[block.first : block.last] = part
    return results


def _grads(saved: _Saved, tensors, wanted: list[int], grads) -> list[Tensor]:
    """The gradients of tensors[n] for each n of wanted, block by block."""
    inputs = tensors[: saved.num_tensors]
    stand_ins = [leaf_of(t) for t in tensors[saved.num_tensors :]]
    outside = Outside(saved.captured, stand_ins)
    totals = [
        torch.zeros(
            tensors[n].shape, dtype=accumulate_dtype(tensors[n].dtype), device=tensors[n].device
        )
        for n in wanted
    ]
    for block in saved.plan.blocks:
        # In a function of its own, so that nothing of a block is left when the next one begins.
        _add_grads(saved, block, inputs, stand_ins, outside, wanted, totals, grads)
    return [total.to(tensors[n].dtype) for n, total in zip(wanted, totals, strict=True)]


def _add_grads(saved, block, inputs, stand_ins, outside, wanted, totals, grads) -> None:
    run = saved.run
    with torch.enable_grad():
        edges = run.gather([t.detach() for t in inputs], block.begin, block.end)
        leaves = _leaves(edges, inputs)
        parts = _results(run, saved.plan, saved.reduces, block, writable(leaves), outside)
    part_grads = [grad[block.first : block.last] for grad in grads]
    found = _autograd(parts, [(leaves + stand_ins)[n] for n in wanted], part_grads)
    for n, total, grad in zip(wanted, totals, found, strict=True):
        if grad is None:
            continue
        if n >= len(inputs):
            total += grad
            continue
        index = run.index(run.sides[n], block.begin, block.end)
        if index is None:
            total[block.begin : block.end] = grad
        elif run.sides[n] == "edge":
            total[index] = grad.to(total.dtype)
        else:
            ops.scatter_add_(total, grad, index)


def _grads_with_graph(saved: _Saved, tensors, wanted: list[int], grads) -> Sequence[Tensor | None]:
    views = [t.view_as(t) if n in wanted else t for n, t in enumerate(tensors)]
    inputs, stand_ins = views[: saved.num_tensors], views[saved.num_tensors :]
    outside = Outside(saved.captured, stand_ins)
    results = _forward(saved.run, saved.plan, saved.reduces, inputs, outside)
    return _autograd(results, [views[n] for n in wanted], grads, create_graph=True)


def _autograd(outputs, inputs, grads, create_graph: bool = False) -> Sequence[Tensor | None]:
    pairs = [(out, g) for out, g in zip(outputs, grads, strict=True) if out.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    outputs, grads = zip(*pairs)
    return torch.autograd.grad(outputs, inputs, grads, create_graph=create_graph, allow_unused=True)
