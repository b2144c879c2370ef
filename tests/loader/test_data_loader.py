from collections.abc import Sequence

import pytest
import torch
from torch.utils.data import BatchSampler, Subset, WeightedRandomSampler, random_split

from gnnlib import Batch, Graph
from gnnlib.datasets import Dataset
from gnnlib.loader import DataLoader
from tests import pyg
from tests.graphs import GRAPHS, assert_same_graph, make_graph

NAMES = list(GRAPHS)


def graphs() -> list[Graph]:
    """One of each corner graph; `graph_id` tells them apart."""
    made = [make_graph(name) for name in NAMES]
    return [graph.replace(graph_id=torch.tensor([k])) for k, graph in enumerate(made)]


class Lazy(Sequence[Graph]):
    """Graphs that are made anew each time they are asked for."""

    def __init__(self):
        self.graphs = graphs()
        self.asked = 0

    def __len__(self):
        return len(self.graphs)

    def __getitem__(self, k):
        self.asked += 1
        return self.graphs[k].replace(count=torch.full((self.graphs[k].num_nodes,), self.asked))


def dataset_of(kind: str):
    held = graphs()
    described = {"num_classes": 2, "licence": "CC0-1.0", "citation": "none"}
    return {
        "list": lambda: held,
        "tuple": lambda: tuple(held),
        "batch": lambda: Batch.from_graphs(held),
        "dataset": lambda: Dataset("corners", held, **described),
        "dataset_of_a_batch": lambda: _holding_a_batch(Dataset("corners", held, **described)),
        "subset": lambda: Subset(Dataset("corners", held, **described), range(len(held))),  # pyright: ignore[reportArgumentType]
        "lazy": Lazy,
    }[kind]()


def _holding_a_batch(dataset: Dataset) -> Dataset:
    dataset._graphs = Batch.from_graphs(dataset._graphs)  # pyright: ignore[reportAttributeAccessIssue]
    return dataset


KINDS = ["list", "tuple", "batch", "dataset", "dataset_of_a_batch", "subset", "lazy"]


def ids(loader: DataLoader) -> list[list[int]]:
    return [batch.graph_id.tolist() for batch in loader]


def flat(loader: DataLoader) -> list[int]:
    return [k for batch in ids(loader) for k in batch]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mini_batch_is_the_batch_of_its_graphs(kind):
    loader = DataLoader(dataset_of(kind), batch_size=5, shuffle=True)
    assert len(loader) == 4
    assert len(loader.dataset) == len(NAMES)  # pyright: ignore[reportArgumentType]
    held, seen = graphs(), []
    for batch in loader:
        assert isinstance(batch, Batch)
        wanted = Batch.from_graphs([held[k] for k in batch.graph_id.tolist()])
        assert_same_graph(batch.replace(count=None), wanted)
        seen += batch.graph_id.tolist()
    assert sorted(seen) == list(range(len(NAMES)))


def test_the_graphs_come_in_order_unless_shuffled():
    loader = DataLoader(graphs(), batch_size=8)
    assert ids(loader) == [list(range(8)), list(range(8, 16)), [16, 17, 18]]
    assert ids(DataLoader(graphs(), batch_size=8, drop_last=True)) == ids(loader)[:2]
    assert ids(DataLoader(graphs()[:2])) == [[0], [1]]


def test_with_a_generator_the_orders_are_the_same_again():
    def orders(seed: int) -> list[list[list[int]]]:
        generator = torch.Generator().manual_seed(seed)
        loader = DataLoader(graphs(), batch_size=4, shuffle=True, generator=generator)
        return [ids(loader), ids(loader)]

    first, second = orders(1)
    assert first != second
    assert orders(1) == [first, second]
    assert orders(2) != [first, second]


def test_samplers_choose_the_graphs():
    weights = [1.0 if k in (2, 5) else 0.0 for k in range(len(NAMES))]
    sampler = WeightedRandomSampler(weights, num_samples=40)
    seen = flat(DataLoader(graphs(), batch_size=16, sampler=sampler))
    assert len(seen) == 40
    assert set(seen) == {2, 5}
    by_hand = [[3, 3, 1], [0]]
    assert ids(DataLoader(graphs(), batch_sampler=by_hand)) == by_hand
    pairs = BatchSampler(range(6), 2, drop_last=False)
    assert ids(DataLoader(graphs(), batch_sampler=pairs)) == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("kind", ["list", "lazy"])
def test_without_a_batch_size_there_are_graphs(kind):
    found = list(DataLoader(dataset_of(kind), batch_size=None))
    assert [type(graph) for graph in found] == [Graph] * len(NAMES)


def test_the_batch_given_is_the_one_that_is_held():
    batch = Batch.from_graphs(graphs())
    batch.adj.transpose()
    loader = DataLoader(batch, batch_size=4)
    assert loader.dataset is batch
    for part in loader:
        assert "transpose" in part._kept["adj"]._memo


def test_a_random_split_is_held_as_a_batch():
    split = random_split(graphs(), [0.5, 0.5], torch.Generator().manual_seed(0))  # pyright: ignore[reportArgumentType]
    loaders = [DataLoader(part, batch_size=4) for part in split]
    assert all(isinstance(loader.dataset, Batch) for loader in loaders)
    assert [flat(loader) for loader in loaders] == [part.indices for part in split]


def test_a_sequence_that_computes_its_graphs_is_asked_in_each_epoch():
    lazy = Lazy()
    for loader in (DataLoader(lazy, batch_size=6), DataLoader(Subset(lazy, range(19)), 6)):  # pyright: ignore[reportArgumentType]
        lazy.asked = 0
        counts = [torch.cat([batch.count for batch in loader]).unique() for _ in range(2)]
        assert lazy.asked == 2 * len(NAMES)
        assert not set(counts[0].tolist()) & set(counts[1].tolist())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12 on
@pytest.mark.parametrize(("context", "num_workers"), [("fork", 2), ("spawn", 1)])
@pytest.mark.parametrize("kind", ["batch", "lazy"])
def test_workers_give_the_same(kind, context, num_workers):
    dataset = dataset_of(kind)
    if kind == "batch":
        dataset.adj.transpose()
    alone = list(DataLoader(dataset, batch_size=7))
    loader = DataLoader(
        dataset,
        batch_size=7,
        num_workers=num_workers,
        multiprocessing_context=context,
        persistent_workers=True,
    )
    for _ in range(2):
        for batch, wanted in zip(loader, alone, strict=True):
            if kind == "batch":
                assert "transpose" in batch._kept["adj"]._memo
            assert_same_graph(batch.replace(count=None), wanted.replace(count=None))


def test_it_gives_what_pygs_gives():
    held = [graph.replace(train_mask=None, y=None) for graph in graphs()]
    theirs = pyg.DataLoader([graph.to_pyg() for graph in held], batch_size=6)
    for batch, expected in zip(DataLoader(held, batch_size=6), theirs, strict=True):
        assert torch.equal(batch.edge_index, expected.edge_index)
        assert torch.equal(batch.graph_ptr, expected.ptr)
        assert torch.equal(batch.batch, expected.batch)
        for name, value in batch.items():
            assert torch.equal(value, expected[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mini_batches_can_be_pinned():
    batch = Batch.from_graphs(graphs())
    batch.adj.transpose()
    for part in DataLoader(batch, batch_size=7, pin_memory=True):
        assert part.x.is_pinned()
        assert part.edge_index.is_pinned()
        assert part.graph_ptr.is_pinned()
        assert part.adj.col.is_pinned()


# what does not fit -------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [3, None, make_graph("chain"), {1, 2}, iter([])])
def test_what_is_no_sequence_of_graphs_is_refused(dataset):
    with pytest.raises(TypeError, match="dataset must be a sequence of Graphs, got"):
        DataLoader(dataset)


def test_graphs_that_do_not_fit_are_refused_at_the_door():
    with pytest.raises(TypeError, match="graphs must hold Graphs, got int at 1"):
        DataLoader([make_graph("chain"), 3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="graph 0 has 'y', graph 1 has none"):
        DataLoader([make_graph("chain"), make_graph("ring").replace(y=None)])
    with pytest.raises(ValueError, match="graphs must hold at least one graph, got none"):
        DataLoader([])


def test_a_collate_fn_is_refused():
    with pytest.raises(TypeError, match="collate_fn is not taken"):
        DataLoader(graphs(), collate_fn=list)


def test_a_sampler_that_goes_too_far_is_named():
    with pytest.raises(IndexError, match="the batch has 19 graphs, got graph 19"):
        list(DataLoader(graphs(), batch_sampler=[[0, 19]]))
