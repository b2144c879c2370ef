"""Files that are either the old one or the new one, whatever happens in between."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write into, which takes the place of `path` when the block ends.

    The draft lies in the same folder, is synced and then renamed; after that the folder is synced,
    so that a power failure keeps the rename too. If the block or the disk fails, `path` is as it
    was and the draft is gone. A draft that a killed process has left is overwritten by the next
    one, so there may be one writer of a path at a time.

    A link stays one: what it points to is written.

    Raises:
        OSError: the disk is full, the folder is not there or cannot be written, or `path` is
            something else than a file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(f"{folder}/a.txt") as file:
        ...         _ = file.write(b"whole")
        ...     Path(folder, "a.txt").read_bytes()
        b'whole'
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():  # a rename would take the place of /dev/null too
        raise OSError(f"{path} must be a file to be replaced, and is none")
    draft = path.with_name(f".{path.name}.draft")
    try:
        with open(draft, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
