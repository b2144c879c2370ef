"""Jumping knowledge: what all layers found, joined."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import unknown_choice

MODES = ("cat", "max", "lstm")


class JumpingKnowledge(nn.Module):
    """Joins the representations h⁽¹⁾ … h⁽ᵀ⁾ that the layers of a network gave each node.

    - 'cat': h⁽¹⁾ ‖ … ‖ h⁽ᵀ⁾;
    - 'max': the largest of each feature;
    - 'lstm': Σ_t α⁽ᵗ⁾ h⁽ᵗ⁾, α = softmax over t of `att`(s⁽ᵗ⁾), where s⁽ᵗ⁾ is the state of `lstm`,
      which reads the layers of a node in both directions.

    `layer(xs)`: a list of T tensors, one a layer.

    Args:
        mode: 'cat', 'max' or 'lstm'.
        channels: features F of each representation; for 'lstm' alone.
        num_layers: T, likewise.

    Shapes:
        xs: T times [N, F]; result: [N, T · F] for 'cat', else [N, F].

    Raises:
        ValueError: for an unknown mode, 'lstm' without channels and num_layers, or an empty list.

    Paper: "Representation Learning on Graphs with Jumping Knowledge Networks", ICML 2018.

    Example:
        >>> xs = [torch.tensor([[1.0, 4.0]]), torch.tensor([[3.0, 2.0]])]
        >>> JumpingKnowledge("cat")(xs), JumpingKnowledge("max")(xs)
        (tensor([[1., 4., 3., 2.]]), tensor([[3., 4.]]))
    """

    def __init__(self, mode: str, channels: int | None = None, num_layers: int | None = None):
        super().__init__()
        if mode not in MODES:
            raise unknown_choice("mode", mode, MODES)
        self.mode = mode
        if mode == "lstm":
            if channels is None or num_layers is None:
                raise ValueError("mode 'lstm' needs channels and num_layers")
            if num_layers * channels < 2:
                raise ValueError(
                    "num_layers * channels must be at least 2 for mode 'lstm', got"
                    f" {num_layers} * {channels}"
                )
            hidden = num_layers * channels // 2
            self.lstm = _BothWays(channels, hidden)
            self.att = nn.Linear(2 * hidden, 1)

    def reset_parameters(self) -> None:
        for module in self.children():
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        if not xs:
            raise ValueError("xs must hold the rows of at least one layer, got none")
        if self.mode == "cat":
            return torch.cat(list(xs), dim=-1)
        x = torch.stack(list(xs), dim=1)  # [N, T, F]
        if self.mode == "max":
            return x.max(dim=1).values
        alpha = self.att(self.lstm(x)).softmax(dim=1)  # [N, T, 1]
        return (x * alpha.to(x.dtype)).sum(1)

    def extra_repr(self) -> str:
        return repr(self.mode)


class _BothWays(nn.Module):
    """`torch.nn.LSTM(…, bidirectional=True)` step by step, which compiles in one graph and has
    second gradients. Its parameters have the same names, shapes and first values."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        shapes = {
            "weight_ih": (4 * hidden, channels),
            "weight_hh": (4 * hidden, hidden),
            "bias_ih": (4 * hidden,),
            "bias_hh": (4 * hidden,),
        }
        self.hidden = hidden
        for direction in ("", "_reverse"):
            for name, shape in shapes.items():
                self.register_parameter(f"{name}_l0{direction}", nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.hidden**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """The states [N, T, 2 · hidden] of the sequences x [N, T, F]."""
        states = self._read(x, "_l0"), self._read(x.flip(1), "_l0_reverse").flip(1)
        return torch.cat(states, dim=-1)

    def _read(self, x: Tensor, direction: str) -> Tensor:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w_ih, w_hh, b_ih, b_hh = (getattr(self, name + direction) for name in names)
        inputs = F.linear(x, w_ih, b_ih + b_hh).unbind(1)
        state = cell = inputs[0].new_zeros(x.shape[0], self.hidden)
        states = []
        for step in inputs:
            enter, forget, new, leave = (step + F.linear(state, w_hh)).chunk(4, dim=-1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = leave.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, dim=1)
