"""The files that a dataset is made of, and its graph or batch once it is made."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..graph import Graph
from ._cache import cached, is_cached
from ._download import cache_root, fetch, find

G = TypeVar("G", bound=Graph)
Option = bool | str


class RemoteFile(NamedTuple):
    """A file by the name it has in cache and mirror, and where it comes from."""

    name: str
    sha256: str
    size: int  # bytes
    url: str


@dataclass(frozen=True)
class Source:
    """Files that stand in `<category>/<dataset>/`, in the order in which `parse` takes them."""

    category: str
    dataset: str
    files: Sequence[RemoteFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def graph(
        self, parse: Callable[..., G], root: str | os.PathLike | None = None, **options: Option
    ) -> G:
        """The graph or batch `parse(files, **options)`, from the cache if it was made before.

        `files` are the bytes of the files by their names.
        """

        def read() -> G:
            paths = {
                name: fetch(self.category, self.dataset, name, sha256, [url], root)
                for name, sha256, _, url in self.files
            }
            return parse({name: path.read_bytes() for name, path in paths.items()}, **options)

        return cached(self._folder(root), self._key(options), read, calls=3)

    def is_at_hand(self, **options: Option) -> bool:
        """Whether `graph` needs no download: made before, or its files in cache or mirror."""
        if is_cached(self._folder(), self._key(options)):
            return True
        return all(find(self.category, self.dataset, f.name, f.sha256) for f in self.files)

    def _folder(self, root: str | os.PathLike | None = None) -> Path:
        return cache_root(root) / self.category / self.dataset

    def _key(self, options: dict[str, Option]) -> list[str]:
        names = [
            f"{name}={value if isinstance(value, str) else bool(value)}"
            for name, value in options.items()
        ]
        return [*(file.sha256 for file in self.files), *names]
