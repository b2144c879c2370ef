"""The processed cache: a graph that was read once is kept as safetensors.

The name of a cached file carries the key of its source and the sha256 of its own bytes, so that a
stale file is not found, a damaged one is recognised, and storing one is a single rename.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ..graph import Graph
from ._download import checksum, publish, scratch, writing
from ._errors import CacheError

G = TypeVar("G", bound=Graph)

_VERSION = 1  # raise it when the same raw files would be read into another graph


def cached(folder: Path, source: Iterable[str], build: Callable[[], G], calls: int = 2) -> G:
    """The graph or batch made by `build`, from `folder` if it is there, else built and stored.

    `source` is everything that decides what `build` returns: checksums of the raw files, options.
    A folder that cannot be written costs a warning, not the graph: at the line of the user, who is
    so many `calls` away.
    """
    key = _key(source)
    for path in folder.glob(f"graph-{key}-*.safetensors"):
        if (graph := _load(path)) is not None:
            return graph
    graph = build()
    graph.adj  # noqa: B018  built here, so that it is stored as well
    try:
        _store(graph, folder, key)
    except CacheError as error:
        warnings.warn(f"{error}; the raw files are read again each time", stacklevel=calls + 1)
    return graph


def is_cached(folder: Path, source: Iterable[str]) -> bool:
    """Whether `cached` would find the graph of this source in `folder`, unless it is damaged."""
    return any(folder.glob(f"graph-{_key(source)}-*.safetensors"))


def _key(source: Iterable[str]) -> str:
    text = "\n".join([f"version {_VERSION}", *source])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load(path: Path) -> Any:
    """The graph in a cached file; None if the file is damaged or written by another gnnlib."""
    try:
        if path.stem.endswith(checksum(path)):
            return Graph.load(path)
    except (OSError, ValueError):
        pass
    return None


def _store(graph: Graph, folder: Path, key: str) -> None:
    with writing(folder), scratch(folder, f"graph-{key}") as path:
        graph.save(path)
        target = folder / f"graph-{key}-{checksum(path)}.safetensors"
        publish(path, target)
        for damaged in set(folder.glob(f"graph-{key}-*.safetensors")) - {target}:
            damaged.unlink(missing_ok=True)
