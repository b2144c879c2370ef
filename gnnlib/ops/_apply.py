"""autograd.Functions without their overhead where torch.func has no part in the call."""

import functools
from typing import Any

import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.overrides import handle_torch_function


def form(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """The form of a Function that is to be applied now: `form(F).apply(*args)`.

    A Function that torch.func can transform keeps `setup_context` apart from `forward`; calling
    such a one costs 0.05 to 0.1 ms for `inspect.signature` alone. Outside torch.func and
    torch.compile the same code runs as a Function of the old form.
    """
    if torch.compiler.is_compiling() or _functorch.peek_interpreter_stack() is not None:
        return function
    return _eager(function)


@functools.cache
def _eager(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    def forward(ctx: Any, *args: Any) -> Any:
        output = function.forward(*args)
        function.setup_context(ctx, args, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(function.backward)}
    return visible(type(function.__name__, (torch.autograd.Function,), members))


def visible(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """The Function, its calls seen by the torch-function modes, as those of torch's own functions
    are: what a message or an iteration takes from outside is found by such a mode."""
    apply = function.apply

    def seen(*args: Any) -> Any:
        if torch._C._len_torch_function_stack() > 0:
            return handle_torch_function(apply, (), *args)
        return apply(*args)

    function.apply = staticmethod(seen)  # pyright: ignore[reportAttributeAccessIssue]
    return function
