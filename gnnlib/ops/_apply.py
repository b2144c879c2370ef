"""autograd.Functions without their overhead where torch.func has no part in the call."""

import functools
from typing import Any

import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.overrides import handle_torch_function


def form(function: type[torch.autograd.Function]) -> Any:
    """The form of a Function that is to be applied now: `form(F).apply(*args)`.

    A Function that torch.func can transform keeps `setup_context` apart from `forward`; calling
    such a one costs 0.05 to 0.1 ms for `inspect.signature` alone. Outside torch.func and
    torch.compile the same code runs as a Function of the old form.
    """
    if torch.compiler.is_compiling() or _functorch.peek_interpreter_stack() is not None:
        return function
    return visible(_eager(function))


@functools.cache
def _eager(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    def forward(ctx: Any, *args: Any) -> Any:
        output = function.forward(*args)
        function.setup_context(ctx, args, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(function.backward)}
    return type(function.__name__, (torch.autograd.Function,), members)


class _Seen:
    """A Function whose calls the active torch-function mode gets to see."""

    def __init__(self, function: type[torch.autograd.Function]):
        self.function = function

    def apply(self, *args: Any) -> Any:
        return handle_torch_function(self.function.apply, (), *args)


def visible(function: type[torch.autograd.Function]) -> Any:
    """The Function as torch-function modes see torch's own: `visible(F).apply(*args)`.

    What a message or an iteration takes from outside is found by such a mode.
    """
    return _Seen(function) if torch._C._len_torch_function_stack() else function
