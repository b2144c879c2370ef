"""What the mirror says of its files, and that a dataset names them as they are."""

import json
from pathlib import Path

from gnnlib.datasets._source import Source


def record(mirror: Path, file: str) -> dict:
    """The record of `<category>/<dataset>/<file>` in the manifest of the mirror."""
    records = json.loads((mirror / "MANIFEST.json").read_text())
    return next(found for found in records if found["file"] == file)


def check_source(mirror: Path, source: Source) -> dict:
    """The facts of the first file; all have the checksum, size, commit and path of the manifest."""
    found = [record(mirror, f"{source.category}/{source.dataset}/{f.name}") for f in source.files]
    for file, entry in zip(source.files, found, strict=True):
        assert (file.sha256, file.size) == (entry["sha256"], entry["bytes"])
        address = f"{entry['source_repo']}/{entry['commit']}/{entry['source_path']}"
        assert file.url == f"https://raw.githubusercontent.com/{address}"
    return found[0]["facts"]
