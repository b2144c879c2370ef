"""GlobalAttention: the readout of Li et al."""

from torch import Tensor, nn

from .. import ops
from .._graphwise import segments
from ..graph import Graph


class GlobalAttention(nn.Module):
    """Sum over the nodes of each graph, weighted by attention.

    out[b] = Σ over nodes v of graph b of α[v] ⊙ h(x[v]),  α = softmax within each graph of g(x)

    where g is `gate_nn` and h is `nn`, the identity if it is None. A gate of one number weighs the
    whole row of a node, one of F numbers each feature on its own. PyG calls it
    `AttentionalAggregation`; the `state_dict` is the same.

    `pool(x, graph)`: graph is a Batch, or a Graph, which is one graph.

    Args:
        gate_nn: a module from rows [N, in_channels] to [N, 1], or [N, F].
        nn: a module from rows [N, in_channels] to [N, F], or None.

    Shapes:
        x: [N, in_channels]; result: [B, F]. A graph without nodes has 0.

    Raises:
        TypeError: an x that is no floating tensor, or a graph of another kind.
        ValueError: an x without one row per node, or a gate of another width.

    From "Gated Graph Sequence Neural Networks" (Li, Tarlow, Brockschmidt and Zemel, ICLR 2016),
    whose gate is a sigmoid: with the softmax the weights of a graph sum to 1.

    Example:
        >>> import torch
        >>> graph = Graph([[0, 1], [1, 2]], x=torch.randn(3, 8))
        >>> GlobalAttention(torch.nn.Linear(8, 1))(graph.x, graph).shape
        torch.Size([1, 8])
    """

    def __init__(self, gate_nn: nn.Module, nn: nn.Module | None = None):
        super().__init__()
        self.gate_nn = gate_nn
        self.nn = nn

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        for module in self.modules():
            if module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        ptr = segments(x, graph)
        gate = self.gate_nn(x)
        rows = x if self.nn is None else self.nn(x)
        if gate.dim() != 2 or gate.shape[1] not in (1, rows.shape[-1]):
            raise ValueError(
                f"gate_nn must give one number per node, or {rows.shape[-1]} as there are features,"
                f" got shape {tuple(gate.shape)} for {x.shape[0]} nodes"
            )
        weights = ops.segment_softmax(ptr, gate).to(rows.dtype)
        return ops.segment_reduce(ptr, weights * rows)
