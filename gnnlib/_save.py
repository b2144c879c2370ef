"""Graphs in safetensors files: tensors by name and a short JSON header. Nothing is executed.

A SparseFeatures named x is stored as `x.ptr`, `x.col` and `x.values`, the adjacency as `adj.ptr`,
`adj.col` and `adj.eid`. The header, under the key "gnnlib", holds the format version, the class,
the number of nodes and the columns of the sparse features.
"""

from __future__ import annotations

import json
import os
import uuid
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .adjacency import Adjacency
from .features import SparseFeatures

if TYPE_CHECKING:
    from .graph import Graph

FORMAT = 1


class GraphFileError(ValueError):
    """A file that is damaged, or that holds no graph of ours."""


def save(graph: Graph, path: str | PathLike[str]) -> None:
    from safetensors.torch import save_file

    tensors = {"edge_index": graph.edge_index}
    sparse = {}
    for name, value in graph.items():
        if isinstance(value, SparseFeatures):
            sparse[name] = value.shape[1]
            parts = {"ptr": value.structure.ptr, "col": value.structure.col, "values": value.values}
            tensors.update({f"{name}.{part}": tensor for part, tensor in parts.items()})
        else:
            tensors[name] = value
    if graph._graph_ptr is not None:
        tensors["graph_ptr"] = graph._graph_ptr
    if "adj" in graph._kept:
        adj = graph.adj
        parts = {"ptr": adj.ptr, "col": adj.col, "eid": adj.eid}
        tensors.update({f"adj.{part}": t for part, t in parts.items() if t is not None})
    header = {
        "format": FORMAT,
        "class": type(graph).__name__,
        "num_nodes": graph.num_nodes,
        "names": list(graph.keys()),
        "sparse": sparse,
    }

    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path must be in a folder that exists, got {path}")
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(_unshared(tensors), draft, {"gnnlib": json.dumps(header)})
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors with memory of their own, as safetensors wants them."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        result[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return result


def load(path: str | PathLike[str], device: Any) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=str(torch.device(device))) as file:
            header = (file.metadata() or {}).get("gnnlib")
            if header is None:
                raise GraphFileError("it is a safetensors file, but not of a graph")
            names = file.keys()
            return _build(json.loads(header), {name: file.get_tensor(name) for name in names})
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise GraphFileError(f"{path} is not a readable gnnlib graph: {what}") from None


def _build(header: Any, tensors: dict[str, Tensor]) -> Any:
    from .batch import Batch
    from .graph import Graph

    if not isinstance(header, dict) or not isinstance(header.get("sparse"), dict):
        raise GraphFileError("its header is damaged")
    if header["format"] != FORMAT:
        raise GraphFileError(f"it has format {header['format']}, this gnnlib reads {FORMAT}")
    classes = {"Graph": Graph, "Batch": Batch}
    if header["class"] not in classes:
        raise GraphFileError(f"it holds a {header['class']!r}")

    adj = {part: tensors.pop(f"adj.{part}", None) for part in ("ptr", "col", "eid")}
    named: dict[str, Any] = {}
    for name, columns in header["sparse"].items():
        ptr, col, values = (tensors.pop(f"{name}.{part}") for part in ("ptr", "col", "values"))
        named[name] = SparseFeatures(Adjacency(ptr, col, columns), values)
    named.update(tensors)
    graph = classes[header["class"]](num_nodes=header["num_nodes"], **named)
    # In the order of the saved graph; what the header does not list comes last.
    order = {name: n for n, name in enumerate(header.get("names", []))}
    ordered = sorted(graph.items(), key=lambda item: order.get(item[0], len(order)))
    graph = graph._make(
        graph.edge_index, graph.num_nodes, dict(ordered), graph._graph_ptr, graph._kept
    )
    if adj["ptr"] is not None and adj["col"] is not None:
        kept = Adjacency(adj["ptr"], adj["col"], eid=adj["eid"])
        if kept.num_src != graph.num_nodes or not torch.equal(kept.edge_index, graph.edge_index):
            raise GraphFileError("its adjacency is not that of its edges")
        graph._kept["adj"] = kept
    return graph
