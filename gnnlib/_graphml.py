"""A look at GraphML before networkx reads it: what it may not hold, and how much there is."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from ._save import GraphFileError

_DEPTH = 64


def check_graphml(data: bytes, path: Path) -> tuple[int, int]:
    """The number of nodes and of edges.

    An XML document may declare entities that grow without bound, or stand for files; a GraphML file
    needs none, so a document type is refused. networkx makes nodes of ends that are none, and takes
    the first of several graphs.

    Raises:
        GraphFileError: what is no XML, or none of one graph whose edges have their nodes.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    path_down: list[str] = []
    graphs: list[int] = []
    nodes: dict[str, int] = {}
    ends: list[tuple[str | None, str, int]] = []

    def refuse(what: str, line: int | None = None) -> None:
        line = parser.CurrentLineNumber if line is None else line
        raise GraphFileError(f"{path} line {line}: {what}")

    def document_type(*_: object) -> None:
        refuse("a document type (<!DOCTYPE …>) is not read, because it may declare entities")

    def begin(name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if not path_down and tag != "graphml":
            refuse(f"the document must be a <graphml>, got <{tag}>")
        if len(path_down) >= _DEPTH:
            refuse(f"elements stand in each other more than {_DEPTH} deep")
        if tag == "graph" and len(path_down) == 1:
            graphs.append(parser.CurrentLineNumber)
        path_down.append(tag)
        if tag == "node":
            node = attributes.get("id")
            if node is None:
                refuse("a node has no id")
            elif node in nodes:
                refuse(f"the node {node!r} is there already, in line {nodes[node]}")
            else:
                nodes[node] = parser.CurrentLineNumber
        elif tag == "edge":
            for which in ("source", "target"):
                ends.append((attributes.get(which), which, parser.CurrentLineNumber))

    def end(_: str) -> None:
        path_down.pop()

    parser.StartDoctypeDeclHandler = document_type
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise GraphFileError(f"{path} is no XML: {error}") from None
    if len(graphs) != 1:
        raise GraphFileError(f"{path} must have one graph, got {len(graphs)}")
    for node, which, line in ends:
        if node not in nodes:
            refuse(f"the {which} {node!r} of an edge is no node", line)
    return len(nodes), len(ends) // 2
