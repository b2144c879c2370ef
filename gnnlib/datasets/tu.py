"""The benchmark graphs of TU Dortmund: molecules, proteins and films, a class for each graph."""

import os
import re
from collections.abc import Callable

import numpy as np
import torch

from .._errors import unknown_choice
from ..batch import Batch
from ..graph import Graph
from ._archive import members
from ._cache import cached, is_cached
from ._dataset import Dataset
from ._download import cache_root, fetch, find
from ._errors import DatasetError
from ._matrix import Number, matrix

_URLS = (
    "https://raw.githubusercontent.com/bknyaz/graph_nn/"
    "72eaa1c6bd70a90fde772ad4a21049ccd6bc97a2/data/{}.zip",
    "https://www.chrsmrrs.com/graphkerneldatasets/{}.zip",
)
_LARGEST = 2**28  # numbers in a one-hot matrix


class TUDataset(Dataset):
    """Graphs of the TU Dortmund collection, each with one class.

    ===========  ======  ======  =======  ========  =============  =======
    name         graphs  nodes   edges    features  edge features  classes
    ===========  ======  ======  =======  ========  =============  =======
    MUTAG        188     3371    7442     7         4              2
    PTC_MR       344     4915    10108    18        4              2
    PTC_FM       349     4925    10110    18        4              2
    PTC_FR       351     5110    10532    19        4              2
    PTC_MM       336     4695    9624     20        4              2
    PROTEINS     1113    43471   162088   1 + 3     0              2
    ENZYMES      600     19580   74564    18 + 3    0              6
    NCI1         4110    122747  265506   37        0              2
    AIDS         2000    31385   64780    4 + 38    3              2
    BZR          405     14479   31070    3 + 10    0              2
    COX2         467     19252   40578    3 + 8     0              2
    IMDB-BINARY  1000    19773   193062   0         0              2
    IMDB-MULTI   1500    19502   197806   0         0              3
    ===========  ======  ======  =======  ========  =============  =======

    A graph has `x` [N, F] (float32): its node attributes as the files have them, then its node
    labels one-hot, a column for each label that occurs. So it is with `edge_attr` [E, D]. What the
    files do not have, the graph has not: `OneHotDegree` gives features to those of IMDB.
    `graph_y` [1] (int64) is the class, numbered from 0 in the order of the file's labels.

    An undirected edge is listed in both directions. A repeated edge counts once, with its first
    label, and self-loops are left out. Nodes without edges are kept.

    Args:
        name: one of the names above, in any case, or with `sha256` any other of the collection.
        root: the cache folder; by default $GNNLIB_CACHE, else ~/.cache/gnnlib.
        use_node_attr: take node attributes into x; else node labels only.
        use_edge_attr: take edge attributes into edge_attr; else edge labels only.
        sha256: the checksum of the zip file of a dataset that is not in the table.
        transform: applied once to each graph, after the cache.

    Raises:
        ValueError: a name that is not in the table without `sha256`, or that is no file name.
        DownloadError: the file is neither in the cache, nor in $GNNLIB_MIRROR, nor upstream.
        CacheError: the file would have to be stored and the cache folder cannot be written.
        DatasetError: the file is damaged.

    Reference:
        Morris, Kriege, Bause, Kersting, Mutzel and Neumann, "TUDataset: a collection of benchmark
        datasets for learning with graphs", ICML 2020 workshop on graph representation learning.

    Example:
        >>> from gnnlib.datasets import TUDataset
        >>> dataset = TUDataset("MUTAG")            # doctest: +SKIP
        >>> dataset                                 # doctest: +SKIP
        TUDataset('MUTAG', num_graphs=188, num_features=7, num_classes=2)
        >>> dataset[0]                              # doctest: +SKIP
        Graph(num_nodes=17, num_edges=38, x=[17, 7], edge_attr=[38, 4], graph_y=[1])
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike | None = None,
        *,
        use_node_attr: bool = True,
        use_edge_attr: bool = True,
        sha256: str | None = None,
        transform: Callable[[Graph], Graph] | None = None,
    ):
        name, sha256 = _known(name, sha256)
        category, folder = _folder(name)

        def read() -> Batch:
            urls = [url.format(name) for url in _URLS]
            path = fetch(category, folder, f"{name}.zip", sha256, urls, root)
            return parse(path.read_bytes(), name, use_node_attr, use_edge_attr)

        key = _key(name, sha256, use_node_attr, use_edge_attr)
        batch = cached(cache_root(root) / category / folder, key, read)
        super().__init__(
            name,
            batch,
            num_classes=int(batch.graph_y.max()) + 1,
            licence=LICENCE,
            citation=citation(name),
            transform=transform,
        )


def is_at_hand(name: str) -> bool:
    """Whether `TUDataset(name)`, a name of the table, needs no download: read before, or its file
    in cache or mirror."""
    category, folder = _folder(name)
    if is_cached(cache_root() / category / folder, _key(name, _CHECKSUMS[name])):
        return True
    return find(category, folder, f"{name}.zip", _CHECKSUMS[name]) is not None


def _key(
    name: str, sha256: str, use_node_attr: bool = True, use_edge_attr: bool = True
) -> list[str]:
    options = [f"use_node_attr={bool(use_node_attr)}", f"use_edge_attr={bool(use_edge_attr)}"]
    return [name, sha256, *options]


def _folder(name: str) -> tuple[str, str]:
    """Category and dataset, as cache and mirror have them."""
    if name not in _CHECKSUMS:
        return "tu", name
    return ("social", "tu_imdb") if "IMDB" in name else ("biomedical", "tu_molecules_proteins")


def citation(name: str) -> str:
    source = _SOURCES.get(re.split("[-_]", name)[0]) if name in _CHECKSUMS else None
    return CITATION if source is None else f"{source} {CITATION}"


def _known(name: str, sha256: str | None) -> tuple[str, str]:
    """The name as the collection writes it, and the checksum of its file."""
    names = {known.lower(): known for known in _CHECKSUMS}
    known = names.get(str(name).lower())
    if known is not None:
        if sha256 not in (None, _CHECKSUMS[known]):
            raise ValueError(f"sha256 of {known} is {_CHECKSUMS[known]}, got {sha256}")
        return known, _CHECKSUMS[known]
    if sha256 is None:
        error = unknown_choice("name", name, _CHECKSUMS)
        raise ValueError(f"{error}; others of the collection need sha256, that of their zip file")
    if not re.fullmatch(r"[\w-]+", str(name), re.ASCII):
        raise ValueError(f"name must be of letters, digits, '_' and '-', got {name!r}")
    return name, sha256


def parse(data: bytes, name: str, use_node_attr: bool = True, use_edge_attr: bool = True) -> Batch:
    """The graphs in the bytes of `NAME.zip`, as one batch.

    `NAME_A.txt` lists the edges as pairs of nodes, `NAME_graph_indicator.txt` the graph of each
    node, both numbered from 1. The others have a line for each graph, node or edge, in that order.

    Raises:
        DatasetError: a file is not in this format, or the files contradict one another.
    """
    files = _Files(data, name)
    labels = files.column("graph_labels")
    if len(labels) == 0:
        raise files.error("graph_labels", "has no line, and so no graph")
    graph = files.column("graph_indicator") - 1  # [N]
    outside = np.flatnonzero((graph < 0) | (graph >= len(labels)))
    files.refuse("graph_indicator", outside, "there is no such graph")
    files.refuse("graph_indicator", np.flatnonzero(np.diff(graph) < 0) + 1, "graphs not in order")
    edges = files.read("A", columns=2) - 1  # [E, 2]
    outside = np.flatnonzero(((edges < 0) | (edges >= len(graph))).any(1))
    files.refuse("A", outside, "there is no such node")
    source, destination = edges.T
    crossing = np.flatnonzero(graph[source] - graph[destination])
    files.refuse("A", crossing, "the nodes are of two graphs")

    kept = np.unique(destination * len(graph) + source, return_index=True)[1]
    kept = kept[source[kept] != destination[kept]]
    edge_attr = files.features("edge", len(edges), use_edge_attr)
    return Batch(
        torch.from_numpy(edges[kept].T.copy()),
        graph_ptr=torch.from_numpy(np.searchsorted(graph, np.arange(len(labels) + 1))),
        x=files.features("node", len(graph), use_node_attr),
        edge_attr=None if edge_attr is None else edge_attr[kept],
        graph_y=torch.from_numpy(np.unique(labels, return_inverse=True)[1]),
        num_nodes=len(graph),
    )


class _Files:
    """The files of one dataset, by the part of their name that says what they hold."""

    def __init__(self, data: bytes, name: str):
        self.name = name
        required = [self.path(part) for part in ("A", "graph_indicator", "graph_labels")]
        optional = [
            self.path(f"{level}_{kind}")
            for level in ("node", "edge")
            for kind in ("labels", "attributes")
        ]
        self.members = members(data, f"{name}.zip", required, optional=optional)

    def path(self, part: str) -> str:
        return f"{self.name}/{self.name}_{part}.txt"

    def error(self, part: str, what: str) -> DatasetError:
        return DatasetError(f"{self.name}.zip: {self.path(part)} {what}")

    def read(self, part: str, dtype: Number = np.int64, columns: int | None = None) -> np.ndarray:
        path = self.path(part)
        return matrix(self.members[path], f"{self.name}.zip: {path}", dtype, columns=columns)

    def column(self, part: str) -> np.ndarray:
        return self.read(part, columns=1)[:, 0]

    def refuse(self, part: str, lines: np.ndarray, why: str) -> None:
        """An error for the first of these lines, if there are any."""
        if len(lines):
            first = int(lines[0])
            text = self.members[self.path(part)].split(b"\n", first + 1)[first].decode().strip()
            raise self.error(part, f"line {first + 1} is {text!r}: {why}")

    def features(self, level: str, rows: int, with_attributes: bool) -> torch.Tensor | None:
        """[rows, D] of the attributes and then the one-hot labels; None if there are neither."""
        parts = []
        for kind in ("attributes", "labels"):
            part = f"{level}_{kind}"
            if self.path(part) not in self.members or (
                kind == "attributes" and not with_attributes
            ):
                continue
            values = self.read(part, np.float32 if kind == "attributes" else np.int64)
            if len(values) != rows:
                raise self.error(
                    part, f"must have {rows} lines, one per {level}; got {len(values)}"
                )
            parts += [values] if kind == "attributes" else map(self._one_hot, values.T)
        return torch.from_numpy(np.hstack(parts)) if parts else None

    def _one_hot(self, labels: np.ndarray) -> np.ndarray:
        """[len(labels), D], a column for each of the D labels that occur, in their order."""
        distinct, place = np.unique(labels, return_inverse=True)
        if len(labels) * len(distinct) > _LARGEST:
            raise DatasetError(
                f"{self.name}.zip: {len(distinct)} labels of {len(labels)} nodes or edges are too"
                " many for a column each"
            )
        return np.eye(len(distinct), dtype=np.float32)[place]


LICENCE = "not stated by the collection of TU Dortmund"
CITATION = (
    "C. Morris, N. M. Kriege, F. Bause, K. Kersting, P. Mutzel, M. Neumann. TUDataset: a "
    "collection of benchmark datasets for learning with graphs. ICML 2020 workshop on graph "
    "representation learning and beyond."
)
_SUTHERLAND = (
    "J. J. Sutherland, L. A. O'Brien, D. F. Weaver. Spline-fitting with a genetic algorithm: a "
    "method for developing classification structure-activity relationships. Journal of Chemical "
    "Information and Computer Sciences 43, 2003."
)
_SOURCES = {
    "MUTAG": "A. K. Debnath, R. L. Lopez de Compadre, G. Debnath, A. J. Shusterman, C. Hansch. "
    "Structure-activity relationship of mutagenic aromatic and heteroaromatic nitro compounds. "
    "Journal of Medicinal Chemistry 34(2), 1991.",
    "PTC": "N. Kriege, P. Mutzel. Subgraph matching kernels for attributed graphs. ICML 2012.",
    "PROTEINS": "P. D. Dobson, A. J. Doig. Distinguishing enzyme structures from non-enzymes "
    "without alignments. Journal of Molecular Biology 330(4), 2003. K. M. Borgwardt, C. S. Ong, "
    "S. Schönauer, S. V. N. Vishwanathan, A. J. Smola, H.-P. Kriegel. Protein function prediction "
    "via graph kernels. Bioinformatics 21 (suppl. 1), 2005.",
    "ENZYMES": "I. Schomburg, A. Chang, C. Ebeling, M. Gremse, C. Heldt, G. Huhn, D. Schomburg. "
    "BRENDA, the enzyme database: updates and major new developments. Nucleic Acids Research 32, "
    "2004. K. M. Borgwardt, C. S. Ong, S. Schönauer, S. V. N. Vishwanathan, A. J. Smola, "
    "H.-P. Kriegel. Protein function prediction via graph kernels. Bioinformatics 21 (suppl. 1), "
    "2005.",
    "NCI1": "N. Wale, G. Karypis. Comparison of descriptor spaces for chemical compound retrieval "
    "and classification. ICDM 2006.",
    "AIDS": "K. Riesen, H. Bunke. IAM graph database repository for graph based pattern "
    "recognition and machine learning. SSPR & SPR 2008.",
    "BZR": _SUTHERLAND,
    "COX2": _SUTHERLAND,
    "IMDB": "P. Yanardag, S. V. N. Vishwanathan. Deep graph kernels. KDD 2015.",
}
_CHECKSUMS = {
    "IMDB-BINARY": "2a4abb6431ec1ab025a6fbcd3b546607191f79a1e0aef0f42cd8bd4ec1546116",
    "IMDB-MULTI": "1d22bb88ee69f9f7c09eb7f072dadec56e3f91ad4b14cfd99231379b68073883",
    "MUTAG": "20f52db82d6d85d5f67d2fa42c3fb705d05934be44329314ab17b05d0c012f7e",
    "PROTEINS": "fe9d19741637486ea1fd285bf669fce0b117e10b03cdd379f6a5e6197fc830ae",
    "ENZYMES": "0ca7125d7978788346fc6ba5c3cc643b6122153b304220c2230bcb09f99f8ffb",
    "NCI1": "eae6b0c076d59e667c67de0039cfc3214eefb91a8dddc2fa3099126da02d4376",
    "PTC_MR": "2f935126a9ec684e13ed9ff5ea389f62c4c70f41dcedb3e1114c0b0947103200",
    "PTC_FM": "09339ff33859984c1a8ba71e9f721babbe199b68eb8d3b6b93806fb5ec806146",
    "PTC_FR": "6b7fd3a9343ae0242feef707753f6ef5c07dc13930a770b87d2689d48656e7e6",
    "PTC_MM": "e70722170efd576b441689edf97be82feda2dc1b4df0efcb6f9aec0a6f3c38f1",
    "AIDS": "760720923c1c0be43687f565722fc29a1f450c3a8dda3a218b798bbd1e90cf81",
    "BZR": "1f861d71a881914dd3da323f2b3b2f2f285ed03558d1277fddc021e1cd7bf18b",
    "COX2": "82e7287b19a29b8150b5fae374ca09fe6e8b91fa71993fb7eaa31e4566b2eddd",
}
