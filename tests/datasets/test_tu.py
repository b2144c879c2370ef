"""TUDataset: the format by zip files that the tests write, its facts by the real files."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gnnlib import Batch, Graph
from gnnlib.datasets import DatasetError, DownloadError, TUDataset
from gnnlib.datasets.tu import _CHECKSUMS, parse
from gnnlib.transforms import OneHotDegree
from tests.datasets.test_damage import FLIPS, count_refused, cuts, flipped
from tests.graphs import assert_same_graph

# Three graphs: a path of three nodes, one node without edges, and a pair.
SMALL = {
    "A": "2, 1\n1, 2\n3, 2\n2, 3\n5, 6\n6, 5\n",
    "graph_indicator": "1\n1\n1\n2\n3\n3\n",
    "graph_labels": "1\n-1\n1\n",
    "node_labels": "6\n1\n6\n53\n1\n1\n",
    "node_attributes": " 0.5, 1e2\n 1.5,-2\n 2,.5\n 3.0,4\n 5,6\n 7,8.25\n",
    "edge_labels": "0\n0\n3\n3\n0\n0\n",
    "edge_attributes": "1\n1\n2\n2\n3\n3\n",
}


def make(changed: dict[str, str | None] | None = None, litter: bool = True) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in (SMALL | (changed or {})).items():
            if text is not None:
                archive.writestr(f"SMALL//SMALL_{part}.txt", text)
        if litter:
            archive.writestr("SMALL//README.txt~", "\xff")
    return buffer.getvalue()


def read(use_node_attr: Any = True, use_edge_attr: Any = True, **changed: Any) -> Batch:
    return parse(make(changed), "SMALL", use_node_attr, use_edge_attr)


def edges(graph: Graph) -> list[list[int]]:
    return graph.edge_index.T.tolist()


def test_graphs_have_their_nodes_edges_and_classes():
    batch = read()
    assert len(batch) == 3
    assert [graph.num_nodes for graph in batch] == [3, 1, 2]
    assert [edges(graph) for graph in batch] == [
        [[1, 0], [0, 1], [2, 1], [1, 2]],
        [],
        [[1, 0], [0, 1]],
    ]
    assert batch.graph_y.tolist() == [1, 0, 1]  # in the order of the file's labels: -1, 1
    assert batch.graph_y.dtype == torch.int64
    assert batch[0].graph_y.tolist() == [1]
    assert batch.adj.eid is None


def test_features_are_attributes_and_a_column_for_each_label_that_occurs():
    batch = read()
    assert batch.x.dtype == batch.edge_attr.dtype == torch.float32
    assert batch[0].x.tolist() == [[0.5, 100, 0, 1, 0], [1.5, -2, 1, 0, 0], [2, 0.5, 0, 1, 0]]
    assert batch[1].x.tolist() == [[3, 4, 0, 0, 1]]
    assert batch[0].edge_attr.tolist() == [[1, 1, 0], [1, 1, 0], [2, 0, 1], [2, 0, 1]]


def test_attributes_may_be_left_out():
    batch = read(use_node_attr=False, use_edge_attr=False)
    assert torch.equal(batch.x, read().x[:, 2:])
    assert torch.equal(batch.edge_attr, read().edge_attr[:, 1:])
    bare = read(use_node_attr=False, node_labels=None, edge_labels=None)
    assert "x" not in bare
    assert bare.edge_attr.shape == (6, 1)


def test_labels_may_have_several_columns():
    batch = read(use_node_attr=False, node_labels="0, 5\n1, 5\n0, 9\n" * 2)
    assert batch.x[:3].tolist() == [[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]]


def test_a_repeated_edge_counts_once_with_its_first_label_and_loops_are_left_out():
    batch = read(
        A="2,1\n1,2\n2,1\n4,4\n5,6\n1,2", edge_labels="0\n1\n2\n3\n4\n5", use_edge_attr=False
    )
    assert [edges(graph) for graph in batch] == [[[1, 0], [0, 1]], [], [[0, 1]]]
    assert batch.edge_attr.argmax(1).tolist() == [0, 1, 4]


def test_edges_stay_directed_and_line_ends_may_be_those_of_windows():
    batch = read(A="3, 1\r\n1, 2\r\n", edge_labels=None, edge_attributes=None)
    assert edges(batch) == [[2, 0], [0, 1]]
    assert "edge_attr" not in batch


def test_a_graph_may_have_no_nodes_and_no_graph_may_have_edges():
    batch = read(graph_indicator="1\n1\n1\n3\n3\n3\n", A="\n", edge_labels="", edge_attributes="")
    assert [graph.num_nodes for graph in batch] == [3, 0, 3]
    assert batch.num_edges == 0


WRONG = {
    "A": [
        ("2, 1\n1\n", "line 2 must hold 2 integers .*, got '1'"),
        ("2, 1\n1, 2, 3\n", "line 2 must hold 2 integers .*, got '1, 2, 3'"),
        ("2, 1\n\n1, 2\n", "line 2 must hold 2 integers .*, got ''"),
        ("2, 1\n1, 2.0\n", "line 2 must hold 2 integers .*, got '1, 2.0'"),
        ("2, 1\n0, 2\n", "line 2 is '0, 2': there is no such node"),
        ("2, 1\n1, 7\n", "line 2 is '1, 7': there is no such node"),
        ("2, 1\n1, 1" + "0" * 17, "line 2 is '1, 10*': there is no such node"),
        ("2, 1\n1, 1" + "0" * 18, "line 2 must hold 2 integers"),
        ("1, 2\n3, 4\n", "line 2 is '3, 4': the nodes are of two graphs"),
    ],
    "graph_indicator": [
        ("1\n1\n0\n2\n3\n3\n", "line 3 is '0': there is no such graph"),
        ("1\n1\n1\n2\n3\n4\n", "line 6 is '4': there is no such graph"),
        ("1\n1\n2\n1\n3\n3\n", "line 4 is '1': graphs not in order"),
        ("1\n1\n1\n2\n3\n", "is '5, 6': there is no such node"),
        ("1\n1\n1\n2\n3\nx\n", "line 6 must hold one integer, got 'x'"),
    ],
    "graph_labels": [
        ("1\n-1\n", "is '3': there is no such graph"),
        ("\n", "graph_labels.txt has no line, and so no graph"),
        ("1\n-1\n1.5\n", "line 3 must hold one integer, got '1.5'"),
    ],
    "node_labels": [("1\n2\n", "node_labels.txt must have 6 lines, one per node; got 2")],
    "edge_labels": [("1\n2\n", "edge_labels.txt must have 6 lines, one per edge; got 2")],
    "node_attributes": [
        ("1, 2\n3\n", "line 2 must hold 2 numbers .*, got '3'"),
        ("1\nnan\n", "line 2 must hold one number, got 'nan'"),
        ("1\n1e39\n", "line 2 holds a number beyond float32"),
        ("1," * 2000 + "1\n", "line 1 must hold 1000 numbers"),
    ],
}


@pytest.mark.parametrize(
    ("part", "text", "message"), [(part, *case) for part, cases in WRONG.items() for case in cases]
)
def test_a_file_that_is_not_in_the_format_is_named_with_its_line(part, text, message):
    with pytest.raises(DatasetError, match=f"^SMALL.zip: SMALL/SMALL_.*{message}"):
        read(**{part: text})


@pytest.mark.parametrize("part", ["A", "graph_indicator", "graph_labels"])
def test_a_file_that_is_missing_is_named(part):
    with pytest.raises(DatasetError, match=f"SMALL.zip lacks the member SMALL/SMALL_{part}.txt"):
        read(**{part: None})


def test_labels_without_end_make_no_matrix():
    many = "\n".join(map(str, range(20_000)))
    with pytest.raises(DatasetError, match="20000 labels of 20000 nodes or edges are too many"):
        read(
            graph_indicator="1\n" * 20_000, node_labels=many, use_node_attr=False, edge_labels=None
        )


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bits_in_the_zip(flips):
    refused = count_refused(lambda data: parse(data, "SMALL"), flipped(make(litter=False), flips))
    assert refused > 0.5 * flips


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("part", SMALL)
def test_flipped_bits_in_a_file(part, flips):
    def graph(text: bytes) -> Batch:
        return read(**{part: text.decode("latin1")})

    refused = count_refused(graph, flipped(SMALL[part].encode(), flips))
    assert 0.2 * flips < refused < flips


def test_a_cut_zip_is_refused():
    points = list(cuts(make(), step=17))
    assert count_refused(lambda data: parse(data, "SMALL"), points) == len(points)


# the real files


@pytest.fixture
def real(mirror, cache, monkeypatch) -> Path:
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return mirror


@pytest.fixture
def facts(mirror) -> dict[str, dict]:
    """What the manifest says of each zip."""
    records = json.loads((mirror / "MANIFEST.json").read_text())
    return {Path(record["file"]).stem: record for record in records if "/tu_" in record["file"]}


def whole(dataset: TUDataset) -> Batch:
    """All graphs at once, as they are kept."""
    assert isinstance(dataset._graphs, Batch)
    return dataset._graphs


@pytest.mark.parametrize("name", _CHECKSUMS)
def test_the_facts_of_the_real_files(name, real, facts):
    assert facts.keys() == _CHECKSUMS.keys()
    assert facts[name]["sha256"] == _CHECKSUMS[name]
    fact = facts[name]["facts"]
    dataset = TUDataset(name)
    batch = whole(dataset)
    assert len(dataset) == fact["graphs"]
    assert batch.num_nodes == fact["nodes"]
    assert batch.num_edges == 2 * fact["undirected_edges_without_self_loops"]
    assert batch.is_undirected() and not batch.has_self_loops() and not batch.has_repeated_edges()
    sizes = batch.graph_ptr.diff()
    assert [int(sizes.min()), int(sizes.max())] == fact["nodes_per_graph_min_max"]
    assert int((batch.adj.degree() == 0).sum()) == fact["nodes_without_edges"]
    classes = sorted((int(label), count) for label, count in fact["classes"].items())
    assert batch.graph_y.bincount().tolist() == [count for _, count in classes]
    assert dataset.num_classes == len(classes)
    attributes = fact.get("node_attribute_columns", 0)
    labels = fact.get("node_labels", {}).get("distinct", 0)
    assert dataset.num_features == attributes + labels
    assert ("x" in batch) == (attributes + labels > 0)
    if labels:
        assert (batch.x[:, attributes:].sum(1) == 1).all()
        assert batch.x[:, attributes:].any(0).all()
    edge_labels = fact.get("edge_labels", {}).get("distinct", 0)
    assert ("edge_attr" in batch) == (edge_labels > 0)
    if edge_labels:
        assert batch.edge_attr.shape == (batch.num_edges, edge_labels)
        assert (batch.edge_attr.sum(1) == 1).all()
    assert dataset.licence and dataset.citation.endswith("beyond.")


@pytest.mark.parametrize("name", ["MUTAG", "BZR"])
def test_the_graphs_are_those_of_pyg(name, real, tmp_path):
    from tests.pyg import read_tu_data

    with zipfile.ZipFile(next(real.glob(f"*/tu_*/{name}.zip"))) as archive:
        for member in archive.namelist():
            (tmp_path / member.split("/")[-1]).write_bytes(archive.read(member))
    data, slices, _ = read_tu_data(str(tmp_path), name)
    batch = whole(TUDataset(name))
    assert isinstance(data.x, torch.Tensor) and isinstance(data.y, torch.Tensor)
    assert data.edge_index is not None
    assert torch.equal(batch.graph_y, data.y)
    first = batch.graph_ptr[:-1].repeat_interleave(slices["edge_index"].diff())
    order = torch.from_numpy(np.lexsort(batch.edge_index.flip(0).numpy()))  # theirs: by source
    assert torch.equal(batch.edge_index[:, order], data.edge_index + first)
    if name == "MUTAG":
        assert data.edge_attr is not None
        assert torch.equal(batch.edge_attr[order], data.edge_attr)
    assert torch.equal(batch.graph_ptr, slices["x"])
    assert torch.equal(batch.x, data.x[:, data.x.any(0)])  # theirs has gaps for labels, too


def test_a_dataset_reads_its_zip_once_and_makes_graphs_when_asked(real, cache, monkeypatch):
    first = TUDataset("mutag")
    assert repr(first) == "TUDataset('MUTAG', num_graphs=188, num_features=7, num_classes=2)"
    monkeypatch.delenv("GNNLIB_MIRROR")
    again = TUDataset("MUTAG")
    assert_same_graph(whole(again), whole(first))
    assert_same_graph(again[3], first[3])
    with pytest.raises(DownloadError, match=r"needs the file MUTAG.zip"):
        TUDataset("MUTAG", use_node_attr=False)  # another graph, and not in the cache
    files = list(cache.rglob("*.safetensors"))
    assert len(files) == 1


def test_parts_and_transforms_of_a_dataset(real):
    dataset = TUDataset("IMDB-BINARY", transform=OneHotDegree(135))
    assert dataset.num_features == 136
    train, test = dataset[:900], dataset[torch.arange(900, 1000)]
    assert (len(train), len(test), type(test)) == (900, 100, TUDataset)
    assert_same_graph(test[0], dataset[900])
    assert torch.equal(dataset[0].x.argmax(1), dataset[0].adj.degree().long())


def test_a_name_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="name must be one of .*'MUTAG'.*; got 'mutagen'; others"):
        TUDataset("mutagen")
    with pytest.raises(ValueError, match="name must be of letters, .*, got '../MUTAG'"):
        TUDataset("../MUTAG", sha256="0" * 64)
    with pytest.raises(ValueError, match="sha256 of MUTAG is 20f5.*, got 0000"):
        TUDataset("MUTAG", sha256="0" * 64)


def test_another_dataset_of_the_collection_is_read_with_its_checksum(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(tmp_path))
    data = make()
    path = tmp_path / "tu" / "SMALL" / "SMALL.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    dataset = TUDataset("SMALL", sha256=hashlib.sha256(data).hexdigest())
    assert repr(dataset) == "TUDataset('SMALL', num_graphs=3, num_features=5, num_classes=2)"
    with pytest.raises(DatasetError, match="SMALL.zip .* is refused: sha256 must be 0000"):
        TUDataset("SMALL", sha256="0" * 64)
