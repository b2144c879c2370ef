"""Reads the lines of GML: a key with a number, a text or a block in brackets.

networkx refuses a graph that lists an edge again, and takes any depth of blocks. This is a reader
of graphs alone: `graph [`, and `node [` and `edge [` in it, each key on a line of its own.
"""

import re
from collections.abc import Iterator

from ._errors import DatasetError
from ._text import decoded, shown

_LINE = re.compile(r'\s*(?:(?P<key>[A-Za-z]\w*)\s+(?P<value>\[|"[^"]*"|-?\d{1,9})|(?P<end>\]))\s*')
_BLOCKS = (["graph"], ["graph", "node"], ["graph", "edge"])


def blocks(data: bytes, source: str) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Each block's last line, its name and its values by key, a block in it before the block.

    Values are as the file has them: texts in their quotes.

    Raises:
        DatasetError: a line is in no such form, a key stands twice in a block, or a block does not
            end.

    Example:
        >>> text = b'graph [\\n directed 1\\n node [\\n id 1\\n label "a"\\n ]\\n]\\n'
        >>> list(blocks(text, "a.gml"))
        [(6, 'node', {'id': '1', 'label': '"a"'}), (7, 'graph', {'directed': '1'})]
    """
    path: list[str] = []
    values: list[dict[str, str]] = [{}]  # of the file, and of each block that has begun
    for number, line in enumerate(decoded(data, source).split("\n"), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            if not line.strip():
                continue
            raise DatasetError(
                f"{source} line {number} must be ']', or a key with a number, a text or '[', "
                f"got {shown(line)}"
            )
        key, value = match["key"], match["value"]
        if match["end"]:
            if not path:
                raise DatasetError(f"{source} line {number} ends a block, and none has begun")
            yield number, path.pop(), values.pop()
        elif value == "[":
            path.append(key)
            values.append({})
            if path not in _BLOCKS:
                raise DatasetError(f"{source} line {number}: no block {'.'.join(path)} is read")
        elif key in values[-1]:
            raise DatasetError(f"{source} line {number} repeats the key {key} of its block")
        else:
            values[-1][key] = value
    if path:
        raise DatasetError(f"{source} ends within the block {'.'.join(path)}")
