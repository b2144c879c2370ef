"""Finds the layer, and the node, where a training stops being finite."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


@contextmanager
def finite_checked(model: nn.Module) -> Iterator[None]:
    """While the block runs, what is not finite inside `model` raises an error that names its place.

    Looked at, in the order in which they are computed: each module's output, innermost first; in
    backward the gradient of each output, and of each parameter. Each look waits for the device.

    Raises:
        FloatingPointError: with the module's dotted name, what came out of it, and the first node
            (row of the output); or with the parameter whose gradient it was.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> with finite_checked(model):
        ...     _ = model(torch.tensor([[0.0, 0.0], [float("nan"), 0.0]]))
        Traceback (most recent call last):
        FloatingPointError: layer '0' (Linear) is the first that is not finite: its output is nan
        at node 1
    """
    hooks = [
        module.register_forward_hook(
            partial(_check_output, f"layer {name!r}" if name else "the model")
        )
        for name, module in model.named_modules()
    ]
    hooks += [
        parameter.register_post_accumulate_grad_hook(partial(_check_parameter, name))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _check_output(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    layer = f"{name} ({type(module).__name__})"
    output_is = f"{layer} is the first that is not finite: its output"
    gradient_is = f"{layer} is the first without a finite gradient: that of its output"
    for tensor in tree_leaves(output):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            continue
        _check(output_is, tensor)
        if tensor.requires_grad:
            tensor.register_hook(partial(_check, gradient_is))


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    if parameter.grad is not None and not parameter.grad.isfinite().all():
        bad = parameter.grad[~parameter.grad.isfinite()]
        raise FloatingPointError(
            f"the gradient of parameter {name!r} is not finite: "
            f"{bad.numel()} of its {parameter.numel()} entries, the first of them {bad[0].item()}"
        )


def _check(what: str, tensor: Tensor) -> None:
    bad = ~tensor.detach().isfinite()
    if bad.any():
        first = tuple(bad.nonzero()[0].tolist())
        where = f" at node {first[0]}" if first else ""
        raise FloatingPointError(f"{what} is {tensor.detach()[first].item()}{where}")
