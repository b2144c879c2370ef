"""A cache of its own for each test, and an HTTP server on this machine."""

import os
import shutil
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import filelock  # noqa: F401  as another user it might not be found any more
import pytest

from gnnlib.datasets import _download


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder, and no mirror."""
    monkeypatch.delenv("GNNLIB_MIRROR", raising=False)
    monkeypatch.setenv("GNNLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unprivileged():
    """A block in which the permissions of folders apply, even if the tests run as root."""

    @contextmanager
    def block():
        user = os.geteuid()
        try:
            os.seteuid(user or 65534)
        except OSError:
            pytest.skip("root may not become another user here")
        try:
            yield
        finally:
            os.seteuid(user)

    return block()


@pytest.fixture(autouse=True)
def _no_pause_between_attempts(monkeypatch):
    monkeypatch.setattr(_download, "_PAUSE", 0)


class Server(ThreadingHTTPServer):
    """Answers GET with what `answers` has: bytes, a status, where to go, or a function."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http"
        if context is not None:
            self.scheme = "https"
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.answers: dict[str, bytes | int | str | list | Callable] = {}
        self.requests = Counter()
        self.cut = 0  # bytes to hold back from the end of each answer
        self.delay = threading.Event()  # an answer waits for it
        self.delay.set()
        self.asked = threading.Event()  # the first request has come

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self):
        self.server.requests[self.path] += 1
        self.server.asked.set()
        self.server.delay.wait(30)
        answer = self.server.answers.get(self.path, 404)
        if isinstance(answer, list):  # one answer after the other
            answer = answer.pop(0)
        if callable(answer):
            answer(self)
        elif isinstance(answer, bytes):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) - self.server.cut])
        elif isinstance(answer, str):
            self.send_response(302)
            self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, format, *args):
        pass


@contextmanager
def _running(context: ssl.SSLContext | None = None):
    with Server(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server():
    with _running() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for this machine, which no authority has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-out", paths[0], "-keyout", paths[1]], capture_output=True, check=True
    )
    return paths


@pytest.fixture
def secure_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with _running(context) as server:
        yield server
