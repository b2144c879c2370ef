"""Brings one file of a dataset to this machine, and vouches for its bytes.

A file is looked for in the cache, then in the mirror, then upstream, and is only ever used when its
sha256 is the one that the dataset names. A mirror that is a folder is read in place.
"""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import url2pathname

from ._errors import CacheError, DatasetError, DownloadError

_ATTEMPTS = 3
_PAUSE = 0.5  # seconds, times the attempts made
_TIMEOUT = (5, 30)  # seconds to connect, seconds without a byte
_LARGEST = 2**30  # bytes; a server that sends more is cut off


def cache_root(root: str | os.PathLike | None = None) -> Path:
    """The folder for datasets: `root`, else $GNNLIB_CACHE, else the user's cache folder.

    Raises:
        CacheError: there is no home folder to put it in.
    """
    chosen = root or os.environ.get("GNNLIB_CACHE")
    if chosen is None or chosen == "":
        chosen = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "gnnlib"
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError:
        raise CacheError(
            f"the dataset cache {chosen} needs a home folder and there is none; "
            "set GNNLIB_CACHE to a folder"
        ) from None


def fetch(
    category: str,
    dataset: str,
    file: str,
    sha256: str,
    urls: Iterable[str],
    root: str | os.PathLike | None = None,
) -> Path:
    """The path of a file whose bytes have the checksum `sha256`.

    The file is `<category>/<dataset>/<file>` below the cache folder (see `cache_root`), below
    $GNNLIB_MIRROR (a folder, or an http, https or file URL), or it is downloaded from one of
    `urls` (https only). A download reaches the cache whole or not at all, and once, however many
    processes ask for it.

    Raises:
        DatasetError: the mirror or upstream has other bytes under that name, or GNNLIB_MIRROR
            is neither a folder nor such a URL.
        DownloadError: the file is nowhere to be had.
        CacheError: the file would have to be stored and the cache folder cannot be written.
    """
    relative = f"{category}/{dataset}/{file}"
    target = cache_root(root) / relative
    mirror = os.environ.get("GNNLIB_MIRROR", "")
    fault = _fault(target, sha256)
    if fault is None:
        return target
    tried = [f"{target}: {fault}"]
    sources = list(urls)
    if not all(url.startswith("https://") for url in sources):
        raise ValueError(f"urls must all be https, got {sources}")
    if mirror.startswith(("http://", "https://")):
        sources.insert(0, f"{mirror.rstrip('/')}/{quote(relative)}")
    elif mirror:
        copy = _folder(mirror) / relative
        fault = _fault(copy, sha256)
        if fault is None:
            return copy
        if copy.is_file():
            raise DatasetError(f"{copy} (from GNNLIB_MIRROR) is refused: {fault}")
        tried.append(f"{copy} (from GNNLIB_MIRROR): {fault}")
    if sources:
        with writing(target.parent), _locked(target.parent):
            if _fault(target, sha256) is None:
                return target
            for leftover in target.parent.glob(f".{file}.*.part"):
                leftover.unlink()
            for url in sources:
                fault = _download(url, target, sha256)
                if fault is None:
                    return target
                tried.append(f"{url}: {fault}")
    raise DownloadError(
        f"{dataset} needs the file {file}, which could not be had ({'; '.join(tried)}); set "
        f"GNNLIB_MIRROR to a folder or URL that holds {relative}, or put the file at {target}"
    )


def find(category: str, dataset: str, file: str, sha256: str) -> Path | None:
    """Where `fetch` would find the file without a download; None if it would need one."""
    relative = f"{category}/{dataset}/{file}"
    mirror = os.environ.get("GNNLIB_MIRROR", "")
    folders = [cache_root()]
    if mirror and not mirror.startswith(("http://", "https://")):
        folders.append(_folder(mirror))
    return next((p for f in folders if _fault(p := f / relative, sha256) is None), None)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Makes `folder` if need be, and turns the operating system's refusals into a CacheError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except DatasetError:
        raise
    except OSError as error:
        raise CacheError(
            f"the dataset cache cannot be written: {folder}: {error.strerror or error}; "
            "set GNNLIB_CACHE to a folder that can be written"
        ) from None


@contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A temporary path in `folder`, gone at the end unless `publish` has renamed it."""
    path = folder / f".{name}.{uuid.uuid4().hex}.part"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def publish(path: Path, target: Path) -> None:
    """Renames the finished file at `path` to `target`: others see all of it or nothing."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(path, target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock

    with FileLock(folder / ".lock"):
        yield


def _folder(mirror: str) -> Path:
    """The folder that $GNNLIB_MIRROR names as a path or a file URL."""
    if mirror.startswith("file://"):
        return Path(url2pathname(urlsplit(mirror).path))
    if "://" in mirror:
        raise DatasetError(
            f"GNNLIB_MIRROR must be a folder or an http, https or file URL; got {mirror!r}"
        )
    return Path(mirror).expanduser()


def checksum(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fault(path: Path, sha256: str) -> str | None:
    """Why the file at `path` cannot be used; None if it can."""
    try:
        actual = checksum(path)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None if actual == sha256 else f"sha256 must be {sha256}, got {actual}"


def _download(url: str, target: Path, sha256: str) -> str | None:
    """Stores what `url` holds as `target`; None if that worked, else why it did not."""
    import requests

    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE * attempt)
        try:
            with scratch(target.parent, target.name) as path:
                _stream(url, path)
                if (fault := _fault(path, sha256)) is not None:
                    raise DatasetError(f"{url} is refused: {fault}")
                publish(path, target)
            return None
        except requests.HTTPError as error:
            status = getattr(error.response, "status_code", 0)
            fault = f"HTTP status {status}"
            if status < 500:
                break
        except requests.exceptions.SSLError:
            fault = "its certificate is not valid"
            break
        except requests.Timeout:
            fault = "timed out"
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            fault = "no connection, or it broke"
        except requests.RequestException as error:
            fault = str(error)
            break
    return fault


def _stream(url: str, path: Path) -> None:
    """Copies what `url` holds to the new file `path`."""
    import pooch

    download = pooch.HTTPDownloader(
        chunk_size=2**16, timeout=_TIMEOUT, hooks={"response": _refuse_downgrade}
    )
    with _Capped(io.FileIO(path, "xb")) as file:
        download(url, file, None)


def _refuse_downgrade(response, **_) -> None:
    """Follows no redirect to anything but https."""
    import requests

    if not response.is_redirect:
        return
    location = response.headers["location"]
    try:
        scheme = urlsplit(urljoin(response.url, location)).scheme
    except ValueError:  # it is no address at all
        scheme = None
    if scheme != "https":
        raise requests.exceptions.InvalidURL(f"redirect to {location!r} is refused: not https")


class _Capped(io.BufferedWriter):
    """A file that takes `_LARGEST` bytes at most."""

    def write(self, data) -> int:
        if self.tell() + len(data) > _LARGEST:
            raise DatasetError(f"a download of more than {_LARGEST} bytes is refused")
        return super().write(data)
