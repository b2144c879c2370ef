"""What a model around a model hands on of it."""

from torch import Tensor, nn

from ..graph import Graph


class Wrapper(nn.Module):
    """A model that holds another, and is trained as that one is.

    Args:
        model: the other one.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    @property
    def convs(self) -> nn.ModuleList:
        """The layers of the model."""
        return self.model.convs  # pyright: ignore[reportReturnType]

    def transition_parameters(self) -> list[nn.Parameter]:
        """The parameters inside a fixed point; none where there is none."""
        return list(getattr(self.model, "transition_parameters", list)())

    def penalty(self, graph: Graph) -> Tensor | None:
        """What the model adds to the loss, or None."""
        found = getattr(self.model, "penalty", None)
        return None if found is None else found(graph)
