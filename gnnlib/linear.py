"""The linear map that also takes sparse features."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .features import SparseFeatures


def glorot_(tensor: Tensor) -> Tensor:
    """Fill in place, uniform in ± sqrt(6 / (rows + columns)) of the last two dimensions."""
    bound = math.sqrt(6.0 / (tensor.shape[-2] + tensor.shape[-1]))
    return nn.init.uniform_(tensor, -bound, bound)


def check_features(x: Any, layer: nn.Linear) -> None:
    """The door of a linear map: x has its number of features, and its dtype outside autocast."""
    in_channels, dtype = layer.in_features, layer.weight.dtype
    if x.shape[-1] != in_channels:
        raise ValueError(
            f"x must have in_channels={in_channels} features, got x of shape {tuple(x.shape)}"
        )
    if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(
            f"x must have the dtype of the layer's weights, {dtype}, got {x.dtype}: use"
            f" x.to({dtype}) or layer.to({x.dtype})"
        )


def add_bias(out: Tensor, bias: Tensor | None) -> Tensor:
    """out + bias, in place where nothing can need `out` again: it must be the caller's own."""
    if bias is None:
        return out
    bias = bias.to(out.dtype)
    if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return out + bias
    return out.add_(bias)


def product(x: Any, weight: Tensor) -> Tensor:
    """x Wᵀ for dense or sparse features."""
    return x.matmul(weight.t()) if isinstance(x, SparseFeatures) else F.linear(x, weight)


class Linear(nn.Linear):
    """x Wᵀ + b for dense or sparse features: `torch.nn.Linear` with two differences.

    SparseFeatures are multiplied entry by entry, forward and backward, at the cost of their nnz;
    and the weight starts as Glorot and Bengio (2010) have it, uniform in
    ± sqrt(6 / (in_channels + out_channels)), the bias at zero, as the GNN papers do.

    Args:
        in_channels: features of x.
        out_channels: features of the result.
        bias: False leaves b out.

    Shapes:
        x: [N, in_channels]; result: [N, out_channels].

    Raises:
        ValueError: when x has another number of features.

    Example:
        >>> import torch
        >>> x = SparseFeatures.from_dense(torch.eye(3))
        >>> layer = Linear(3, 2)
        >>> torch.equal(layer(x), layer(torch.eye(3)))
        True
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True):
        for name, size in (("in_channels", in_channels), ("out_channels", out_channels)):
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be an int of at least 1, got {size!r}")
        super().__init__(in_channels, out_channels, bias)

    def reset_parameters(self) -> None:
        glorot_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Any) -> Tensor:
        if isinstance(x, SparseFeatures):
            out = self.without_bias(x)
            return out if self.bias is None else out + self.bias.to(out.dtype)
        check_features(x, self)
        return F.linear(x, self.weight, self.bias)

    def without_bias(self, x: Any) -> Tensor:
        """x Wᵀ."""
        check_features(x, self)
        return product(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
