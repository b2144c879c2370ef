"""Loads the compiled operators; the only place that knows what was built.

The operators live in `torch.ops.gnnlib`. A package built with `GNNLIB_BUILD_EXT=0` has no compiled
library: the same operators are then defined here, on the plain-torch code of `ops/reference.py`.
"""

import ctypes
import os
import warnings
from pathlib import Path

import torch

_LIBRARY = Path(__file__).parent / "_C.abi3.so"

CAPABILITIES = ("avx512", "avx2", "baseline")

has_kernels = _LIBRARY.exists()
"""True when the package has its compiled kernels."""

_fallback: list[torch.library.Library] = []  # a Library unregisters its operators when collected


def _load() -> None:
    wanted = os.environ.get("GNNLIB_CPU_CAPABILITY", "")
    if wanted not in ("", *CAPABILITIES):
        names = ", ".join(CAPABILITIES)
        raise ValueError(f"GNNLIB_CPU_CAPABILITY must be one of {names}; got {wanted!r}")
    if has_kernels:
        torch.ops.load_library(_LIBRARY)
        return
    from .ops import reference
    from .ops._schema import SCHEMAS

    library = torch.library.Library("gnnlib", "DEF")
    for name, schema in SCHEMAS.items():
        library.define(name + schema)
        library.impl(name, getattr(reference, name), "CPU")
        library.impl(name, getattr(reference, name), "CUDA")
    _fallback.append(library)
    warnings.warn(
        "gnnlib runs without its compiled kernels, on plain torch: correct, but slow and with"
        " E×F memory. `GNNLIB_BUILD_EXT=1 pip install --no-build-isolation --force-reinstall"
        " --no-deps gnnlib` builds them.",
        stacklevel=3,
    )


def cpu_capability() -> str:
    """The clone of the CPU kernels in use: 'avx512', 'avx2' or 'baseline' ('reference': none).

    The environment variable `GNNLIB_CPU_CAPABILITY`, read when gnnlib is imported, lowers it.

    Example:
        >>> cpu_capability() in ("avx512", "avx2", "baseline", "reference")
        True
    """
    if not has_kernels:
        return "reference"
    function = ctypes.CDLL(str(_LIBRARY)).gnnlib_cpu_capability
    function.restype = ctypes.c_char_p
    return function().decode()


def has_cuda_kernels() -> bool:
    """True when the package was built with its CUDA kernels."""
    return has_kernels and bool(ctypes.CDLL(str(_LIBRARY)).gnnlib_has_cuda())


_load()
