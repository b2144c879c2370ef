"""Dropout of edge values, with a mask that belongs to the edges and not to their order."""

import torch
from torch import Tensor

from ._apply import form
from ._common import fold, needs_grad, refuse_batched_structure, vmap_rule
from ._fake import fake_rule

_edge_dropout = torch.ops.gnnlib.edge_dropout.default


def edge_dropout(
    x: Tensor, p: float, *, eid: Tensor | None = None, seed: Tensor | None = None
) -> Tensor:
    """Zero each value with probability p, and scale the rest by 1 / (1 − p).

    out[k, h] = 0 where hash(seed, eid[k], h) < p, else x[k, h] / (1 − p)

    Args:
        x: edge values, [E] or [E, H], in CSR order if `eid` is given.
        p: the probability, from 0 to 1.
        eid: edge id of each row, [E]: the mask is that of the edge, wherever it stands. None: row k
            is edge k.
        seed: one int64 on the device of x; None draws it from torch's generator.

    Returns:
        A tensor like x. The gradient hashes again: no mask is kept.

    Raises:
        ValueError: for a p outside [0, 1].

    Example:
        >>> edge_dropout(torch.ones(6), 0.5, seed=torch.tensor(3))
        tensor([0., 2., 2., 0., 0., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability p must lie in [0, 1], got {p}")
    if seed is None:
        seed = draw_seed(x)
    if needs_grad(x):
        return form(_EdgeDropout).apply(x, eid, p, seed)
    return _edge_dropout(x, eid, p, seed)


def draw_seed(beside: Tensor) -> Tensor:
    """Drawn where it will be read: no GPU is waited for."""
    return torch.randint(2**62, (), dtype=torch.int64, device=beside.device)


class _EdgeDropout(torch.autograd.Function):
    """Linear, and its own transpose."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, eid, p, seed):
        return _edge_dropout(x, eid, p, seed)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, eid, ctx.p, seed = inputs
        ctx.save_for_backward(eid, seed)

    @staticmethod
    def backward(ctx, grad):
        eid, seed = ctx.saved_tensors
        return edge_dropout(grad, ctx.p, eid=eid, seed=seed), None, None, None


@fake_rule("gnnlib::edge_dropout")
def _(x, eid, p, seed):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@vmap_rule("gnnlib::edge_dropout")
def _(info, in_dims, x, eid, p, seed):
    refuse_batched_structure("eid, seed", in_dims[1], in_dims[3])
    rows = fold(x, in_dims[0], info.batch_size)  # every sample gets a mask of its own, as a head
    return _edge_dropout(rows.flatten(1), eid, p, seed).reshape(rows.shape), 1
