"""A user's own CSV files, of nodes and of edges, as something to train on."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any

from .._errors import unknown_choice
from ..csv_files import read_csv
from ..datasets import Dataset
from ..features import SparseFeatures
from ..named_graph import NamedGraph
from .examples import PARTS

SPARSE = 0.1  # the share of x below which only what is not zero is kept


@dataclass(frozen=True)
class OwnFiles:
    """Two files and what their columns are; JSON can hold all of it.

    Args:
        nodes: the file with a line for each node.
        edges: the file with a line for each edge.
        label: the column of `nodes` with the classes.
        split: a column of `nodes` that says train, val or test; None: columns of masks, or a split
            is drawn.
        edge_weight: a column of `edges`.
        directed: whether an edge goes one way.
    """

    nodes: str
    edges: str
    label: str
    split: str | None = None
    edge_weight: str | None = None
    directed: bool = True

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "OwnFiles":
        """The files whose `dataclasses.asdict` is `content`; what has a default may be left out.

        Raises:
            ValueError: something is missing, unknown or of a wrong kind.

        Example:
            >>> OwnFiles.from_dict({"nodes": "a.csv", "edges": "b.csv"})
            Traceback (most recent call last):
            ValueError: files must have 'label', got 'nodes', 'edges'
        """
        names = [field.name for field in fields(cls)]
        for name, value in content.items():
            if name not in names:
                raise unknown_choice("a key of files", name, names)
            kinds = {"directed": bool, "split": (str, NoneType), "edge_weight": (str, NoneType)}
            if not isinstance(value, kinds.get(name, str)):
                raise ValueError(f"files.{name} cannot be {value!r}")
        for name in ("nodes", "edges", "label"):
            if name not in content:
                there = ", ".join(map(repr, content)) or "nothing"
                raise ValueError(f"files must have {name!r}, got {there}")
        return cls(**content)

    @cached_property
    def named(self) -> NamedGraph:
        """The graph and the names in the files, which are read once. Of an x that is mostly zero,
        such as words or many categories, only the others are kept.

        Raises:
            OSError, ValueError, TypeError: as `gnnlib.read_csv`; and a ValueError where there is no
                feature, or where a part of the split has no labelled node.
        """
        named = read_csv(
            self.edges,
            self.nodes,
            label=self.label,
            split=self.split,
            edge_weight=self.edge_weight,
            directed=self.directed,
        )
        graph = named.graph
        if "x" not in graph:
            raise ValueError(
                f"{self.nodes} must have a column of features, beside the id and {self.label!r}"
            )
        masks = {part: graph[f"{part}_mask"] for part in PARTS if f"{part}_mask" in graph}
        counts = {part: int(mask.sum()) for part, mask in masks.items()}
        if masks and not (len(counts) == len(PARTS) and all(counts.values())):
            raise ValueError(
                f"{self.nodes} must have labelled nodes to train, val and test, or say nothing of"
                f" it; it has {counts}"
            )
        if int(graph.x.count_nonzero()) < SPARSE * graph.x.numel():
            sparse = SparseFeatures.from_dense(graph.x)
            named = named._replace(graph=graph.replace(x=sparse))
        return named

    def open(self) -> Dataset:
        """The graph as a dataset."""
        named = self.named
        num_classes = 0 if named.classes is None else len(named.classes)
        name = Path(self.nodes).stem
        return Dataset(name, [named.graph], num_classes=num_classes, licence="", citation="")
