"""User-written messages of every kind, and their naive evaluation on gathered rows."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gnnlib import Adjacency, MessagePassing

FEATURES = 6
Function = Callable[[Any, Any, Any, Any], Any]


class Written(MessagePassing):
    """A layer whose message is the function f(self, src, dst, edge)."""

    def __init__(self, f: Function, reduce: str | Sequence[str] = "sum", block_edges: int = 0):
        super().__init__(reduce)
        self.f = f
        self.lin = nn.Linear(FEATURES, FEATURES)
        self.lins = nn.ModuleList(nn.Linear(FEATURES, FEATURES) for _ in range(3))
        self.scale = nn.Parameter(torch.rand(FEATURES) + 0.5)
        if block_edges:
            self.block_bytes = block_edges * FEATURES * 8  # of float64

    def forward(self, graph: Any, src: Any, dst: Any = None, edge: Any = None) -> Tensor:
        self.twice = 2 * self.scale  # no leaf
        self.mean = self.lin(torch.ones(1, FEATURES, dtype=self.scale.dtype)).mean(0)
        return self.propagate(graph, src=src, dst=dst, edge=edge)

    def message(self, src, dst, edge):
        return self.f(self, src, dst, edge)


class _Gathered:
    """In the place of the layer: its parameters, and a softmax that knows the rows."""

    def __init__(self, layer: Written, sizes: list[int]):
        self.layer = layer
        self.sizes = sizes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    def softmax(self, scores: Tensor) -> Tensor:
        return torch.cat([part.softmax(0) for part in scores.split(self.sizes)])


def naive(layer: Written, adj: Adjacency, src: Any, dst: Any = None, edge: Any = None) -> Tensor:
    """What `layer` computes, row by row on gathered tensors."""
    layer.twice = 2 * layer.scale
    layer.mean = layer.lin(torch.ones(1, FEATURES, dtype=layer.scale.dtype)).mean(0)
    dst = src if dst is None and adj.num_src == adj.num_dst else dst
    sizes = adj.ptr.diff().tolist()
    eid = torch.arange(adj.num_edges) if adj.eid is None else adj.eid.long()
    edge = each(edge, lambda t: t.unsqueeze(-1) if t.dim() == 1 else t)
    gathered = [
        each(rows, lambda t, index=index: t[index])
        for rows, index in ((src, adj.col.long()), (dst, adj.row.long()), (edge, eid))
    ]
    message = layer.f(_Gathered(layer, sizes), *gathered)
    names = [layer.reduce] if isinstance(layer.reduce, str) else layer.reduce
    results = [
        torch.stack([_reduce(part, name) for part in message.split(sizes)]) for name in names
    ]
    if len(results) == 1:
        return results[0]
    return torch.stack(results, -1) if message.dim() == 1 else torch.cat(results, -1)


def each(rows: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(rows, dict):
        return {name: function(tensor) for name, tensor in rows.items()}
    return None if rows is None else function(rows)


def _reduce(part: Tensor, name: str) -> Tensor:
    if len(part) == 0:
        return part.new_full(part.shape[1:], float(name == "mul"))
    if name == "std":
        mean = part.mean(0)
        variance = (part - mean).square().mean(0)
        return torch.where(variance > 1e-20, variance.clamp(min=1e-20).sqrt(), 0)
    functions = {"sum": torch.sum, "mean": torch.mean, "mul": torch.prod}
    if name in functions:
        return functions[name](part, 0)
    return (part.max(0) if name == "max" else part.min(0)).values


class Allocations(TorchDispatchMode):
    """The size of the largest tensor that any operator returned."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.largest = max([self.largest, *sizes])
        return out


class Large(TorchDispatchMode):
    """The operators that returned new memory of at least `limit` bytes, and the largest of all."""

    def __init__(self, limit: int):
        super().__init__()
        self.limit = limit
        self.found: list[str] = []
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        known = {t.untyped_storage().data_ptr() for t in given}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if not isinstance(leaf, Tensor) or leaf.untyped_storage().data_ptr() in known:
                continue
            size = leaf.untyped_storage().nbytes()
            self.largest = max(self.largest, size)
            if size >= self.limit:
                self.found.append(f"{func} {tuple(leaf.shape)}")
        return out


class Cube(torch.autograd.Function):
    """A function whose arguments no TorchFunctionMode sees."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x**3 * w

    @staticmethod
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        x, w = ctx.saved_tensors
        return 3 * x**2 * w * grad, (x**3 * grad).sum(0)


def _by_type(layer, src, dst, edge):
    """An expert for each third of the edges, used only where there are such edges."""
    out = torch.zeros_like(src)
    kind = (edge[:, 0] * 3).long()
    for n in range(3):
        if (kind == n).any():
            out[kind == n] = layer.lins[n](src[kind == n])
    return out


def _written_into(layer, src, dst, edge):
    src[src < 0] = 0
    edge.mul_(2)
    return src.mul_(3) + edge


def _own_gradient(layer, src, dst, edge):
    with torch.enable_grad():
        x = src.detach().requires_grad_()
        slope = torch.autograd.grad(layer.lin(x).tanh().sum(), x)[0]
    return src * slope


def _for_tensors_only(layer, src, dst, edge):
    assert isinstance(src, Tensor) and type(edge) is Tensor
    return src.contiguous().view(len(src), 2, -1).transpose(1, 2).reshape(len(src), -1) * edge


# What the two sides and the edge, each [E, FEATURES] ([E, 1] for the edge), may be made into.
ANY: dict[str, Function] = {
    "difference": lambda s, src, dst, edge: (src - dst).abs(),
    "mlp": lambda s, src, dst, edge: s.lin(src - dst).relu() * edge,
    "cat": lambda s, src, dst, edge: torch.cat([src, dst], -1),
    "sum_with_edge": lambda s, src, dst, edge: (src + edge).tanh(),
    "destination": lambda s, src, dst, edge: dst.sin(),
    "numbers": lambda s, src, dst, edge: 1 - 2 * src / (1 + edge) ** 2,
    "vector": lambda s, src, dst, edge: (src - dst).square().sum(-1),
    "columns": lambda s, src, dst, edge: src[:, 1:4] * dst[..., :3],
    "three_dimensions": lambda s, src, dst, edge: src.unsqueeze(1) * dst.unsqueeze(2),
    "where": lambda s, src, dst, edge: torch.where(src > dst, src, s.scale),
    "einsum": lambda s, src, dst, edge: torch.einsum("ef,eg->eg", src, dst),
    "matmul": lambda s, src, dst, edge: src @ s.lin.weight,
    "keyword": lambda s, src, dst, edge: F.linear(input=src, weight=s.lin.weight),
    "several_captured": lambda s, src, dst, edge: s.lin(src) * s.scale + s.lins[0](dst),
    "no_leaf": lambda s, src, dst, edge: (src - dst) * s.twice,
    "no_leaf_and_its_source": lambda s, src, dst, edge: (src - s.twice) * s.scale,
    "no_leaf_of_the_same_layer": lambda s, src, dst, edge: s.lin(src).tanh() + s.mean,
    "in_a_list": lambda s, src, dst, edge: torch.stack([src, src + s.scale], 1).mean(1),
    "own_function": lambda s, src, dst, edge: Cube.apply(src - dst, s.scale),
    "own_function_and_plain": lambda s, src, dst, edge: Cube.apply(src, s.scale) * s.scale,
    "softmax": lambda s, src, dst, edge: s.softmax(s.lin(src)) * dst,
    "softmax_of_edges": lambda s, src, dst, edge: s.softmax(edge * 2) * (src - dst),
    "by_type": _by_type,
    "written_into": _written_into,
    "own_gradient": _own_gradient,
    "for_tensors_only": _for_tensors_only,
    "squeezed": lambda s, src, dst, edge: s.lin(src - dst)[:, :1].squeeze(1),
}
