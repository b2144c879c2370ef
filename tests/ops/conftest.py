"""Which kernels the tests of the operators run on: those of the CPU; those of a GPU in the
emulation, on any machine with a compiler; and those of a GPU where there is one.

`pytest -k "not emu"` leaves the emulation out; a test marked `cpu` knows no other kernels.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
import torch

from gnnlib import _extension
from tests import emulation

KINDS = ["cpu"]
# The clones of the CPU are asked for to be tested, not the rest.
if _extension.has_kernels and not os.environ.get("GNNLIB_CPU_CAPABILITY"):
    if shutil.which(os.environ.get("CXX", "c++").split()[0]):
        KINDS.append("emu")
    if _extension.has_cuda_kernels() and torch.cuda.is_available():
        KINDS.append("cuda")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_cpu = metafunc.definition.get_closest_marker("cpu")
    metafunc.parametrize("kernels", KINDS[:1] if on_cpu else KINDS, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """'cpu', 'emu' or 'cuda'; for the last, tensors are made on the GPU unless told otherwise."""
    if request.param == "emu":
        with emulation.emulated():
            yield request.param
    elif request.param == "cuda":
        torch.set_default_device("cuda")
        yield request.param
        torch.set_default_device(None)
    else:
        yield request.param


@pytest.fixture(autouse=True)
def _one_thread(_same_start: None) -> None:
    # The sizes are tiny, and threads only wait for another; tests/conftest.py puts it back.
    torch.set_num_threads(1)
