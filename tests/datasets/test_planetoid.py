"""Planetoid: the format by a dataset that the tests write, its facts by the real files."""

import pickle
import random
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnnlib import Graph
from gnnlib.datasets import DatasetError, DownloadError, Planetoid
from gnnlib.datasets._unpickle import load
from gnnlib.datasets.planetoid import parse
from gnnlib.features import SparseFeatures
from tests.datasets import historic

SMALL = historic.Small()
N = historic.NUM_NODES


def read(raw_edges=False, **changed) -> Graph:
    return parse(SMALL.files(**changed), "small", raw_edges)


def test_rows_and_labels_go_to_their_nodes():
    graph = read()
    assert graph.num_nodes == N
    assert isinstance(graph.x, SparseFeatures)
    assert graph.x.dtype == torch.float32
    torch.testing.assert_close(graph.x.to_dense(), torch.from_numpy(SMALL.x), rtol=0, atol=0)
    assert graph.y.dtype == torch.int64
    np.testing.assert_array_equal(graph.y, SMALL.y)


def test_the_public_split_is_the_head_the_next_500_and_the_test_index():
    graph = read()
    assert graph.train_mask.nonzero().flatten().tolist() == list(range(6))
    assert graph.val_mask.nonzero().flatten().tolist() == list(range(6, 506))
    assert graph.test_mask.nonzero().flatten().tolist() == sorted(historic.TEST_NODES)


def test_a_node_of_which_nothing_is_known_has_no_features_no_label_and_no_mask():
    graph = read()
    for node in (515, 520):
        assert graph.x.to_dense()[node].count_nonzero() == 0
        assert graph.y[node] == -1
        assert not graph.train_mask[node] | graph.val_mask[node] | graph.test_mask[node]
        assert (graph.edge_index == node).any(dim=1).all()


def test_edges_are_distinct_without_loops_and_sorted_by_destination():
    graph = read()
    expected = {(i, j) for i, row in SMALL.neighbours.items() for j in row if i != j}
    edges = list(zip(*graph.edge_index.tolist(), strict=True))
    assert len(edges) == len(expected) == 2 * N
    assert set(edges) == expected
    assert edges == sorted(edges, key=lambda edge: edge[::-1])
    assert graph.adj.eid is None


def test_raw_edges_are_the_list_as_published():
    edges = read(raw_edges=True).edge_index.T.tolist()
    assert edges == [[i, j] for i, row in SMALL.neighbours.items() for j in row]


def test_the_lists_may_come_in_any_order():
    shuffled = dict(sorted(SMALL.neighbours.items(), key=lambda item: item[0] % 7))
    assert torch.equal(read(graph=shuffled).edge_index, read().edge_index)
    assert read(raw_edges=True, graph=shuffled).edge_index[0, :4].tolist() == [0, 0, 0, 7]


def test_directed_entries_stay_directed():
    one_way = {node: [(node + 1) % N] for node in range(N)}
    assert read(graph=one_way).edge_index.T.tolist() == [
        [N - 1, 0],
        *([i, i + 1] for i in range(N - 1)),
    ]


def _one_hot(part: str, row: int, column: int | slice, value: int) -> np.ndarray:
    labels = SMALL.objects()[part].copy()
    labels[row, column] = value
    return labels


def _last(part: str):
    return SMALL.objects()[part][:-1]


WIDE = sp.csr_matrix(np.ones((6, 6), dtype=np.float32))
WRONG = {
    "x that is no matrix": (
        {"x": SMALL.objects()["y"]},
        "ind.small.x must hold a sparse matrix, got ndarray",
    ),
    "y that is sparse": ({"y": SMALL.objects()["x"]}, "ind.small.y must hold a matrix, got CSR"),
    "y in one dimension": ({"y": np.ones(6, dtype=np.int32)}, "ind.small.y must hold a matrix"),
    "a graph that is no dict": (
        {"graph": SMALL.objects()["y"]},
        "list of neighbours for each node",
    ),
    "a graph of no lists": ({"graph": {0: 1}}, "list of neighbours for each node"),
    "a neighbour that is no node": ({"graph": SMALL.neighbours | {3: [N]}}, r"nodes in \[0, 532\)"),
    "a neighbour that is negative": (
        {"graph": SMALL.neighbours | {3: [-1]}},
        r"nodes in \[0, 532\)",
    ),
    "a neighbour that is no number": (
        {"graph": SMALL.neighbours | {3: [None]}},
        r"nodes in \[0, 532\)",
    ),
    "a neighbour that is true": ({"graph": SMALL.neighbours | {3: [True]}}, r"nodes in \[0, 532\)"),
    "a node that is no number": ({"graph": {b"0": []}}, r"nodes in \[0, 1\)"),
    "a node that is left out": ({"graph": {0: [], 2: []}}, r"nodes in \[0, 2\), and all of them"),
    "too few nodes": ({"graph": {0: []}}, "test.index must be in"),
    "two labels": ({"ally": _one_hot("ally", 0, slice(None), 1)}, "single 1 in each row"),
    "no label": ({"ally": _one_hot("ally", 0, slice(None), 0)}, "single 1 in each row"),
    "a label of 2": ({"ty": _one_hot("ty", 3, 1, 2)}, "single 1 in each row"),
    "labels that cancel out": ({"ty": np.array([[1, 1, -1]] * 20, dtype=np.int32)}, "single 1"),
    "other columns of x": ({"x": WIDE}, "x, tx and allx differ in columns"),
    "other columns of y": (
        {"y": np.eye(4, dtype=np.int32)[:3]},
        "y, ty and ally differ in columns",
    ),
    "fewer rows of x": ({"x": _last("x")}, "x and y differ in rows"),
    "fewer rows of allx": ({"allx": _last("allx")}, "allx and ally differ in rows"),
    "fewer rows of tx": ({"tx": _last("tx")}, "tx, ty and test.index differ in rows"),
    "fewer rows of ty": ({"ty": _last("ty")}, "tx, ty and test.index differ in rows"),
    "fewer test nodes": (
        {"test_index": _last("test.index")},
        "tx, ty and test.index differ in rows",
    ),
    "x that is not in allx": ({"x": SMALL.objects()["x"] * 2}, "x must be the first rows of allx"),
    "y that is not in ally": (
        {"y": SMALL.objects()["ally"][1:7]},
        "y must be the first rows of ally",
    ),
    "a test node twice": ({"test_index": [*_last("test.index"), 512]}, "repeats a node"),
    "a test node out of range": ({"test_index": [*_last("test.index"), N]}, r"\[510, 532\)"),
    "a test node with a label": ({"test_index": [*_last("test.index"), 509]}, r"\[510, 532\)"),
    "a test node that is no number": (
        {"test_index": [*_last("test.index"), "x"]},
        "one node a line",
    ),
    "a test node that is negative": ({"test_index": [*_last("test.index"), -1]}, "one node a line"),
    "a test node that is huge": (
        {"test_index": [*_last("test.index"), "9" * 5000]},
        "one node a line",
    ),
    "no test nodes": ({"test_index": []}, "one node a line"),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG.keys())
def test_files_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(DatasetError, match=message):
        read(**changed)


def test_validation_nodes_must_be_there():
    files = SMALL.files(allx=SMALL.objects()["allx"][:505], ally=SMALL.objects()["ally"][:505])
    with pytest.raises(DatasetError, match="allx is too short"):
        parse(files, "small")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_features_must_be_finite_numbers_of_32_bits(value):
    x = SMALL.objects()["tx"].astype(np.float64)
    x.data[0] = value
    with pytest.raises(DatasetError, match=r"ind\.small\.tx must hold finite float32 numbers"):
        read(tx=x)


def test_a_list_that_many_nodes_share_is_not_multiplied():
    """100 000 nodes that all name one list of 100 000 entries: 10**10 edges in half a megabyte."""
    shared = b"]q\x01(" + b"K\x00" * 100_000 + b"e"
    head = b"\x80\x02" + historic.GRAPH_HEAD + b"(" + historic.encode(0) + shared
    rest = b"".join(historic.encode(node) + b"h\x01" for node in range(1, 100_000))
    with pytest.raises(DatasetError, match=r"lists 10000000000 edges in \d+ bytes"):
        parse(SMALL.files() | {"graph": head + rest + b"u."}, "small")


def test_a_cut_test_index_is_refused():
    files = SMALL.files()
    whole = files["test.index"]
    for end in range(len(whole) - 1):  # without its last line end the file is still whole
        with pytest.raises(DatasetError):
            parse(files | {"test.index": whole[:end]}, "small")


def test_a_changed_byte_gives_an_error_or_a_valid_graph():
    files = SMALL.files()
    draw = random.Random(0)
    refused = 0
    for part in files:
        for _ in range(60):
            data = bytearray(files[part])
            data[draw.randrange(min(len(data), 1500))] ^= 1 << draw.randrange(8)
            try:
                graph = parse(files | {part: bytes(data)}, "small")
            except DatasetError:
                refused += 1
            else:
                graph.validate()
                assert graph.num_nodes == N
                assert graph.x.to_dense().isfinite().all()
                assert graph.y.min() >= -1
    assert refused > 240


@pytest.mark.parametrize("name", ["cors", "", "Karate", None])
def test_an_unknown_name_lists_the_choices_nearest_first(name):
    with pytest.raises(ValueError, match="name must be one of 'c") as info:
        Planetoid(name)
    assert str(info.value).endswith(f"got {name!r}")


def test_no_network_and_no_file_is_an_error_that_names_the_dataset(cache):
    with pytest.raises(DownloadError, match=r"planetoid_cora needs the file ind\.cora\.x"):
        Planetoid("cora")


# The real files.


@pytest.fixture
def real(mirror, cache, monkeypatch):
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    return cache


def isolated(graph: Graph) -> torch.Tensor:
    return (graph.adj.degree() + graph.reverse().adj.degree()) == 0


def test_cora_has_its_published_facts(real):
    dataset = Planetoid("Cora")
    assert repr(dataset) == "Planetoid('cora', num_graphs=1, num_features=1433, num_classes=7)"
    assert "MIT" in dataset.licence
    assert "Sen" in dataset.citation
    assert "Yang" in dataset.citation
    (graph,) = dataset
    assert (graph.num_nodes, graph.num_edges) == (2708, 10556)
    assert graph.is_undirected()
    assert not graph.has_self_loops()
    assert graph.y.bincount().tolist() == [351, 217, 418, 818, 426, 298, 180]
    assert graph.y[graph.train_mask].bincount().tolist() == [20] * 7
    assert [int(m.sum()) for m in (graph.train_mask, graph.val_mask, graph.test_mask)] == [
        140,
        500,
        1000,
    ]
    assert not (graph.train_mask & graph.val_mask).any()
    assert graph.test_mask[1708:].all()
    assert set(graph.x.values.tolist()) == {1.0}
    assert graph.x.values.numel() == 49216
    assert not isolated(graph).any()
    assert Planetoid("cora", raw_edges=True)[0].num_edges == 10858


def test_citeseer_has_its_published_facts(real):
    dataset = Planetoid("CiteSeer")
    graph = dataset[0]
    assert (graph.num_nodes, graph.num_edges) == (3327, 9104)
    assert (dataset.num_features, dataset.num_classes) == (3703, 6)
    assert graph.is_undirected()
    assert [int(m.sum()) for m in (graph.train_mask, graph.val_mask, graph.test_mask)] == [
        120,
        500,
        1000,
    ]
    unknown = [
        2407,
        2489,
        2553,
        2682,
        2781,
        2953,
        3042,
        3063,
        3212,
        3214,
        3250,
        3292,
        3305,
        3306,
        3309,
    ]
    assert (graph.y == -1).nonzero().flatten().tolist() == unknown
    assert (graph.x.row_sum()[unknown] == 0).all()
    assert not (graph.train_mask | graph.val_mask | graph.test_mask)[unknown].any()
    assert graph.y[graph.y >= 0].bincount().tolist() == [249, 590, 668, 701, 596, 508]
    assert not isolated(graph)[unknown].any()
    assert isolated(graph).sum() == 48
    assert (isolated(graph) & graph.test_mask).sum() == 12
    raw = Planetoid("citeseer", raw_edges=True)[0]
    assert raw.num_edges == 9464
    assert raw.coalesce().num_edges == 9228


def test_pubmed_without_its_features_says_which_file_is_missing(real, mirror):
    missing = mirror / "citation/planetoid_pubmed/ind.pubmed.allx"
    if missing.exists():
        assert Planetoid("pubmed")[0].num_edges == 88648
        return
    with pytest.raises(DownloadError) as info:
        Planetoid("pubmed")
    assert "planetoid_pubmed needs the file ind.pubmed.allx" in str(info.value)
    assert f"{missing} (from GNNLIB_MIRROR): no such file" in str(info.value)
    assert f"put the file at {real}/citation/planetoid_pubmed/ind.pubmed.allx" in str(info.value)
    assert not list(real.rglob("*.part"))


def test_pubmed_is_read_with_features_that_the_test_writes(mirror):
    folder = mirror / "citation/planetoid_pubmed"
    parts = ("x", "y", "tx", "ty", "ally", "graph", "test.index")
    files = {part: (folder / f"ind.pubmed.{part}").read_bytes() for part in parts}
    head = _load(files["x"])
    rest = sp.random_array((18717 - 60, 500), density=0.01, dtype=np.float32, rng=0, format="csr")
    files["allx"] = historic.dump(sp.csr_matrix(sp.vstack([head, rest])))
    graph = parse(files, "pubmed")
    assert (graph.num_nodes, graph.num_edges) == (19717, 88648)
    assert graph.y.bincount().tolist() == [4103, 7739, 7875]
    assert [int(m.sum()) for m in (graph.train_mask, graph.val_mask, graph.test_mask)] == [
        60,
        500,
        1000,
    ]
    np.testing.assert_array_equal(graph.x[:60].to_dense(), head.toarray())
    np.testing.assert_array_equal(graph.x[60:18717].to_dense(), rest.toarray())
    order = [int(line) for line in files["test.index"].split()]
    np.testing.assert_array_equal(graph.x.to_dense()[order], _load(files["tx"]).toarray())
    raw = parse(files, "pubmed", raw_edges=True)
    assert raw.num_edges == 88676
    loops = raw.edge_index[0, raw.edge_index[0] == raw.edge_index[1]]
    assert loops.tolist() == [3918, 3918, 6992, 6992, 8806, 8806]


def _load(data: bytes) -> sp.csr_matrix:
    matrix = load(data, "file")
    return sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)


def test_cora_equals_what_scipy_and_pickle_read(real, mirror):
    """The same files by another way: unpickled for real, put together as dense matrices."""

    def unpickle(part):
        data = (mirror / f"citation/planetoid_cora/ind.cora.{part}").read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names of scipy and numpy that have moved
            return pickle.loads(data, encoding="latin1")  # noqa: S301

    test = np.loadtxt(mirror / "citation/planetoid_cora/ind.cora.test.index", dtype=np.int64)
    x, y = np.zeros((2708, 1433), dtype=np.float32), np.zeros((2708, 7), dtype=np.int64)
    x[:1708], x[test] = unpickle("allx").toarray(), unpickle("tx").toarray()
    y[:1708], y[test] = unpickle("ally"), unpickle("ty")
    adjacency = np.zeros((2708, 2708), dtype=bool)
    for node, neighbours in unpickle("graph").items():
        adjacency[node, neighbours] = True
    np.fill_diagonal(adjacency, False)
    graph = Planetoid("cora")[0]
    np.testing.assert_array_equal(graph.x.to_dense(), x)
    np.testing.assert_array_equal(graph.y, y.argmax(1))
    np.testing.assert_array_equal(graph.to_dense().bool(), adjacency)


@pytest.mark.parametrize("damage", ["corrupted", "truncated", "malicious"])
def test_a_damaged_graph_file_is_refused_and_nothing_is_left(
    damage, mirror, cache, tmp_path, monkeypatch
):
    wrong = tmp_path / "wrong" / "citation" / "planetoid_cora"
    wrong.mkdir(parents=True)
    for path in (mirror / "citation" / "planetoid_cora").iterdir():
        (wrong / path.name).write_bytes(path.read_bytes())
    whole = (wrong / "ind.cora.graph").read_bytes()
    data = {
        "corrupted": whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
        "truncated": whole[: len(whole) // 2],
        "malicious": f"cos\nsystem\n(S'touch {tmp_path}/sentinel'\ntR.".encode(),
    }[damage]
    (wrong / "ind.cora.graph").write_bytes(data)
    monkeypatch.setenv("GNNLIB_MIRROR", str(tmp_path / "wrong"))
    with pytest.raises(DatasetError, match=r"ind.cora.graph .* is refused: sha256 must be"):
        Planetoid("cora")
    assert not (tmp_path / "sentinel").exists()
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_transform_is_applied_once_and_not_cached(real):
    calls = []

    def transform(graph):
        calls.append(graph)
        return graph.replace(y=graph.y + 1)

    dataset = Planetoid("cora", transform=transform)
    assert dataset[0] is dataset[0]
    assert len(calls) == 1
    assert torch.equal(dataset[0].y, Planetoid("cora")[0].y + 1)
    assert dataset.num_classes == 7
