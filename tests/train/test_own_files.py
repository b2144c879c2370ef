"""OwnFiles: what a run's config says of two CSV files, and what is refused before training."""

import json
from dataclasses import asdict

import pytest

from gnnlib import SparseFeatures
from gnnlib.train.graph_file import find_source
from gnnlib.train.own_files import OwnFiles

NODES = "id,size,kind,part\n" + "".join(
    f"{k * 7},{k}.5,{'abc'[k % 3]},{('train', 'val', 'test')[k // 3 % 3]}\n" for k in range(18)
)
EDGES = "a,b,w\n" + "".join(f"{k * 7},{(k + 3) % 18 * 7},{k}\n" for k in range(18))


@pytest.fixture
def files(tmp_path):
    def write(nodes: str = NODES, edges: str = EDGES, **columns):
        paths = tmp_path / "nodes.csv", tmp_path / "edges.csv"
        for path, text in zip(paths, (nodes, edges)):
            path.write_text(text)
        content = {"nodes": str(paths[0]), "edges": str(paths[1]), "label": "kind", "split": "part"}
        return OwnFiles.from_dict({**content, **columns})

    return write


def test_the_files_are_a_dataset_to_train_on(files):
    own = files(edge_weight="w", directed=False)
    material = find_source(own.nodes, own).load()
    graph, num_classes = material.whole, material.num_outputs
    assert (graph.num_nodes, graph.num_edges, graph.num_features, num_classes) == (18, 36, 1, 3)
    assert material.task.name == "node-classification"
    assert [len(part) for part in material.split(0)] == [6, 6, 6]
    assert graph.edge_weight.tolist() == [*range(18), *range(18)]
    assert own.named.ids.tolist() == [k * 7 for k in range(18)]


def test_without_a_split_a_seeded_one_has_its_share_of_each_class(files):
    nodes = "id,size,kind\n" + "".join(f"{k * 7},{k},{'abc'[k % 3]}\n" for k in range(15))
    own = files(nodes, "a,b\n0,7\n", split=None)
    split = find_source(own.nodes, own).load().split(0)
    classes = [own.named.graph.y[part].bincount().tolist() for part in split]
    assert classes == [[3, 3, 3], [1, 1, 1], [1, 1, 1]]


def test_features_that_are_mostly_zero_are_kept_sparse(files):
    town = [f"t{k}" for k in range(18)]
    nodes = "id,town,kind\n" + "".join(f"{k * 7},{town[k]},{'abc'[k % 3]}\n" for k in range(18))
    graph = files(nodes, split=None).named.graph
    assert isinstance(graph.x, SparseFeatures) and graph.x.shape == (18, 18)
    order = sorted(town)
    expected = [[float(name == town[k]) for name in order] for k in range(18)]
    assert graph.x.to_dense().tolist() == expected
    assert not isinstance(files().named.graph.x, SparseFeatures)


def test_json_holds_all_of_it(files):
    own = files(edge_weight="w", directed=False)
    assert OwnFiles.from_dict(json.loads(json.dumps(asdict(own)))) == own
    least = {"nodes": "a.csv", "edges": "b.csv", "label": "l"}
    assert OwnFiles.from_dict(least) == OwnFiles("a.csv", "b.csv", "l", None, None, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"nodes": "a.csv", "label": "l"}, "files must have 'edges', got 'nodes', 'label'"),
        ({}, "files must have 'nodes', got nothing"),
        ({"node": "a.csv"}, "a key of files must be one of 'nodes', .*; got 'node'"),
        ({"nodes": 3}, "files.nodes cannot be 3"),
        ({"label": None}, "files.label cannot be None"),
        ({"directed": "no"}, "files.directed cannot be 'no'"),
    ],
)
def test_a_config_that_says_something_else_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        OwnFiles.from_dict(content)


def test_what_cannot_be_trained_on_is_refused(files):
    with pytest.raises(
        ValueError, match="must have a column of features, beside the id and 'kind'"
    ):
        _ = files("id,kind\n0,a\n7,b\n", "a,b\n0,7\n", split=None).named
    with pytest.raises(ValueError, match=r"it has {'train': 6, 'val': 0, 'test': 6}"):
        _ = files(NODES.replace("val", "")).named
    nodes = "id,x,kind,train_mask\n0,1,a,1\n7,2,b,0\n"
    with pytest.raises(ValueError, match=r"it has {'train': 1}"):
        _ = files(nodes, "a,b\n0,7\n", split=None).named
