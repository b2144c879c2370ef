"""What a Graph can be made from and turned into: other libraries' graphs, matrices, files."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import _convert, _dgl, _networkx, _pandas, _pyg, _save, _torch_sparse
from .named_graph import NamedGraph, Roles

if TYPE_CHECKING:
    from .graph import Graph


def _graph(arguments: dict[str, Any]) -> Graph:
    from .batch import Batch
    from .graph import Graph

    return Batch(**arguments) if "graph_ptr" in arguments else Graph(**arguments)


class Convertible:
    """The part of Graph that converts. In every matrix A, A[i, j] ≠ 0 is the edge i → j."""

    @staticmethod
    def from_scipy(matrix: Any, **tensors: Any) -> Graph:
        """The graph of a scipy sparse matrix A: A[i, j] is the `edge_weight` of i → j.

        Every stored entry is an edge, a stored zero too; repeated entries are repeated edges.
        Further arguments are tensors of the graph.
        """
        return _graph({**_convert.from_scipy(matrix), **tensors})

    @staticmethod
    def from_torch_sparse(matrix: Tensor, **tensors: Any) -> Graph:
        """The graph of a torch COO, CSR or CSC tensor A, each stored entry A[i, j] an edge i → j.

        A hybrid COO tensor, with a vector for an entry, gives `edge_attr`, others `edge_weight`.
        """
        return _graph({**_convert.from_torch_sparse(matrix), **tensors})

    @staticmethod
    def from_dense(matrix: Any, **tensors: Any) -> Graph:
        """The graph of a dense matrix A [N, N]: an edge i → j of that weight where A[i, j] ≠ 0.

        Example:
            >>> from gnnlib import Graph
            >>> Graph.from_dense(torch.tensor([[0.0, 2.0], [0.0, 0.0]])).edge_index.tolist()
            [[0], [1]]
        """
        return _graph({**_convert.from_dense(matrix), **tensors})

    @staticmethod
    def from_networkx(
        graph: Any,
        node_attrs: Sequence[str] | None = None,
        edge_attrs: Sequence[str] | None = None,
    ) -> Graph:
        """The graph of a networkx graph, directed or not, multigraphs too.

        Nodes named 0 … N - 1 keep their number; otherwise node k is the k-th of `list(graph)`. An
        undirected edge becomes two. The node attribute "y" becomes `y`, the edge attribute
        "weight" `edge_weight` (1 where it is missing), the graph attribute "graph_y" `graph_y`.

        Args:
            graph: any networkx graph.
            node_attrs, edge_attrs: names to take; left out, all that are numbers and are there on
                every node or edge.
        """
        return _graph(_networkx.from_networkx(graph, node_attrs, edge_attrs))

    @staticmethod
    def from_pandas(
        edges: Any,
        nodes: Any = None,
        *,
        source: Hashable = "source",
        target: Hashable = "target",
        node_id: Hashable | None = "id",
        label: Hashable | None = None,
        split: Hashable | None = None,
        features: Sequence[Hashable] | None = None,
        categories: Sequence[Hashable] = (),
        edge_weight: Hashable | None = None,
        edge_attr: str | Sequence[Hashable] | None = None,
        directed: bool = True,
    ) -> NamedGraph:
        """The graph of a DataFrame with a row for each edge, and one with a row for each node.

        Node k is row k of `nodes`, edges are in the order of theirs. Ids may be any integers or
        texts. Columns of features become float32: a number is one feature, a bool 0 or 1, a text
        column one-hot, its categories in sorted order; so does what has pandas' dtype category.
        Columns called `train_mask`, `val_mask` and `test_mask` become these. A node without a label
        is in no mask.

        Args:
            edges: a pandas DataFrame.
            nodes: likewise; left out, the nodes are the ends of the edges, in sorted order.
            source, target: the columns of `edges` that have the ids of the ends.
            node_id: the column of `nodes` that has their ids, or the name of its index; None is the
                index, whatever its name.
            label: the column of `nodes` that becomes `y`: class numbers of the texts, bools or
                whole numbers there, in sorted order; -1 where it is missing.
            split: a column of `nodes` that says train, val or test, or is missing.
            features: the columns of `nodes` that become `x` [N, F]; left out, all others.
            categories: those of them that are one-hot though they hold numbers.
            edge_weight: the column of `edges` that becomes `edge_weight` [E].
            edge_attr: those that become `edge_attr` [E, D], by the rules of features.
            directed: an edge goes one way; False adds the reverse of each edge that is no
                self-loop, after all others.

        Returns:
            A `NamedGraph` (graph, ids, classes, features).

        Raises:
            TypeError: what is no DataFrame, or a column of another kind.
            ValueError: a column that is not there, a frame without rows, an id that is repeated or
                missing, an edge to no node, a feature or weight that is missing or not finite, a
                negative weight, more than 256 categories, texts some of which are numbers. The
                message has the row, counted from 0, and the column.

        Example:
            >>> import pandas                                        # doctest: +SKIP
            >>> people = pandas.DataFrame(                           # doctest: +SKIP
            ...     {"id": ["ann", "bob"], "age": [31, 44], "job": ["smith", "cook"]}
            ... )
            >>> knows = pandas.DataFrame({"source": ["bob"], "target": ["ann"]})  # doctest: +SKIP
            >>> Graph.from_pandas(knows, people, label="job").graph  # doctest: +SKIP
            Graph(num_nodes=2, num_edges=1, x=[2, 1], y=[2])
        """
        roles = Roles(label, split, features, categories, edge_weight, edge_attr, directed)
        return _pandas.from_pandas(edges, nodes, source, target, node_id, roles)

    @staticmethod
    def from_pyg(data: Any, graph_level: Sequence[str] = ()) -> Graph:
        """The graph of a `torch_geometric.data.Data`; tensors are shared, not copied.

        Tensors named `edge_*` with a row per edge and tensors with a row per node keep their names.
        Any other tensor with a row per edge gets the prefix `edge_`, the rest `graph_` (and a row
        of its own if it has not one). Numbers, lists of numbers and numpy arrays are carried in the
        same way; what is none of these, such as a text, is left behind. Data that has `adj_t` in
        place of `edge_index` (PyG's `ToSparseTensor`) is understood; with `batch` and `ptr`, as
        `to_pyg` makes it of a Batch, it gives a Batch.

        Args:
            data: a Data object.
            graph_level: names to treat as per graph though their length would fit the nodes.
        """
        return _graph(_pyg.from_pyg(data, graph_level))

    @staticmethod
    def from_dgl(graph: Any) -> Any:
        """The graph of a DGLGraph of one kind of node and edge, or the Batch of a batch of them.

        Tensors are shared. Node data keep their names; edge data get the prefix `edge_` if they
        lack it. Where the name is free, what DGL's datasets call "feat" and "label" becomes `x`
        and `y`, and on edges "feat" and "weight" become `edge_attr` and `edge_weight`; DGL's own
        "_ID" and "_TYPE" become `id` and `type`, `edge_id` and `edge_type`.

        Raises:
            TypeError: several kinds of nodes or edges; dgl.to_homogeneous makes them one.
            ValueError: names that would mean something else in a Graph.
        """
        return _graph(_dgl.from_dgl(graph))

    @staticmethod
    def from_sparse_tensor(matrix: Any, transpose: bool = False, **tensors: Any) -> Graph:
        """The graph of a `torch_sparse.SparseTensor` A: A[i, j] is the edge i → j.

        Its values, which are shared, become `edge_weight`, or `edge_attr` if they are vectors.

        Args:
            matrix: a square SparseTensor.
            transpose: take A[i, j] as the edge j → i: for the `adj_t` that PyG keeps.
            **tensors: further tensors of the graph; the edges are in the order of `matrix.coo()`.
        """
        return _graph({**_torch_sparse.from_sparse_tensor(matrix, transpose), **tensors})

    def to_scipy(self: Any, transpose: bool = False) -> Any:
        """A `scipy.sparse.csr_array` A, A[i, j] the `edge_weight` (1 without) of edge i → j.

        With `transpose`, Aᵀ: the operator of aggregation, Aᵀ @ x sums over in-edges.
        """
        return self.adj.to_scipy(self._tensors.get("edge_weight"), transpose)

    def to_torch_sparse(self: Any, layout: torch.layout = torch.sparse_coo) -> Tensor:
        """A torch sparse tensor A [N, N] of the `edge_weight` (1 without); see Adjacency."""
        return self.adj.to_torch_sparse(self._tensors.get("edge_weight"), layout)

    def to_dense(self: Any) -> Tensor:
        """A [N, N]: A[i, j] is the sum of the `edge_weight` (1 without) of the edges i → j."""
        return self.adj.to_dense(self._tensors.get("edge_weight"))

    def to_networkx(self: Any) -> Any:
        """A networkx DiGraph (MultiDiGraph if edges repeat) with the tensors as attributes.

        `edge_weight` becomes the edge attribute "weight", and so on: the reverse of
        `from_networkx`.
        """
        return _networkx.to_networkx(self)

    def to_pyg(self: Any) -> Any:
        """A `torch_geometric.data.Data` of the same tensors, shared, under the same names.

        Sparse features become a torch sparse CSR tensor.
        """
        return _pyg.to_pyg(self)

    def to_dgl(self: Any) -> Any:
        """A DGLGraph of the same node and edge tensors, shared, under the same names.

        A Batch becomes a batch. Sparse features become dense; `graph_*` tensors, for which a
        DGLGraph has no place, stay behind.
        """
        return _dgl.to_dgl(self)

    def to_sparse_tensor(self: Any, transpose: bool = False) -> Any:
        """A `torch_sparse.SparseTensor` A of the `edge_weight`; A[i, j] is the edge i → j.

        A graph without `edge_weight` gives the `edge_attr`, or without it no values. Values are
        shared if the edges are sorted by row, then column; else torch_sparse sorts a copy.

        Args:
            transpose: Aᵀ, which PyG calls `adj_t`.
        """
        return _torch_sparse.to_sparse_tensor(self, transpose)

    def save(self: Any, path: str | PathLike[str]) -> None:
        """Write the graph to a safetensors file, with its adjacency if that was built.

        The file is complete or not there: it is written under another name, then renamed.
        """
        _save.save(self, path)

    @staticmethod
    def load(path: str | PathLike[str], device: Any = "cpu") -> Any:
        """Read a Graph or Batch written by `save`, validated like any other input.

        Raises:
            GraphFileError: a file that is damaged, or no graph of ours.
        """
        return _save.load(path, device)
