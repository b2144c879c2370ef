"""Saving and loading the state of a training; nothing that is loaded is executed.

A checkpoint is the zip archive of `torch.save`, with a sha256 of all bytes before it as the
archive's comment. `torch.load` reads it and passes over the comment.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from .atomic import atomic_write

_SEAL = b"sha256 "
_SEAL_LENGTH = len(_SEAL) + 64


class CheckpointError(ValueError):
    """A checkpoint file that is damaged, or is none."""


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Writes `state` to `path` in one step: a reader finds the old checkpoint or the new one.

    Args:
        path: the file; its folder must exist. One process at a time may write it.
        state: tensors, numbers, strings, and dicts and lists of them.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file stays as it was.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(f"{folder}/a.ckpt", {"epoch": 3, "w": torch.ones(2)})
        ...     load_checkpoint(f"{folder}/a.ckpt")
        {'epoch': 3, 'w': tensor([1., 1.])}
    """
    # In memory first: on a full disk torch's own writer raises errors of many kinds.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(-2, os.SEEK_END)  # a zip archive ends with the length of its comment and that
    buffer.write(_SEAL_LENGTH.to_bytes(2, "little"))
    buffer.write(_seal(buffer.getbuffer()))
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `save_checkpoint` wrote, its tensors on the CPU.

    Raises:
        CheckpointError: the file is damaged or holds something else.
        OSError: there is no such file, or it cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        # Without it torch gives numbers out of nowhere for some damaged archives.
        if content[-_SEAL_LENGTH:] != _seal(memoryview(content)[:-_SEAL_LENGTH]):
            raise ValueError("its checksum is missing or wrong")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
    except Exception as error:  # torch raises nearly anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint: {reason}") from None
    return state


def _seal(content: memoryview) -> bytes:
    return _SEAL + hashlib.sha256(content).hexdigest().encode()
