"""Reads arrays of numbers from .npy files, and from .npz files, which are zip archives of them.

Nothing of a file is executed: its headers are matched, not evaluated, and arrays of objects, which
would be pickles, are refused. Nothing is allocated before the bytes for it are there.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._archive import members
from ._errors import DatasetError

_HEADER = re.compile(
    rb"\x93NUMPY(?:\x01\x00(?P<short>..)|[\x02\x03]\x00(?P<long>....))"
    rb"\{'descr': '(?P<dtype>[^']{1,9})', 'fortran_order': (?P<order>False|True), "
    rb"'shape': \((?P<rows>\d{1,10}),(?: (?P<columns>\d{1,10}))?\), \} *\n",
    re.DOTALL,
)
_DTYPES = re.compile(r"[<|](b1|[iu][1248]|f[248])")


def arrays(data: bytes, source: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays `names` of the .npz file `data`; no other member is looked at.

    Args:
        source: the name of the file, for errors.

    Raises:
        DatasetError: the file is damaged or unpacks to too much, or an array is missing or is not
            one of booleans, integers or floating numbers.

    Example:
        >>> import io
        >>> np.savez(buffer := io.BytesIO(), labels=np.array([1, 0, 2]))
        >>> arrays(buffer.getvalue(), "small.npz", ["labels"])
        {'labels': array([1, 0, 2])}
    """
    found = members(data, source, [f"{name}.npy" for name in names])
    return {name: array(found[f"{name}.npy"], f"{source}: {name}") for name in names}


def features(data: bytes, source: str, num_nodes: int) -> Tensor:
    """The [num_nodes, F] finite float32 numbers of the .npy file `data`.

    Raises:
        DatasetError: it holds something else.
    """
    values = array(data, source)
    if values.ndim != 2 or len(values) != num_nodes:
        raise DatasetError(
            f"{source} must have shape [{num_nodes}, F], one row per node; got {values.shape}"
        )
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise DatasetError(f"{source} must hold finite float32 numbers")
    return torch.from_numpy(values)


def array(data: bytes, source: str) -> np.ndarray:
    """The vector or matrix in the .npy file `data`.

    Raises:
        DatasetError: the file is damaged, or holds no booleans, integers or floating numbers.
    """
    header = _HEADER.match(data)
    if header is None or header.end() != _header_end(header):
        raise DatasetError(f"{source} is no vector or matrix in the npy format")
    dtype = header["dtype"].decode("latin1")
    if not _DTYPES.fullmatch(dtype):
        raise DatasetError(f"{source} must hold numbers or booleans, got dtype {dtype!r}")
    shape = tuple(int(size) for size in (header["rows"], header["columns"]) if size)
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    content = data[header.end() :]
    if len(content) != wanted:
        raise DatasetError(
            f"{source} must have {wanted} bytes for dtype {dtype} and shape {shape},"
            f" got {len(content)}"
        )
    if dtype[1:] == "b1" and max(content, default=0) > 1:
        raise DatasetError(f"{source} must hold booleans, got a byte of {max(content)}")
    array = np.frombuffer(content, dtype) if content else np.empty(0, dtype)
    return array.reshape(shape, order="F" if header["order"] == b"True" else "C")


def _header_end(header: re.Match) -> int:
    """Where the header says that it ends."""
    length = header["short"] or header["long"]
    return 8 + len(length) + int.from_bytes(length, "little")
