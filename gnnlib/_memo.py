"""Values computed once per structure and kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.utils.weak import WeakIdKeyDictionary


def is_tracing() -> bool:
    """True inside torch.compile, torch.export and torch.func.

    A value made there must not be kept: it stands for a placeholder or a wrapped tensor that is
    meaningless outside. Nor may Python branch on data there.
    """
    if torch.compiler.is_compiling():
        return True
    return _functorch.peek_interpreter_stack() is not None


def memo(kept: dict[Any, Any], key: Any, build: Callable[[], Any]) -> Any:
    """kept[key], built and kept if it is not there; while tracing, nothing is added."""
    if key in kept:
        return kept[key]
    if is_tracing():
        return build()
    with torch.inference_mode(False), torch.no_grad():  # later uses may need gradients
        value = build()
    kept[key] = value
    return value


def memo_of_tensor(
    kept: WeakIdKeyDictionary, tensor: Tensor, key: tuple, build: Callable[[], Any]
) -> Any:
    """The value of `build()`, kept as long as `tensor` lives, nobody writes into it and `key` is
    the same. Where tensors have no version, and while tracing, nothing is kept.

    A value that holds `tensor` keeps it alive, and so itself.
    """
    if is_tracing() or tensor.is_inference():
        return build()
    key = (tensor._version, *key)
    found = kept.get(tensor)
    if found is None or found[0] != key:
        with torch.inference_mode(False), torch.no_grad():
            found = key, build()
        kept[tensor] = found
    return found[1]
