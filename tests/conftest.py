"""What every test finds: fixed seeds, its share of the cores, a cache of its own, no network.

Real data come by the `mirror` fixture alone, so that a machine that has them cannot skip them.
"""

import ipaddress
import os
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

_CACHE = pytest.StashKey[str]()
_MIRROR = os.environ.get("GNNLIB_MIRROR", "")  # as given: tests set and unset the variable

hypothesis.settings.register_profile(
    "gnnlib",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("gnnlib")


def pytest_configure(config: pytest.Config) -> None:
    # Here rather than in fixtures, which would not reach the examples of the docstrings.
    _block_network()
    # A shell's background job is started with Ctrl-C ignored, and so would be all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    threads = max(1, (os.cpu_count() or 1) // workers)
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for the processes that tests start
    if not hasattr(config, "workerinput"):  # workers inherit the folder
        config.stash[_CACHE] = os.environ["GNNLIB_CACHE"] = tempfile.mkdtemp(prefix="gnnlib-test-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CACHE in config.stash:
        shutil.rmtree(config.stash[_CACHE], ignore_errors=True)


def _block_network() -> None:
    """Only this machine can be reached; for anything else the network is down."""
    connect, connect_ex, resolve = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def check(host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if name in (None, "", "localhost"):
            return
        try:
            local = ipaddress.ip_address(str(name)).is_loopback
        except ValueError:
            local = False
        if not local:
            raise OSError(f"tests have no network: connection to {name!r} refused")

    def guarded(function):
        def call(self: socket.socket, address):
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return function(self, address)

        return call

    def guarded_resolve(host, *args, **kwargs):
        check(host)
        return resolve(host, *args, **kwargs)

    socket.socket.connect = guarded(connect)
    socket.socket.connect_ex = guarded(connect_ex)
    socket.getaddrinfo = guarded_resolve


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Seeds, and the global settings of torch that a test may change."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries draw from the global generator)
    torch.manual_seed(0)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real data, `<category>/<dataset>/<file>`; without one the test is skipped."""
    if not _MIRROR:
        pytest.skip("real data: GNNLIB_MIRROR is not set")
    if "://" in _MIRROR:
        pytest.skip("real data: GNNLIB_MIRROR is a URL, and tests have no network")
    if not Path(_MIRROR).is_dir():
        pytest.fail(f"GNNLIB_MIRROR is not a folder: {_MIRROR!r}", pytrace=False)
    return Path(_MIRROR)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A test of real data that is skipped although the mirror is there has failed."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    on_real_data = "mirror" in getattr(item, "fixturenames", ())
    if skipped and on_real_data and _MIRROR and Path(_MIRROR).is_dir():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped although GNNLIB_MIRROR has the data: {reason}"
    return report


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes, str], Path]:
    """Puts a text, or bytes, into a file of that name, and gives its path."""

    def write(text: str | bytes, name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write
