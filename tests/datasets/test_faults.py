"""What a server can do wrong: each time a good file or one typed error, and nothing in between."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gnnlib.datasets import CATALOGUE, DatasetError, DownloadError, _download
from tests.datasets.conftest import Server

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RELATIVE = "citation/planetoid_cora/ind.cora.x"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT)
HALF = CONTENT[: len(CONTENT) // 2]


def raw(*parts: bytes, pause: float = 0) -> Callable:
    """An answer of these bytes, with a pause after each part, and then a hang-up."""

    def answer(handler) -> None:
        handler.close_connection = True
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(pause)

    return answer


STALL = 0.6  # seconds; twice what the client waits for

FAULTS = {
    "503 twice": ([503, 503, CONTENT], None),
    "503 for ever": ([503] * 3, "HTTP status 503"),
    "half a file, then all": ([raw(HEAD, HALF), CONTENT], None),
    "half a file for ever": ([raw(HEAD, HALF)] * 3, "no connection, or it broke"),
    "half a file that claims to be whole": (HALF, "is refused: sha256 must be"),
    "half a file without a length": (raw(b"HTTP/1.0 200 OK\r\n\r\n", HALF), "is refused: sha256"),
    "a stall before the answer": ([raw(b"", HEAD, pause=STALL)] * 3, "timed out"),
    "a stall in the middle": ([raw(HEAD, HALF, b"", pause=STALL)] * 3, "timed out|it broke"),
    "a stall, then all": ([raw(HEAD, HALF, b"", pause=STALL), CONTENT], None),
    "a hang-up": ([raw()] * 3, "no connection, or it broke"),
    "a hang-up, then all": ([raw(), CONTENT], None),
    "no HTTP": ([raw(b"220 ftp ready\r\n\r\n")] * 3, "no connection, or it broke"),
    "one byte more": (CONTENT + b"\0", "is refused: sha256 must be"),
    "another file of the same length": (CONTENT[::-1], "is refused: sha256 must be"),
    "a page that says it is not there": (404, "HTTP status 404"),
    "a page to log in": (b"<html>please log in</html>", "is refused: sha256 must be"),
    "a redirect to a file that is right": ("file://{right}", "redirect to .* is refused"),
    "a redirect to itself": (f"/{RELATIVE}", "redirect to .* is refused"),
    "a redirect to no address": ("http://[", "redirect to .* is refused: not https"),
    "packed bytes that are none": (
        raw(HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), CONTENT),
        "refused|decode|broke|gzip",
    ),
}


@pytest.fixture
def upstream(server, cache, monkeypatch) -> Server:
    monkeypatch.setenv("GNNLIB_MIRROR", server.url)
    monkeypatch.setattr(_download, "_TIMEOUT", (STALL / 2, STALL / 2))
    return server


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_in_a_good_file_or_one_typed_error(fault, upstream, cache, tmp_path):
    answer, message = FAULTS[fault]
    (tmp_path / "right").write_bytes(CONTENT)
    if isinstance(answer, str):
        answer = answer.format(right=tmp_path / "right")
    upstream.answers[f"/{RELATIVE}"] = list(answer) if isinstance(answer, list) else answer
    target = cache / RELATIVE
    if message is None:
        assert get() == target
        assert target.read_bytes() == CONTENT
    else:
        with pytest.raises(DatasetError, match=message) as info:
            get()
        assert info.value.__cause__ is None
        assert not target.exists()
    left = {path.name for path in target.parent.iterdir()} - {".lock"}
    assert left == ({target.name} if message is None else set())


def get() -> Path:
    return _download.fetch("citation", "planetoid_cora", "ind.cora.x", SHA256, ())


def test_a_certificate_that_nobody_vouches_for_is_refused(cache, secure_server, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", secure_server.url)
    secure_server.answers[f"/{RELATIVE}"] = CONTENT
    with pytest.raises(DownloadError, match="its certificate is not valid"):
        get()
    assert not (cache / RELATIVE).exists()


# Eight processes on an empty cache. They are forks of one that has imported what they need.

FORKS = """
import os
from gnnlib.datasets import CATALOGUE
from gnnlib.datasets import _download
import filelock, pooch, requests
def work():
    {work}
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        os.write(1, b"ready\\n")  # one write: print makes two where Python is unbuffered
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(codes, flush=True)
"""


def run_forks(work: str, server: Server) -> None:
    """Eight processes at once; the server answers when all of them have begun."""
    server.delay.clear()
    command = [sys.executable, "-W", "ignore", "-c", FORKS.format(work=work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(8)] == ["ready\n"] * 8
        assert server.asked.wait(30)
        server.delay.set()
        assert process.stdout.read() == f"{[0] * 8}\n"


def test_eight_processes_download_a_file_once(upstream, cache):
    upstream.answers[f"/{RELATIVE}"] = CONTENT
    fetch = "_download.fetch('citation', 'planetoid_cora', 'ind.cora.x', {!r}, ()).read_bytes()"
    run_forks(fetch.format(SHA256), upstream)
    assert upstream.requests == {f"/{RELATIVE}": 1}
    assert (cache / RELATIVE).read_bytes() == CONTENT


def test_eight_processes_download_cora_once(upstream, cache, mirror):
    folder = mirror / "citation" / "planetoid_cora"
    files = {f"/citation/{folder.name}/{path.name}": path for path in folder.glob("ind.cora.*")}
    upstream.answers.update({name: path.read_bytes() for name, path in files.items()})
    run_forks("assert CATALOGUE['cora'].open()[0].num_edges == 10556", upstream)
    assert upstream.requests == dict.fromkeys(files, 1)
    assert CATALOGUE["cora"].cached()
    assert not list(cache.rglob("*.part"))
