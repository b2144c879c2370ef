import pickle

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gnnlib import Batch, Graph
from gnnlib._select import groups
from gnnlib.features import SparseFeatures
from tests.graphs import GRAPHS, assert_same_graph, make_graph

NAMES = ["unsorted", "one_node", "sorted", "no_edges", "repeated_edges", "empty", "power_law"]
CHOICES = {
    "some": [5, 0, 3],
    "repeated": [6, 0, 0, 6, 5, 5],
    "from_the_end": [-1, -7, 2],
    "all": list(range(7)),
    "none": [],
    "int32": torch.tensor([3, 1], dtype=torch.int32),
    "numpy": torch.tensor([2, 6]).numpy(),
    "range": range(1, 4),
    "mask": torch.tensor([True, False, True, False, False, True, True]),
    "mask_list": [False] * 6 + [True],
    "slice": slice(1, 6, 2),
    "backwards": slice(None, None, -1),
}
# The loops come last, so that after them edges do not stand graph by graph.
EDITS = {
    "as_joined": lambda graph: graph,
    "reversed": Graph.reverse,
    "looped": Graph.add_self_loops,
    "undirected": Graph.to_undirected,
}


def numbers(choice) -> list[int]:
    """What `choice` chooses of seven, by Python's own rules."""
    if isinstance(choice, slice):
        return list(range(7))[choice]
    choice = torch.as_tensor(choice).tolist()
    if choice and isinstance(choice[0], bool):
        return [k for k, chosen in enumerate(choice) if chosen]
    return [list(range(7))[k] for k in choice]


def batch_of(edit: str, *, sparse: bool = False, built: str = "") -> Batch:
    batch = EDITS[edit](Batch.from_graphs([make_graph(name, sparse=sparse) for name in NAMES]))
    if "adj" in built:
        assert batch.adj is not None
    if "transpose" in built:
        batch.adj.transpose()
    return batch


@pytest.mark.parametrize("built", ["", "adj", "adj and transpose"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("choice", CHOICES)
def test_a_selection_is_the_batch_of_the_graphs_chosen(choice, edit, sparse, built):
    batch = batch_of(edit, sparse=sparse, built=built)
    chosen = batch.select(CHOICES[choice])
    pieces = [batch[k] for k in numbers(CHOICES[choice])]
    assert isinstance(chosen, Batch)
    assert chosen.num_graphs == len(pieces)
    assert chosen.validate() is chosen
    assert ("adj" in chosen._kept) == ("adj" in built)
    if pieces:
        assert_same_graph(chosen, Batch.from_graphs(pieces))
    else:
        assert chosen.num_nodes == chosen.num_edges == chosen.graph_y.shape[0] == 0
        assert chosen.x.shape == (0, 4)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("choice", ["some", "repeated", "none", "mask"])
def test_the_adjacency_is_cut_and_not_sorted_again(choice, edit, monkeypatch):
    batch = batch_of(edit, built="adj and transpose")
    wanted = batch_of(edit).select(CHOICES[choice]).adj
    transpose = wanted.transpose()

    monkeypatch.delattr("gnnlib.ops.coo_to_csr")
    monkeypatch.delattr("gnnlib.ops.csr_transpose")
    adj = batch.select(CHOICES[choice]).adj
    for cut, built in zip((adj.ptr, adj.col), (wanted.ptr, wanted.col), strict=True):
        assert torch.equal(cut, built)
        assert cut.dtype == torch.int32
    ids = torch.arange(adj.num_edges, dtype=torch.int32)
    eids = (ids if a.eid is None else a.eid for a in (adj, wanted))
    assert torch.equal(*eids)
    for cut, built in zip(adj.transpose(), transpose, strict=True):
        assert torch.equal(cut, built)
        assert cut.dtype == built.dtype


def test_an_adjacency_that_came_sorted_stays_sorted():
    batch = Batch.from_graphs([make_graph(name) for name in ("sorted", "chain", "one_node")])
    assert batch.adj.eid is None
    assert batch.select([1, 0, 1]).adj.eid is None


def test_a_selection_of_a_selection():
    batch = Batch.from_graphs([make_graph(name) for name in GRAPHS])
    twice = batch.select([7, 3, 18, 3]).select([2, 0])
    assert_same_graph(twice, batch.select([18, 7]))


def test_what_is_kept_serves_batches_with_other_tensors():
    batch = batch_of("as_joined")
    batch.select([0])
    other = batch.replace(x=2 * batch.x, y=None)
    assert torch.equal(other.select([6]).x, 2 * batch[6].x)
    assert "y" not in other.select([6])


def test_a_copy_selects_too():
    batch = batch_of("looped", built="adj")
    copied = pickle.loads(pickle.dumps(batch))  # noqa: S301
    assert_same_graph(copied.select([4, 0]), batch.select([4, 0]))


class OneDevice(TorchDispatchMode):
    """Refuses what a GPU would: operands on two devices. The meta device alone does not."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        devices = {leaf.device for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)}
        assert len(devices) <= 1, func
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("edit", ["as_joined", "looped"])
def test_a_selection_is_on_the_device_of_the_batch(edit):
    batch = batch_of(edit, built="adj and transpose")
    wanted = batch.select([4, 0])
    elsewhere = batch.to("meta")
    held = groups(batch)
    order = None if held.order is None else held.order.to("meta")
    elsewhere._kept["groups"] = held._replace(order=order)
    elsewhere.adj._memo["transpose"] = [part.to("meta") for part in batch.adj.transpose()]
    with OneDevice():
        chosen = elsewhere.select([4, 0])
    parts = [(chosen.edge_index, wanted.edge_index), (chosen.graph_ptr, wanted.graph_ptr)]
    parts += [(chosen[name], value) for name, value in wanted.items()]
    parts += [(chosen.adj.col, wanted.adj.col), (chosen.adj.eid, wanted.adj.eid)]
    parts += zip(chosen.adj.transpose(), wanted.adj.transpose(), strict=True)
    for part, like in parts:
        assert part.device.type == "meta"
        assert (part.shape, part.dtype) == (like.shape, like.dtype)


def test_gradients_flow_to_the_graphs_chosen():
    pair = Graph([[0], [1]], x=torch.ones(2, 1))
    batch = Batch.from_graphs([pair, pair, pair])
    x = batch.x.clone().requires_grad_()
    batch.replace(x=x).select([2, 0, 2]).x.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [1, 1, 0, 0, 2, 2]


def test_gradients_flow_to_sparse_features():
    pair = Graph([[0], [1]], x=SparseFeatures.from_dense(torch.ones(2, 1)))
    batch = Batch.from_graphs([pair, pair])
    values = batch.x.values.clone().requires_grad_()
    batch.replace(x=batch.x.with_values(values)).select([1]).x.values.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("graphs", "error", "message"),
    [
        ([0, 7], IndexError, "the batch has 7 graphs, got graph 7"),
        ([-8], IndexError, "the batch has 7 graphs, got graph -8"),
        (torch.tensor([True]), IndexError, "a mask needs 7 entries, one per graph, got 1"),
        ([0.5], TypeError, "graph numbers must be integers, got torch.float64"),
        (["a"], TypeError, "graph numbers must be integers"),
        ([[0], [1, 2]], TypeError, "graph numbers must be integers"),
        (torch.tensor([[0]]), TypeError, "graphs must be a slice, .* got Tensor"),
        (3, TypeError, "graphs must be a slice, a bool mask or .* tensor of graph numbers, got 3"),
        ("x", TypeError, "got str"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_what_chooses_no_graphs_is_refused(graphs, error, message):
    with pytest.raises(error, match=message):
        batch_of("as_joined").select(graphs)
