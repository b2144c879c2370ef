"""What `gnnlib train` knows by name, made ready: task, transforms, splits."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gnnlib import Batch, Graph
from gnnlib.datasets import Dataset, HeterophilousGraphs, MoleculeNet, TUDataset
from gnnlib.train import GraphSplit, k_folds, random_split
from gnnlib.train.sources import NODES, SOURCES, Source
from tests.train.many_graphs import graphs, is_ring, length, ring_and_large


def dataset(label=is_ring, number: int = 40) -> Dataset:
    # A tensor that tells the graphs apart.
    each = [
        graph.replace(graph_number=torch.tensor([n]))
        for n, graph in enumerate(graphs(number, label))
    ]
    return Dataset("rings", each, num_classes=2, licence="", citation="")


def of_graphs(**more) -> Source:
    return Source(dataset, level="graph", **more)


def numbers(split: Any) -> list[Tensor]:
    return [part.graph_number for part in split]


def test_folds_of_graphs_are_those_of_k_folds_and_share_the_graphs_out():
    material = of_graphs().load(folds=5)
    assert (material.num_folds, material.num_outputs) == (5, 2)
    assert isinstance(material.whole, Batch) and len(material.whole) == 40
    tests = []
    for fold, expected in enumerate(k_folds(material.whole.graph_y, 5)):
        data = material.data(fold)
        assert isinstance(data, GraphSplit)
        for found, rows in zip(numbers(data), expected, strict=True):
            assert torch.equal(found, rows)
        assert torch.equal(torch.cat(numbers(data)).sort().values, torch.arange(40))
        tests.append(data.test.graph_number)
        assert data.test[0].graph_y == material.whole[int(data.test.graph_number[0])].graph_y
    assert torch.equal(torch.cat(tests).sort().values, torch.arange(40))


def test_without_folds_there_is_one_random_split():
    material = of_graphs().load()
    assert material.num_folds == 1
    for found, rows in zip(numbers(material.data(0)), random_split(material.whole.graph_y)):
        assert torch.equal(found, rows)
    assert [len(part) for part in numbers(material.data(0))] == [32, 4, 4]


def test_more_folds_than_graphs_are_refused():
    with pytest.raises(ValueError, match="at most the 40 labelled rows, got 41"):
        of_graphs().load(folds=41)


@pytest.mark.parametrize(
    ("label", "task", "metric"),
    [
        (is_ring, "graph-classification", "accuracy"),
        (length, "graph-regression", "rmse"),
        (ring_and_large, "graph-multilabel", "roc_auc"),
    ],
)
def test_the_task_is_that_of_the_labels(label, task, metric):
    source = Source(lambda: dataset(label), level="graph")
    found = source.load().task
    assert (found.name, found.metric) == (task, metric)
    other = "mae" if label is length else "f1_macro"
    assert Source(source.open, level="graph", metric=other).load().task.metric == other
    assert source.load(metric=other).task.metric == other
    with pytest.raises(ValueError, match=f"metric of a {task} must be one of"):
        source.load(metric="accuracy" if label is length else "rmse")


def nodes(seed: int = 0, **masks: Tensor) -> Dataset:
    y = torch.arange(30) % 3
    if not masks:
        order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
        names = ("train_mask", "val_mask", "test_mask")
        masks = {name: order // 10 == part for part, name in enumerate(names)}
    graph = Graph([[0], [1]], num_nodes=30, x=torch.rand(30, 2), y=y, **masks)
    return Dataset("nodes", [graph], num_classes=3, licence="", citation="")


def masks_of(graph: Any) -> list[list[bool]]:
    return [graph[f"{part}_mask"].tolist() for part in ("train", "val", "test")]


def test_folds_of_nodes_are_the_splits_of_the_dataset():
    material = Source(nodes, split_by="seed").load(folds=4)
    assert material.num_folds == 4
    for fold in range(4):
        data = material.data(fold)
        assert masks_of(data) == masks_of(nodes(seed=fold)[0])
        assert isinstance(data, Graph) and torch.equal(data.x, material.whole.x)


def test_the_masks_of_a_dataset_are_its_one_split():
    material = Source(nodes).load()
    assert material.num_folds == 1
    assert masks_of(material.data(0)) == masks_of(nodes()[0])


def test_where_nodes_have_no_masks_a_split_is_drawn():
    graph = nodes()[0].replace(train_mask=None, val_mask=None, test_mask=None)
    y = torch.where(torch.arange(30) < 10, -1, graph.y)  # some have no label
    bare = Dataset("bare", [graph.replace(y=y)], num_classes=3, licence="", citation="")
    data = Source(lambda: bare).load().data(0)
    for found, rows in zip(masks_of(data), random_split(y, NODES), strict=True):
        assert torch.tensor(found).nonzero().flatten().tolist() == rows.tolist()
    assert [sum(mask) for mask in masks_of(data)] == [12, 4, 4]


def test_folds_of_nodes_need_a_dataset_with_as_many_splits():
    with pytest.raises(ValueError, match="needs a dataset with several splits, got folds=2"):
        Source(nodes).load(folds=2)
    source = Source(nodes, split_by="seed", num_splits=10)
    assert source.load(folds=10).num_folds == 10
    with pytest.raises(ValueError, match="folds must be at most 10, the dataset's splits, got 11"):
        source.load(folds=11)


def test_transforms_come_before_the_split_and_not_in_graphs():
    def grown(graph: Graph) -> Graph:
        return graph.replace(x=torch.cat([graph.x, graph.x], 1))

    source = of_graphs(transforms=(grown, grown))
    data = source.load().data(0)
    assert isinstance(data, GraphSplit) and data.train.num_features == 8
    assert source.graphs().num_features == 2


def test_what_is_moved_keeps_its_splits():
    material = of_graphs().load(folds=5)
    moved = material.to(torch.device("cpu"))
    assert numbers(moved.data(2))[2].tolist() == numbers(material.data(2))[2].tolist()
    assert (moved.task, moved.num_outputs, moved.num_folds) == (material.task, 2, 5)


def test_edge_features_of_numbers_have_a_width():
    assert of_graphs().load().edge_dim is None
    for attr, width in ((torch.rand(1, 4), 4), (torch.rand(1), None)):
        graph = nodes()[0].replace(edge_attr=attr)
        one = Dataset("one", [graph], num_classes=3, licence="", citation="")
        assert Source(lambda: one).load().edge_dim == width  # noqa: B023


@pytest.fixture
def real(mirror, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GNNLIB_MIRROR", str(mirror))
    monkeypatch.setenv("GNNLIB_CACHE", str(tmp_path))


def test_the_ten_splits_of_minesweeper_are_those_of_its_loader(real):
    material = SOURCES["minesweeper"].load(folds=10)
    assert (material.task.metric, material.num_folds) == ("roc_auc", 10)
    for fold in (0, 3, 9):
        expected = HeterophilousGraphs("minesweeper", split=fold)[0]
        assert masks_of(material.data(fold)) == masks_of(expected)
    with pytest.raises(ValueError, match="folds must be at most 10"):
        SOURCES["minesweeper"].load(folds=11)


def test_social_graphs_have_their_degrees_as_features(real):
    material = SOURCES["imdb-binary"].load(folds=10)
    whole = material.whole
    assert whole.num_features == 136
    assert torch.equal(whole.x.argmax(1), whole.adj.degree().long())
    assert material.task.name == "graph-classification"
    assert isinstance(whole, Batch) and len(whole) == len(TUDataset("IMDB-BINARY")) == 1000


def test_atoms_and_bonds_are_one_hot(real):
    material = SOURCES["freesolv"].load()
    raw = MoleculeNet("FreeSolv")
    whole = material.whole
    assert isinstance(whole, Batch) and len(whole) == 642
    assert (material.task.name, material.num_outputs) == ("graph-regression", 1)
    assert whole.num_features > raw.num_features
    assert torch.equal(whole.x.sum(1), torch.full((whole.num_nodes,), float(raw.num_features)))
    assert material.edge_dim == whole.edge_attr.shape[1]
    assert whole.edge_attr.is_floating_point()
