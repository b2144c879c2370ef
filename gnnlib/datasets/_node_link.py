"""JSON files that hold an object; among them graphs as networkx writes them, nodes and links."""

import json
from typing import Any, NoReturn

import numpy as np

from ._errors import DatasetError


class Json:
    """A file that must hold one JSON object."""

    def __init__(self, name: str, data: bytes):
        self.name = name
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            self.refuse(f"is no JSON: {error}")
        if not isinstance(content, dict):
            self.refuse(f"must hold an object, got {type(content).__name__}")
        self.content: dict[str, Any] = content

    def refuse(self, why: str) -> NoReturn:
        raise DatasetError(f"{self.name} {why}")

    def objects(self, key: str) -> list[dict[str, Any]]:
        """The list of objects under a key."""
        found = self.content.get(key)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            self.refuse(f"must hold a list of objects as {key!r}")
        return found

    def links(self, num_nodes: int) -> np.ndarray:
        """What each link joins, [L, 2]: numbers in [0, num_nodes)."""
        ends = [(link.get("source"), link.get("target")) for link in self.objects("links")]
        for number, pair in enumerate(ends):
            if not all(type(end) is int and 0 <= end < num_nodes for end in pair):
                self.refuse(f"link {number} must join nodes in [0, {num_nodes}), got {pair}")
        return np.array(ends, dtype=np.int64).reshape(-1, 2)
