"""read_edge_list: a graph from a text file with an edge on each line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import ops
from ._edge_lines import Form, Rows, are_numbers, first_lines, pieces, rows
from ._validate import as_size, index_dtype
from .adjacency import Adjacency
from .graph import Graph

_TABLE = 16  # a table of ids has at most so many entries for each id that the file mentions


class EdgeList(NamedTuple):
    """A graph and the names that its nodes have in the file.

    Attributes:
        graph: the graph; its nodes are numbered from 0, in the order of their ids.
        ids: of each node, [N]: int64, or texts.
    """

    graph: Graph
    ids: np.ndarray


def read_edge_list(
    path: str | os.PathLike,
    *,
    separator: str | None = None,
    comments: str = "#%",
    header: bool = False,
    weighted: bool = False,
    directed: bool = True,
    distinct: bool = False,
    num_nodes: int | None = None,
    progress: bool | None = None,
) -> EdgeList:
    """A graph from a text file, plain or gzip, with an edge `source destination` on each line.

    The file is read piece by piece, and its edges are sorted by destination once: `graph.adj` is
    there, and `graph.edge_index` stands in its order. Ids may be numbers with gaps, or texts if the
    first line has any: then the nodes are the ids that occur, and `ids` says which is which.

    Args:
        path: the file.
        separator: a character between the cells of a line; by default blanks, a comma or a
            semicolon.
        comments: lines that begin with one of these characters are left out.
        header: leave out the first line that is no comment.
        weighted: each line has a third number, which becomes `edge_weight` [E] (float32).
        directed: an edge goes one way; False adds the reverse of each edge that is no self-loop.
        distinct: keep one of repeated edges, the first of them in the file.
        num_nodes: ids are node numbers in [0, num_nodes), those that do not occur too.
        progress: show a bar on stderr; by default if that is a terminal.

    Returns:
        An `EdgeList` (graph, ids).

    Raises:
        OSError: the file cannot be read.
        ValueError: a line has another number of cells than it should, or one that is no id or
            weight (the message has file, line and text); an id that is not below num_nodes; a
            damaged gzip file.

    Example:
        >>> path = getfixture("tmp_path") / "friends.txt"
        >>> _ = path.write_text("# who knows whom\\nann bob\\nbob eve\\n")
        >>> graph, ids = read_edge_list(path)
        >>> graph
        Graph(num_nodes=3, num_edges=2)
        >>> ids.tolist(), graph.edge_index.tolist()
        (['ann', 'bob', 'eve'], [[0, 1], [1, 2]])
    """
    if separator is not None and len(separator) != 1:
        raise ValueError(f"separator must be one character, got {separator!r}")
    if num_nodes is not None:
        num_nodes = as_size("num_nodes", num_nodes)
    path = Path(path)
    form = Form(separator, comments, weighted, named=False)
    with open(path, "rb") as file, _shown(file, path, progress) as watched:
        found = list(_read(watched, path, form, header))
    if any(part.names for part in found):
        ends, ids = _numbered_names(found, path, num_nodes)
    else:
        ends, ids = _numbered(found, path, num_nodes)
    weights = None
    if weighted:
        parts = [part.weights for part in found if part.weights is not None]
        weights = torch.from_numpy(np.concatenate([np.empty(0, np.float32), *parts]))
    found.clear()
    return EdgeList(_graph(*ends, weights, len(ids), directed, distinct), ids)


def _read(file: BinaryIO, path: Path, form: Form, header: bool) -> Iterator[Rows]:
    line, begun = 1, False
    for piece in pieces(file, path):
        if not begun:
            first = list(islice(first_lines(piece, form), 2))
            begun = bool(first)
            if begun and header:
                (k, _), *first = first
                piece = _with_empty_line(piece, k)
            if first:
                form = form._replace(named=_has_names(first, path, line))
        yield _narrow(rows(piece, form, path, line))
        line += piece.count(b"\n")


def _with_empty_line(piece: bytes, k: int) -> bytes:
    """The piece without the text of line k: the others keep their numbers."""
    lines = piece.split(b"\n", k + 1)
    lines[k] = b""
    return b"\n".join(lines)


def _has_names(first: list[tuple[int, list[bytes]]], path: Path, line: int) -> bool:
    """Whether ids are texts, which the first line decides."""
    named = [not are_numbers(cells) for _, cells in first]
    if named == [True, False]:
        raise ValueError(
            f"{path} line {line + first[0][0]} has names and the next one numbers: if it is a"
            " header, pass header=True"
        )
    return named[0]


def _narrow(part: Rows) -> Rows:
    """Numbers as int32 where they fit, which halves what is kept until the file has been read."""
    if part.ids.max(initial=0) < 2**31:
        return part._replace(ids=part.ids.astype(np.int32))
    return part


def _numbered(
    found: list[Rows], path: Path, num_nodes: int | None
) -> tuple[tuple[Tensor, Tensor], np.ndarray]:
    """Sources and destinations as node numbers, [E] each, and the id of each node."""
    parts = [part.ids for part in found if len(part.ids)]
    largest = max((int(ids.max()) for ids in parts), default=-1)
    count = sum(ids.size for ids in parts)
    if num_nodes is not None:
        if largest >= num_nodes:
            raise ValueError(f"{path} must have ids below num_nodes={num_nodes}, got {largest}")
        return _ends(parts, num_nodes, count // 2), np.arange(num_nodes)
    if largest < _TABLE * count + 2**20:
        occurs = np.zeros(largest + 1, dtype=bool)
        for ids in parts:
            occurs[ids] = True
        known = np.flatnonzero(occurs)
        if len(known) == largest + 1:
            return _ends(parts, len(known), count // 2), known
        number = occurs.cumsum(dtype=np.int64) - 1
        return _ends((number[ids] for ids in parts), len(known), count // 2), known
    known = np.unique(np.concatenate([np.unique(ids) for ids in parts]))
    numbered = (np.searchsorted(known, ids) for ids in parts)
    return _ends(numbered, len(known), count // 2), known


def _numbered_names(
    found: list[Rows], path: Path, num_nodes: int | None
) -> tuple[tuple[Tensor, Tensor], np.ndarray]:
    if num_nodes is not None:
        raise ValueError(f"num_nodes is for ids that are numbers, {path} has texts")
    pairs = [pair for part in found for pair in part.names]
    names = sorted({name for pair in pairs for name in pair})
    number = {name: k for k, name in enumerate(names)}
    ends = np.array([(number[a], number[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
    try:
        ids = np.array([name.decode() for name in names])
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} has an id that is no UTF-8: {error.object!r}") from None
    return _ends([ends], len(names), len(pairs)), ids


def _ends(parts: Iterable[np.ndarray], num_nodes: int, num_edges: int) -> tuple[Tensor, Tensor]:
    """The pairs of all parts as sources and destinations, [E] each."""
    dtype = index_dtype(num_nodes, 2 * num_edges)  # there may be reverse edges
    src, dst = torch.empty(num_edges, dtype=dtype), torch.empty(num_edges, dtype=dtype)
    first = 0
    for ids in parts:
        last = first + len(ids)
        src[first:last], dst[first:last] = torch.from_numpy(ids).unbind(1)
        first = last
    return src, dst


def _graph(
    src: Tensor,
    dst: Tensor,
    weights: Tensor | None,
    num_nodes: int,
    directed: bool,
    distinct: bool,
) -> Graph:
    if not directed:
        reverse = src != dst
        src, dst = torch.cat([src, dst[reverse]]), torch.cat([dst, src[reverse]])
        weights = None if weights is None else torch.cat([weights, weights[reverse]])
    if distinct:
        src, dst, weights = _first_of_each(src, dst, weights, num_nodes)
    ptr, col, order = ops.coo_to_csr(dst, src, num_nodes)
    del src, dst
    tensors = {} if weights is None else {"edge_weight": weights[order]}
    del order
    dtype = index_dtype(num_nodes, len(col))
    adj = Adjacency._make(ptr.to(dtype), col.to(dtype), num_nodes, None)
    edge_index = torch.empty(2, len(col), dtype=torch.int64)
    edge_index[0], edge_index[1] = col, adj._build_row()  # not kept
    return Graph._make(edge_index, num_nodes, tensors, kept={"adj": adj})


def _first_of_each(
    src: Tensor, dst: Tensor, weights: Tensor | None, num_nodes: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The distinct edges, by source and then by destination."""
    ptr, by_dst, first = ops.coo_to_csr(dst, src, num_nodes)  # sources, by destination
    t_ptr, t_row, t_pos = ops.csr_transpose(ptr, by_dst, num_nodes)  # both sorts are stable
    if weights is None:
        del first, t_pos
    del by_dst
    row = Adjacency._make(t_ptr, t_row, num_nodes, None)._build_row()
    kept = torch.ones(len(row), dtype=torch.bool)
    kept[1:] = (t_row[1:] != t_row[:-1]) | (row[1:] != row[:-1])
    if weights is not None:
        weights = weights[first[t_pos[kept]]]
    return row[kept], t_row[kept], weights


@contextmanager
def _shown(file: BinaryIO, path: Path, progress: bool | None) -> Iterator[BinaryIO]:
    """The file, whose reading a bar shows."""
    if not (sys.stderr.isatty() if progress is None else progress):
        yield file
        return
    from rich.console import Console
    from rich.progress import wrap_file

    size = os.fstat(file.fileno()).st_size
    console = Console(file=sys.stderr)
    with wrap_file(file, size, description=path.name, console=console, transient=True) as watched:
        yield watched
