"""PPI as 24 graphs: files in the format of the real one, which the tests write."""

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
import torch

from gnnlib import Batch
from gnnlib.datasets import PPI, DatasetError, DownloadError, ppi
from gnnlib.datasets.ppi import parse
from tests.datasets.test_damage import FLIPS, count_refused, cuts, flipped
from tests.graphs import assert_same_graph

# Two graphs, of three nodes and of two. As in the real file, each node has a loop.
IDS = np.array([21, 21, 21, 22, 22])
FEATURES = np.arange(15.0).reshape(5, 3) - 7
LABELS = np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
ENDS = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (3, 3), (3, 4), (4, 3), (4, 4)]
NODES = [{"id": node} for node in (0, 1, 4, 3, 2)]


def links(ends) -> list[dict]:
    return [{"source": source, "target": target} for source, target in ends]


GRAPH = {"directed": True, "multigraph": False, "nodes": NODES, "links": links(ENDS)}
PARTS = {"graph.json": GRAPH, "graph_id.npy": IDS, "feats.npy": FEATURES, "labels.npy": LABELS}


def written(content: Any) -> bytes:
    """A file of this content."""
    if isinstance(content, bytes):
        return content
    if not isinstance(content, np.ndarray):
        return json.dumps(content).encode()
    np.save(file := io.BytesIO(), content)
    return file.getvalue()


def files(split: str = "valid", **changed: Any) -> dict[str, bytes]:
    """The members of a split; `changed` by the first word of their names."""
    found = {f"{split}_{part}": content for part, content in PARTS.items()}
    for word, content in changed.items():
        (name,) = (name for name in found if name.startswith(f"{split}_{word}."))
        found[name] = content
    return {name: written(content) for name, content in found.items()}


def packed(*members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((n, c) for group in members for n, c in group.items()):
            archive.writestr(name, content)
    return file.getvalue()


def read(data: bytes | None = None, **changed: Any) -> Batch:
    self_loops = changed.pop("self_loops", False)
    data = packed(files(**changed)) if data is None else data
    return parse({"ppi.zip": data}, "val", self_loops)


def test_a_graph_has_the_nodes_of_one_number():
    batch = read()
    assert batch.graph_ptr.tolist() == [0, 3, 5]
    assert batch.edge_index.T.tolist() == [[1, 0], [0, 1], [2, 1], [4, 3], [3, 4]]
    assert torch.equal(batch.x, torch.from_numpy(FEATURES).float())
    assert torch.equal(batch.y, torch.from_numpy(LABELS).float())
    assert batch.x.dtype == batch.y.dtype == torch.float32
    assert batch.adj.eid is None
    assert batch[1].edge_index.tolist() == [[1, 0], [0, 1]]


def test_self_loops_may_be_kept():
    assert read(self_loops=True).edge_index.T.tolist() == sorted(
        map(list, ENDS), key=lambda e: e[1]
    )


@pytest.mark.parametrize("directed", [{"directed": False}, {}])
def test_what_is_not_directed_goes_both_ways(directed):
    graph = {"nodes": NODES, "links": links(ENDS), **directed}
    assert [1, 2] in read(graph=graph).edge_index.T.tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int16])
def test_numbers_may_be_of_any_dtype(dtype):
    assert_same_graph(read(graph_id=IDS.astype(dtype), labels=LABELS.astype(dtype)), read())


def with_links(*ends) -> dict:
    return GRAPH | {"links": links(ends)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"graph": b"{"}, "valid_graph.json is no JSON"),
        ({"graph": []}, "valid_graph.json must hold an object, got list"),
        ({"graph": {"nodes": []}}, "valid_graph.json must number its nodes from 0, each once"),
        ({"graph": {"nodes": NODES}}, "must hold a list of objects as 'links'"),
        ({"graph": GRAPH | {"nodes": NODES[1:]}}, "must number its nodes from 0, each once"),
        ({"graph": GRAPH | {"nodes": [*NODES, {"id": 0}]}}, "must number its nodes from 0"),
        ({"graph": GRAPH | {"nodes": [{"id": "0"}]}}, "must number its nodes from 0, each once"),
        ({"graph": GRAPH | {"nodes": [{"id": False}]}}, "must number its nodes from 0, each once"),
        ({"graph": with_links((0, 1), (5, 1))}, r"link 1 must join nodes in \[0, 5\), got \(5, 1"),
        ({"graph": with_links((-1, 1))}, r"link 0 must join nodes in \[0, 5\), got \(-1, 1"),
        ({"graph": with_links((0, True))}, r"link 0 must join nodes in \[0, 5\), got \(0, True"),
        (
            {"graph": with_links((0, 1), (3, 2))},
            r"link 1 must join nodes of one graph, got \(3, 2\), which valid_graph_id.npy has in",
        ),
        ({"graph_id": IDS[:4]}, "valid_graph_id.npy must have the graphs of 5 nodes, numbered in"),
        ({"graph_id": IDS[::-1].copy()}, "must have the graphs of 5 nodes, numbered in order"),
        ({"graph_id": IDS * 2}, "must have the graphs of 5 nodes, numbered in order"),
        ({"graph_id": IDS / 2}, "must have the graphs of 5 nodes, numbered in order"),
        ({"graph_id": IDS * np.nan}, "must have the graphs of 5 nodes, numbered in order"),
        ({"graph_id": IDS[:, None]}, "must have the graphs of 5 nodes, numbered in order"),
        ({"feats": FEATURES[:4]}, r"valid_feats.npy must have shape \[5, F\].* got \(4, 3\)"),
        ({"feats": np.full((5, 3), np.inf)}, "valid_feats.npy must hold finite float32 numbers"),
        ({"feats": np.array([[{}]] * 5)}, "valid_feats.npy must hold numbers or booleans"),
        ({"labels": LABELS[:4]}, r"valid_labels.npy must have zeros and ones of shape \[5, C\]"),
        ({"labels": LABELS * 2}, r"valid_labels.npy must have zeros and ones of shape \[5, C\]"),
        ({"labels": LABELS[:, 0]}, r"zeros and ones of shape \[5, C\], got shape \(5,\)"),
        ({"split": "train"}, " lacks the member valid_graph.json"),
    ],
)
def test_a_file_that_is_not_in_the_format_is_named(changed, message):
    with pytest.raises(DatasetError, match=f"^ppi.zip.*{message}"):
        read(**changed)


@pytest.mark.parametrize("flips", FLIPS)
def test_flipped_bits_in_the_zip(flips):
    whole = read()

    def same(data: bytes) -> Batch:
        assert_same_graph(read(data), whole)  # a bit that says nothing, such as one of a date
        return whole

    assert count_refused(same, flipped(packed(files()), flips)) > 0.5 * flips


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("part", ["graph", "graph_id", "feats", "labels"])
def test_flipped_bits_and_cuts_in_a_file(part, flips):
    (data,) = (content for name, content in files().items() if f"valid_{part}." in name)

    def changed(damaged: bytes) -> Batch:
        return read(**{part: damaged})

    assert 0.1 * flips < count_refused(changed, flipped(data, flips)) <= flips
    points = list(cuts(data, step=13))
    assert count_refused(changed, points) == len(points)


def test_a_cut_zip_is_refused():
    points = list(cuts(packed(files()), step=17))
    assert count_refused(read, points) == len(points)


# the dataset -------------------------------------------------------------------------------------


@pytest.fixture
def mirrored(cache, tmp_path, monkeypatch):
    """A mirror with a zip of all splits, whose checksum takes the place of the real one."""
    path = tmp_path / "mirror" / "biomedical" / "ppi" / "ppi.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(packed(files("train"), files("valid"), files("test", feats=-FEATURES)))
    (file,) = ppi._SOURCE.files
    small = file._replace(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(ppi, "_SOURCE", ppi.Source("biomedical", "ppi", [small]))
    monkeypatch.setenv("GNNLIB_MIRROR", str(tmp_path / "mirror"))
    return path


def test_a_split_is_a_dataset_of_its_graphs(mirrored, monkeypatch):
    dataset = PPI("test")
    assert repr(dataset) == "PPI('ppi', num_graphs=2, num_features=3, num_classes=2)"
    assert dataset[0].num_nodes == 3
    assert torch.equal(dataset[0].x, -PPI()[0].x)
    assert torch.equal(PPI("train")[1].x, PPI("val")[1].x)
    assert PPI("val", self_loops=True)[0].num_edges == PPI("val")[0].num_edges + 3
    assert PPI("val", transform=lambda graph: graph.reverse())[0].edge_index[0, -1] == 1
    assert dataset.licence and "NIPS 2017" in dataset.citation
    monkeypatch.delenv("GNNLIB_MIRROR")
    for split in ("train", "val", "test"):
        assert len(PPI(split)) == 2  # from the cache
    with pytest.raises(DownloadError, match="needs the file ppi.zip"):
        PPI("test", self_loops=True)  # another graph, which was not made before


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="split must be one of .*; got 'valid'"):
        PPI("valid")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_graphs_are_those_of_pyg(split, mirrored, tmp_path):
    from tests.pyg import datasets

    with zipfile.ZipFile(mirrored) as archive:
        archive.extractall(tmp_path / "theirs" / "raw")
    theirs = datasets.PPI(str(tmp_path / "theirs"), split, force_reload=False)
    ours = PPI(split)
    for graph, data in zip(ours, theirs, strict=True):
        assert data.edge_index is not None
        assert sorted(graph.edge_index.T.tolist()) == sorted(data.edge_index.T.tolist())
        assert torch.equal(graph.x, data.x) and torch.equal(graph.y, data.y)
