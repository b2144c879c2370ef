"""Rescaled: a model's outputs in the unit of what it predicts."""

from torch import Tensor, nn

from ..conv.gin_conv import reset_network
from ..features import SparseFeatures
from ..graph import Graph
from ._wrapper import Wrapper


class Rescaled(Wrapper):
    """out = shift + scale ⊙ model(x, graph): a model of standardised numbers predicts real ones.

    With the mean of the training labels as shift and their standard deviation as scale the model
    inside has outputs of mean 0 and deviation 1 to find, whatever the unit is. Both are kept in the
    `state_dict`, and are not trained.

    `model(x, graph)`: as the model inside.

    Args:
        model: gives rows of T numbers.
        shift: T numbers.
        scale: T numbers.

    Raises:
        ValueError: shift and scale are no two tensors of one length.

    Example:
        >>> import torch
        >>> from gnnlib.models import GCN
        >>> graph = Graph([[0, 1], [1, 2]], x=torch.zeros(3, 4))
        >>> model = Rescaled(GCN(4, 8, 1), shift=torch.tensor([20.0]), scale=torch.tensor([3.0]))
        >>> model(graph.x, graph).flatten().tolist()
        [20.0, 20.0, 20.0]
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, model: nn.Module, shift: Tensor, scale: Tensor):
        super().__init__(model)
        if shift.ndim != 1 or scale.shape != shift.shape:
            raise ValueError(
                "shift and scale must each have one number per output, got shapes "
                f"{tuple(shift.shape)} and {tuple(scale.shape)}"
            )
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())

    def forward(self, x: Tensor | SparseFeatures, graph: Graph, **edge: Tensor) -> Tensor:
        """Outputs of the model, rescaled; edge tensors go to it."""
        return self.shift + self.scale * self.model(x, graph, **edge)

    def reset_parameters(self) -> None:
        """Draws every parameter anew; shift and scale stay."""
        reset_network(self.model)
