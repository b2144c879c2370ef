"""Files come from the cache, the mirror or upstream, whole and with the right checksum, or not."""

import hashlib
import os
import shutil
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gnnlib.datasets import CacheError, DatasetError, DownloadError, _download
from gnnlib.datasets._download import cache_root, fetch

CONTENT = b"some bytes\n" * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RELATIVE = "citation/planetoid_cora/ind.cora.x"


def get(root=None, urls=()) -> Path:
    return fetch("citation", "planetoid_cora", "ind.cora.x", SHA256, urls, root)


def put(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / RELATIVE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files(folder: Path) -> list[str]:
    """Everything in a cache but its lock, which is empty."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert all(path.stat().st_size == 0 for path in found if path.name == ".lock")
    return sorted(str(path.relative_to(folder)) for path in found if path.name != ".lock")


@pytest.fixture
def upstream(server, cache, monkeypatch):
    """The server in the place of the mirror; it has the file."""
    monkeypatch.setenv("GNNLIB_MIRROR", server.url)
    server.answers[f"/{RELATIVE}"] = CONTENT
    return server


def test_the_cache_is_the_argument_or_the_variable_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("GNNLIB_CACHE", str(tmp_path / "variable"))
    assert cache_root(tmp_path / "argument") == tmp_path / "argument"
    assert cache_root() == tmp_path / "variable"
    monkeypatch.delenv("GNNLIB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "gnnlib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / ".cache" / "gnnlib"
    assert cache_root("~/data") == tmp_path / "home" / "data"


def test_a_file_in_the_cache_is_used_as_it_is(cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(cache / "nowhere"))
    path = put(cache)
    assert get() == path
    assert files(cache) == [RELATIVE]


@pytest.mark.parametrize("as_url", [False, True])
def test_a_mirror_that_is_a_folder_is_read_in_place(cache, tmp_path, monkeypatch, as_url):
    mirror = tmp_path / "mirror with space"
    path = put(mirror)
    monkeypatch.setenv("GNNLIB_MIRROR", mirror.as_uri() if as_url else str(mirror))
    assert get() == path
    assert not cache.exists()


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_that_is_a_url_fills_the_cache_once(upstream, cache, monkeypatch, ending):
    monkeypatch.setenv("GNNLIB_MIRROR", upstream.url + ending)
    assert get() == get() == cache / RELATIVE
    assert (cache / RELATIVE).read_bytes() == CONTENT
    assert upstream.requests == {f"/{RELATIVE}": 1}
    assert files(cache) == [RELATIVE]


def test_a_cached_file_is_readable_for_whom_the_umask_allows(upstream, cache):
    before = os.umask(0o027)
    try:
        mode = get().stat().st_mode
    finally:
        os.umask(before)
    assert stat.S_IMODE(mode) == 0o640


def test_a_damaged_file_in_the_cache_is_replaced(upstream, cache):
    put(cache, CONTENT[:-1])
    assert get().read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_named_when_there_is_no_other(cache):
    put(cache, CONTENT[:-1])
    with pytest.raises(DownloadError, match=f"sha256 must be {SHA256}, got "):
        get()


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"?", b"", b"cos\nsystem\n."])
def test_wrong_bytes_in_a_mirror_are_refused(cache, tmp_path, monkeypatch, server, content):
    put(tmp_path / "mirror", content)
    server.answers[f"/{RELATIVE}"] = content
    for mirror in (str(tmp_path / "mirror"), server.url):
        monkeypatch.setenv("GNNLIB_MIRROR", mirror)
        with pytest.raises(
            DatasetError, match=f"is refused: sha256 must be {SHA256}, got "
        ) as info:
            get()
        assert not isinstance(info.value, DownloadError)
        assert mirror in str(info.value)
        assert files(cache) == []


def test_a_connection_that_breaks_is_tried_again_and_leaves_nothing(upstream, cache):
    upstream.cut = 1
    with pytest.raises(DownloadError, match="no connection, or it broke"):
        get()
    assert upstream.requests[f"/{RELATIVE}"] == 3
    assert files(cache) == []


def test_an_error_of_the_server_is_tried_again(upstream, cache):
    upstream.answers[f"/{RELATIVE}"] = [503, 500, CONTENT]
    assert get().read_bytes() == CONTENT


def test_a_file_that_a_server_does_not_have_is_asked_for_once(upstream):
    upstream.answers.clear()
    with pytest.raises(DownloadError, match=f"{upstream.url}/{RELATIVE}: HTTP status 404"):
        get()
    assert upstream.requests[f"/{RELATIVE}"] == 1


def test_a_redirect_to_anything_but_https_is_not_followed(upstream, cache):
    upstream.answers["/elsewhere"] = CONTENT
    for target in (f"{upstream.url}/elsewhere", "/elsewhere", "file:///etc/passwd", "ftp://x/y"):
        upstream.answers[f"/{RELATIVE}"] = target
        with pytest.raises(DownloadError, match=r"redirect to .* is refused: not https"):
            get()
    assert upstream.requests["/elsewhere"] == 0
    assert files(cache) == []


def test_upstream_must_be_https(cache):
    with pytest.raises(ValueError, match="urls must all be https"):
        get(urls=["http://127.0.0.1/x"])


def test_a_certificate_that_nobody_vouches_for_is_refused(cache, secure_server):
    secure_server.answers["/x"] = CONTENT
    with pytest.raises(DownloadError, match="its certificate is not valid"):
        get(urls=[f"{secure_server.url}/x"])
    assert not secure_server.requests
    assert files(cache) == []


def test_upstream_comes_after_the_mirror_and_may_redirect_to_https(
    server, secure_server, cache, certificate, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    monkeypatch.setenv("GNNLIB_MIRROR", server.url)
    secure_server.answers |= {"/a": 404, "/b": "/c", "/c": CONTENT}
    path = get(urls=[f"{secure_server.url}/{name}" for name in "ab"])
    assert path.read_bytes() == CONTENT
    assert server.requests == {f"/{RELATIVE}": 1}
    assert list(secure_server.requests) == ["/a", "/b", "/c"]


def test_a_redirect_from_https_to_http_is_not_followed(
    server, secure_server, cache, certificate, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    secure_server.answers["/x"] = f"{server.url}/x"
    with pytest.raises(DownloadError, match="not https"):
        get(urls=[f"{secure_server.url}/x"])
    assert not server.requests


def test_more_bytes_than_any_dataset_has_are_cut_off(upstream, cache, monkeypatch):
    monkeypatch.setattr(_download, "_LARGEST", 100_000)
    with pytest.raises(DatasetError, match="more than 100000 bytes is refused"):
        get()
    assert files(cache) == []


def test_without_a_network_the_error_says_what_was_tried_and_what_to_do(
    cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("GNNLIB_MIRROR", str(tmp_path / "empty"))
    with pytest.raises(DownloadError) as info:
        get(urls=["https://nowhere.invalid/x"])
    assert str(info.value) == (
        f"planetoid_cora needs the file ind.cora.x, which could not be had ({cache}/{RELATIVE}: "
        f"no such file or directory; {tmp_path}/empty/{RELATIVE} (from GNNLIB_MIRROR): no such "
        "file or directory; https://nowhere.invalid/x: no connection, or it broke); set "
        f"GNNLIB_MIRROR to a folder or URL that holds {RELATIVE}, or put the file at "
        f"{cache}/{RELATIVE}"
    )
    assert info.value.__suppress_context__ or info.value.__context__ is None
    assert files(cache) == []


def test_a_mirror_of_another_kind_is_refused(cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", "ftp://host/folder")
    with pytest.raises(DatasetError, match=r"GNNLIB_MIRROR must be .* got 'ftp://host/folder'"):
        get()


# The cache folder cannot be written.


@pytest.fixture
def read_only():
    """A folder that may be read and not be written, and that contains a file already."""
    folder = Path(tempfile.mkdtemp(prefix="gnnlib-read-only-"))
    put(folder)
    inside = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in inside:
        path.chmod(0o555)
    yield folder
    for path in inside:
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_cache_is_one_clear_error_before_anything_is_downloaded(
    upstream, read_only, unprivileged, monkeypatch
):
    monkeypatch.setenv("GNNLIB_CACHE", str(read_only))
    folder = read_only / "citation" / "planetoid_cora"
    with unprivileged, pytest.raises(CacheError) as info:
        fetch("citation", "planetoid_cora", "ind.cora.y", SHA256, ())
    assert str(info.value) == (
        f"the dataset cache cannot be written: {folder}: Permission denied; "
        "set GNNLIB_CACHE to a folder that can be written"
    )
    assert isinstance(info.value, PermissionError)
    assert not upstream.requests


def test_a_read_only_cache_can_still_be_read(upstream, read_only, unprivileged):
    with unprivileged:
        if not os.access(read_only, os.R_OK, effective_ids=True):
            pytest.skip("the folder for temporary files is closed to other users")
        assert get(read_only) == read_only / RELATIVE
    assert not upstream.requests


def test_a_cache_below_a_file_is_one_clear_error(upstream, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="set GNNLIB_CACHE to a folder that can be written"):
        get(tmp_path / "file" / "cache")
    assert not upstream.requests


# Many at once.


def test_threads_download_once(upstream, cache):
    upstream.delay.clear()
    with ThreadPoolExecutor(8) as pool:
        paths = [pool.submit(get) for _ in range(8)]
        upstream.delay.set()
        assert {path.result() for path in paths} == {cache / RELATIVE}
    assert upstream.requests == {f"/{RELATIVE}": 1}


def test_what_a_killed_process_left_behind_is_removed(upstream, cache):
    leftover = put(cache).with_name(".ind.cora.x.0123456789abcdef.part")
    put(cache).rename(leftover)
    get()
    assert files(cache) == [RELATIVE]
