"""Reads members of a zip or tar.gz archive into memory. Nothing is ever extracted to disk.

An archive that holds anything suspicious is refused as a whole, also where nobody asked for that
member: names that point out of the archive, links, devices, the same name twice, encryption.
"""

import gzip
import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator

from ._errors import DatasetError

_LARGEST = 2**29  # bytes of all members that are read, unpacked
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGE = (  # what zipfile, tarfile, gzip and zlib raise on bytes that are not theirs
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def members(
    data: bytes,
    source: str,
    names: Iterable[str],
    *,
    optional: Iterable[str] = (),
    limit: int = _LARGEST,
) -> dict[str, bytes]:
    """The members `names`, and those of `optional` that are there, of the archive in `data`.

    Whether it is a zip or a tar.gz, its first bytes say. Repeated slashes and "./" in the names of
    the archive count as one slash and as nothing. Members that are not named are not unpacked.

    Args:
        source: the name of the archive, for errors.
        limit: the bytes that may be unpacked; of a tar.gz the whole counts.

    Raises:
        DatasetError: it is damaged, unpacks to more than `limit`, lacks one of `names`, or holds
            something suspicious.

    Example:
        >>> buffer = io.BytesIO()
        >>> with zipfile.ZipFile(buffer, "w") as archive:
        ...     archive.writestr("MUTAG//MUTAG_A.txt", "1, 2")
        >>> members(buffer.getvalue(), "MUTAG.zip", ["MUTAG/MUTAG_A.txt"])
        {'MUTAG/MUTAG_A.txt': b'1, 2'}
    """
    required = list(names)
    if data.startswith(b"PK"):
        read = _from_zip
    elif data.startswith(b"\x1f\x8b"):
        read = _from_tar
    else:
        raise DatasetError(f"{source} is neither zip nor tar.gz: it begins with {data[:20]!r}")
    found = _undamaged(source, lambda: read(data, source, {*required, *optional}, limit))
    if missing := [name for name in required if name not in found]:
        raise DatasetError(f"{source} lacks the member {missing[0]}")
    return found


def gunzip(data: bytes, source: str, *, limit: int = _LARGEST) -> bytes:
    """The bytes packed in the .gz file `data`.

    Raises:
        DatasetError: it is damaged, or holds more than `limit` bytes.
    """
    if not data.startswith(b"\x1f\x8b"):
        raise DatasetError(f"{source} is no gzip file: it begins with {data[:20]!r}")
    return _undamaged(source, lambda: _gunzip(data, source, limit))


def _undamaged(source: str, read: Callable):
    """What `read` returns, with every error that damage may cause as a DatasetError."""
    try:
        return read()
    except DatasetError:
        raise
    except _DAMAGE as error:
        raise DatasetError(f"{source} is damaged: {error or type(error).__name__}") from None


def _gunzip(data: bytes, source: str, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(source, limit)
    return content


def _from_zip(data: bytes, source: str, wanted: set[str], limit: int) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {}
        for name, info in _checked(source, ((i.filename, i) for i in archive.infolist())):
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DatasetError(f"{source}: the member {name} is a link or a device: refused")
            if info.flag_bits & 1:
                raise DatasetError(f"{source}: the member {name} is encrypted: refused")
            if name in wanted:
                entries[name] = info
        if sum(info.file_size for info in entries.values()) > limit:
            raise _too_large(source, limit)
        return {name: _from_entry(archive, info, source) for name, info in entries.items()}


def _from_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str) -> bytes:
    """One member of a zip; of what is packed, no more is unpacked than the size it declares."""
    where = f"{source}: the member {info.filename}"
    if info.is_dir():
        raise DatasetError(f"{where} is a folder")
    if info.compress_type not in _PACKED:
        raise DatasetError(f"{where} is packed by method {info.compress_type}, not by deflate")
    with archive.open(info) as file:
        content = _undamaged(where, lambda: file.read(info.file_size + 1))
    if len(content) != info.file_size:
        raise DatasetError(f"{where} must have {info.file_size} bytes, got {len(content)}")
    return content


def _from_tar(data: bytes, source: str, wanted: set[str], limit: int) -> dict[str, bytes]:
    found = {}
    content = io.BytesIO(_gunzip(data, source, limit))
    # As a stream, in which a damaged header cannot make the reader go back.
    with tarfile.open(fileobj=content, mode="r|", encoding="utf-8") as archive:
        for name, info in _checked(source, ((i.name, i) for i in archive)):
            if not (info.isdir() or info.isfile()) or info.issparse():
                raise DatasetError(f"{source}: the member {name} is a link or a device: refused")
            if name in wanted:
                file = archive.extractfile(info)
                if file is None:
                    raise DatasetError(f"{source}: the member {name} is a folder")
                found[name] = file.read()
                if len(found[name]) != info.size:
                    raise DatasetError(f"{source}: the member {name} is cut off")
    return found


def _checked(source: str, entries: Iterable[tuple[str, object]]) -> Iterator:
    """Each entry with its name made plain, once no name points out of the archive or repeats."""
    seen = set()
    for raw, info in entries:
        name = re.sub(r"/(\./|/)*", "/", raw.removeprefix("./")).rstrip("/")
        if ".." in name.split("/") or re.search(r"^/|^[A-Za-z]:|\\|[\x00-\x1f]", raw):
            raise DatasetError(f"{source}: the name {raw!r} is not that of a member: refused")
        if name in seen:
            raise DatasetError(f"{source}: the member {name} stands there twice: refused")
        seen.add(name)
        yield name, info


def _too_large(source: str, limit: int) -> DatasetError:
    return DatasetError(f"{source} unpacks to more than {limit} bytes: refused")
