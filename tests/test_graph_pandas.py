"""Graph.from_pandas: what the columns of frames become; the rules of columns are those of CSV."""

import random

import numpy as np
import pytest
import torch

from gnnlib import Batch, Graph, NamedGraph, read_csv

pandas = pytest.importorskip("pandas")


@pytest.fixture
def nodes():
    return pandas.DataFrame(
        {
            "id": [30, 10, 20],
            "age": [1, 2, 3],
            "size": [0.5, 1.5, -2.0],
            "old": [True, False, True],
            "town": ["Riga", "Bonn", "Riga"],
            "job": ["smith", None, "cook"],
        },
        index=["c", "a", "b"],
    )


@pytest.fixture
def edges():
    return pandas.DataFrame({"source": [10, 20, 20], "target": [30, 10, 20], "w": [1, 2, 3]})


def test_two_frames_make_a_graph_and_its_names(edges, nodes):
    made = Graph.from_pandas(edges, nodes, label="job", edge_weight="w")
    graph, ids, classes, features = made
    assert isinstance(made, NamedGraph) and type(graph) is Graph
    assert ids.dtype == np.int64 and ids.tolist() == [30, 10, 20]
    assert graph.edge_index.tolist() == [[1, 2, 2], [0, 1, 2]]
    assert features == ("age", "size", "old", "town=Bonn", "town=Riga")
    assert graph.x.dtype == torch.float32
    assert graph.x.tolist() == [[1, 0.5, 1, 0, 1], [2, 1.5, 0, 1, 0], [3, -2, 1, 0, 1]]
    assert graph.y.tolist() == [1, -1, 0]
    assert classes is not None and classes.tolist() == ["cook", "smith"]
    assert graph.edge_weight.tolist() == [1, 2, 3]


def test_the_frames_are_left_as_they_were(edges, nodes):
    before = edges.copy(), nodes.copy()
    graph = Graph.from_pandas(edges, nodes, label="job", edge_weight="w").graph
    for value in (graph.x, graph.edge_weight, graph.edge_index):
        value.zero_()
    pandas.testing.assert_frame_equal(edges, before[0])
    pandas.testing.assert_frame_equal(nodes, before[1])


def test_frames_and_files_mean_the_same(edges, nodes, tmp_path):
    nodes["part"] = ["train", "val", "test"]
    edges.to_csv(tmp_path / "edges.csv", index=False)
    nodes.to_csv(tmp_path / "nodes.csv", index=False)
    options = {"label": "job", "split": "part", "edge_weight": "w", "directed": False}
    a = Graph.from_pandas(edges, nodes, **options)
    b = read_csv(tmp_path / "edges.csv", tmp_path / "nodes.csv", **options)
    assert a.features == b.features and a.ids.tolist() == b.ids.tolist()
    assert list(a.graph.keys()) == list(b.graph.keys())
    assert torch.equal(a.graph.edge_index, b.graph.edge_index)
    for name, value in a.graph.items():
        assert torch.equal(value, b.graph[name])


def test_ids_are_a_column_or_the_index(edges, nodes):
    ends = pandas.DataFrame({"of": ["a", "b"], "to": ["c", "c"]})
    graph, ids, _, features = Graph.from_pandas(
        ends, nodes[["age"]], source="of", target="to", node_id=None
    )
    assert ids.tolist() == ["c", "a", "b"] and features == ("age",)
    assert graph.edge_index.tolist() == [[1, 2], [0, 0]]
    renamed = nodes.rename(columns={"id": "key"})
    assert Graph.from_pandas(edges, renamed, node_id="key", label="job").ids.tolist() == [
        30,
        10,
        20,
    ]
    indexed = nodes.set_index("id")
    assert Graph.from_pandas(edges, indexed, label="job").ids.tolist() == [30, 10, 20]
    with pytest.raises(
        ValueError, match="nodes must have a column 'id'; node_id= .* are 'key', 'age'"
    ):
        Graph.from_pandas(edges, renamed)
    with pytest.raises(ValueError, match=r"node_id must name a column of nodes.* got 'no'"):
        Graph.from_pandas(edges, nodes, node_id="no")


def test_without_nodes_they_are_the_ends(edges):
    graph, ids, classes, features = Graph.from_pandas(edges)
    assert ids.tolist() == [10, 20, 30] and graph.num_nodes == 3
    assert (classes, features, list(graph.keys())) == (None, (), [])


def test_columns_may_be_called_by_numbers():
    table = pandas.DataFrame(np.arange(6.0).reshape(2, 3))
    ends = pandas.DataFrame([[0, 1]])
    graph, *_, features = Graph.from_pandas(ends, table, source=0, target=1, node_id=None, label=0)
    assert features == ("1", "2") and graph.x.tolist() == [[1, 2], [4, 5]]
    assert graph.y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("cells", "dtype", "expected"),
    [
        ([1, 2, 3], "int8", [1, 2, 3]),
        ([1, 2, 3], "uint64", [1, 2, 3]),
        ([1, 2, 3], "Int64", [1, 2, 3]),
        ([1, 2, 3], "object", [1, 2, 3]),
        ([1.5, 2, 3], "float16", [1.5, 2, 3]),
        ([1.5, 2, 3], "Float64", [1.5, 2, 3]),
        ([True, False, True], "boolean", [1, 0, 1]),
        ([True, False, True], "object", [1, 0, 1]),
        ([5, 3, 5], "category", [[0, 1], [1, 0], [0, 1]]),
        (["b", "a", "b"], "category", [[0, 1], [1, 0], [0, 1]]),
        (["b", "a", "b"], "string", [[0, 1], [1, 0], [0, 1]]),
        (["b", "a", "b"], "object", [[0, 1], [1, 0], [0, 1]]),
    ],
)
def test_every_dtype_of_numbers_bools_and_texts(edges, nodes, cells, dtype, expected):
    nodes["new"] = pandas.Series(cells, dtype=dtype, index=nodes.index)
    x = Graph.from_pandas(edges, nodes, features=["new"]).graph.x
    assert x.dtype == torch.float32 and x.squeeze(1).tolist() == expected


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([1.0, None, 3.0], "float64"),
        ([1, None, 3], "Int64"),
        ([True, None, False], "boolean"),
        ([True, None, False], "object"),
        (["a", None, "b"], "object"),
        (["a", " ", "b "], "object"),
        (["a", None, "b"], "string"),
        (["a", None, "b"], "category"),
    ],
)
def test_a_missing_cell_is_an_error_in_features_and_no_label(edges, nodes, cells, dtype):
    nodes["new"] = pandas.Series(cells, dtype=dtype, index=nodes.index)
    with pytest.raises(ValueError, match=r"nodes row 1 \(index 'a'\): 'new' is missing"):
        Graph.from_pandas(edges, nodes, features=["new"])
    graph, _, classes, _ = Graph.from_pandas(edges, nodes, features=[], label="new")
    order = sorted(cell for cell in cells if cell not in (None, " "))
    assert classes is not None and classes.tolist() == order
    assert graph.y.tolist() == [order.index(cells[0]), -1, order.index(cells[2])]


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        (
            pandas.to_datetime(["2020-01-01"] * 3),
            TypeError,
            "column 'new' of nodes .* got Timestamp",
        ),
        ([1, "a", 2], TypeError, "one kind of them, got int and str"),
        ([1 + 2j] * 3, TypeError, "got complex"),
        ([[1], [2], [3]], TypeError, "got list"),
        ([1.0, 2.0, 1e39], ValueError, r"nodes row 2 \(index 'b'\): 'new' must be a finite number"),
        ([1, 2, 10**400], ValueError, "'new' must be a finite number .* got inf"),
        (
            ["1", "2", "3"],
            ValueError,
            "is the text '1', which is a number; .* categories=\\['new'\\]",
        ),
    ],
)
def test_a_column_that_is_no_feature_is_named(edges, nodes, cells, error, message):
    nodes["new"] = cells
    with pytest.raises(error, match=message):
        Graph.from_pandas(edges, nodes, features=["new"])
    assert Graph.from_pandas(edges, nodes, features=["age"]).features == ("age",)


def test_ids_that_cannot_be_are_named(edges, nodes):
    def refused(error, message, **columns):
        with pytest.raises(error, match=message):
            Graph.from_pandas(edges.assign(**columns), nodes, features=[])

    refused(
        ValueError, "edges row 1: the target 5 is no id of nodes, which has 3", target=[30, 5, 6]
    )
    refused(ValueError, "edges row 2: the source is missing", source=[10, 20, None])
    refused(TypeError, "got the source 0.5 in edges row 0", source=[0.5, 20, 30])
    refused(TypeError, "texts as source, integers as target", source=["10", "20", "20"])
    refused(TypeError, "got the source True", source=[True, False, True])
    refused(TypeError, "integers below 2", source=np.array([2**63] * 3, dtype=np.uint64))
    again = pandas.concat([nodes, nodes.iloc[:1]], ignore_index=True)
    with pytest.raises(ValueError, match="nodes row 3: the id 30 is repeated; row 0 has it too"):
        Graph.from_pandas(edges, again, features=[])


def test_frames_that_cannot_be_are_refused(edges, nodes):
    with pytest.raises(TypeError, match="edges must be a pandas DataFrame, got dict"):
        Graph.from_pandas({"source": [1]})
    with pytest.raises(TypeError, match="nodes must be a pandas DataFrame, got Series"):
        Graph.from_pandas(edges, nodes["id"])
    with pytest.raises(ValueError, match="nodes must have nodes, got no row"):
        Graph.from_pandas(edges, nodes.iloc[:0])
    with pytest.raises(ValueError, match="edges must have edges, got no row"):
        Graph.from_pandas(edges.iloc[:0], nodes)
    with pytest.raises(
        ValueError, match=r"source must name .*edges, whose columns are 'a'; got 'source'"
    ):
        Graph.from_pandas(edges[["source"]].rename(columns={"source": "a"}))
    with pytest.raises(ValueError, match="nodes must have each column once, got 'age' again"):
        Graph.from_pandas(edges, pandas.concat([nodes, nodes[["age"]]], axis=1))


def test_a_batch_makes_a_graph_too(edges):
    assert type(Batch.from_pandas(edges).graph) is Graph


@pytest.mark.parametrize("directed", [True, False])
def test_any_frames_come_back_from_the_graph(directed):
    draw = random.Random(0)
    for _ in range(50):
        names = draw.sample([f"n{k}" for k in range(40)], draw.randrange(1, 20))
        pairs = [(draw.choice(names), draw.choice(names)) for _ in range(draw.randrange(1, 60))]
        table = pandas.DataFrame({"id": names, "v": [draw.random() for _ in names]})
        ends = pandas.DataFrame(pairs, columns=["source", "target"])
        graph, ids, *_ = Graph.from_pandas(ends, table, directed=directed)
        back = [tuple(pair) for pair in ids[graph.edge_index.T.numpy()]]
        reverse = [] if directed else [(b, a) for a, b in pairs if a != b]
        assert back == pairs + reverse
        assert graph.x.flatten().tolist() == [float(np.float32(v)) for v in table["v"]]
