"""The messages that run in blocks: as if on all edges at once, but without their memory."""

import gc
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gnnlib import Adjacency, Graph, MessagePassing
from gnnlib._blocks import make_plan
from tests.graphs import GRAPHS, RECTANGULAR, power_law_edges, random_edges
from tests.messages import ANY, FEATURES, Allocations, Written, naive

REDUCES = ["sum", "mean", "max", "min", "mul", "std"]
NODES, EDGES = 11, 80
UNTESTED_SECOND = {"own_function", "own_function_and_plain"}  # Cube has no second gradient


def _adjacency() -> Adjacency:
    """A hub has half of the edges; some nodes have none."""
    edges = random_edges(NODES - 2, EDGES)
    edges[1, : EDGES // 2] = 3
    return Adjacency.from_edge_index(edges, num_nodes=NODES)


def _inputs() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(NODES, FEATURES).double(), torch.rand(EDGES).double()


def _results(call, layer: Written, x, edge) -> list[torch.Tensor]:
    """The result, then the gradients of x, the edge and every parameter."""
    leaves = [x.clone().requires_grad_(), edge.clone().requires_grad_()]
    out = call(leaves[0], edge=leaves[1])
    leaves += layer.parameters()
    weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
    grads = torch.autograd.grad(out, leaves, weights, allow_unused=True)
    return [out, *(torch.zeros_like(t) if g is None else g for g, t in zip(grads, leaves))]


def _assert_same(actual, expected) -> None:
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ANY)
def test_any_message_gives_what_gathered_rows_give(name):
    adj, (x, edge) = _adjacency(), _inputs()
    for reduce in [*REDUCES, ["sum", "max"], ["mean", "std", "min"]]:
        layer = Written(ANY[name], reduce).double()
        # Products over a hub are taken of numbers near 1, so that they stay in range.
        rows = 1 + 0.1 * x if reduce == "mul" else x
        expected = _results(partial(naive, layer, adj), layer, rows, edge)
        for block_edges in (0, 1, 20):
            layer.block_bytes = block_edges * FEATURES * 8 or Written.block_bytes
            _assert_same(_results(partial(layer, adj), layer, rows, edge), expected)
        with torch.no_grad():
            _assert_same([layer(adj, rows, edge=edge)], expected[:1])


@pytest.mark.parametrize("name", [name for name in ANY if name not in UNTESTED_SECOND])
def test_second_gradients_go_through_blocks(name):
    adj, (x, edge) = _adjacency(), _inputs()
    results = []
    for block_edges in (20, 10**6):
        torch.manual_seed(0)
        layer = Written(ANY[name], ["sum", "mean"], block_edges).double()
        x1 = x.clone().requires_grad_()
        out = layer(adj, x1, edge=edge)
        leaves = [x1, *layer.parameters()]
        zeros: dict[str, Any] = {"allow_unused": True, "materialize_grads": True}
        grads = torch.autograd.grad(out.square().sum(), leaves, create_graph=True, **zeros)
        norm = torch.stack([grad.square().sum() for grad in grads]).sum()
        results.append([norm, *torch.autograd.grad(norm, leaves, **zeros)])
        again = layer(adj, x1, edge=edge).square().sum()
        _assert_same(grads, torch.autograd.grad(again, leaves, **zeros))
    _assert_same(*results)


def test_gradients_of_blocks_agree_with_finite_differences():
    adj = Adjacency.from_edge_index(random_edges(4, 9), num_nodes=4)
    x = torch.randn(4, FEATURES).double().requires_grad_()
    edge = torch.rand(9).double().requires_grad_()
    for reduce in ("sum", "std"):
        layer = Written(lambda s, a, b, e: s.lin(a - b).tanh() * e, reduce, 3).double()
        call = partial(layer, adj)
        assert torch.autograd.gradcheck(lambda x, edge, f=call: f(x, edge=edge), (x, edge))
        assert torch.autograd.gradgradcheck(lambda x, edge, f=call: f(x, edge=edge), (x, edge))


@pytest.mark.parametrize("reduce", [*REDUCES, ["sum", "max"]])
def test_corner_graphs_run_in_blocks(reduce):
    layer = Written(ANY["mlp"], reduce, 3).double()
    for edges, num_nodes in GRAPHS.values():
        adj = Adjacency.from_edge_index(edges, num_nodes=num_nodes)
        x = torch.randn(num_nodes, FEATURES).double().requires_grad_()
        edge = torch.rand(edges.shape[1]).double()
        out = layer(adj, x, edge=edge)
        if num_nodes:
            torch.testing.assert_close(out, naive(layer, adj, x, edge=edge), rtol=1e-8, atol=1e-9)
        (grad,) = torch.autograd.grad(out.sum(), x)
        assert grad.shape == x.shape and grad.isfinite().all()


@pytest.mark.parametrize("name", RECTANGULAR)
def test_sources_and_destinations_may_be_different_nodes(name):
    edges, num_src, num_dst = RECTANGULAR[name]
    adj = Adjacency.from_edge_index(edges, num_src=num_src, num_dst=num_dst)
    src, dst = (torch.randn(size, FEATURES).double() for size in (num_src, num_dst))
    for reduce in REDUCES:
        layer = Written(lambda s, a, b, e: s.lin(a) * b, reduce, 3).double()
        out = layer(adj, src, dst)
        assert out.shape == (num_dst, FEATURES)
        if num_dst:
            torch.testing.assert_close(out, naive(layer, adj, src, dst), rtol=1e-8, atol=1e-9)


def test_dicts_of_rows_are_given_as_dicts():
    adj, (x, edge) = _adjacency(), _inputs()
    kind = torch.arange(EDGES) % 3

    def message(s, src, dst, edge):
        return s.lin(src["a"]) * dst["b"] * edge["w"] + F.one_hot(edge["kind"][:, 0], FEATURES)

    rows = {"src": {"a": x}, "dst": {"b": x[:, :1]}, "edge": {"w": edge, "kind": kind}}
    for block_edges in (0, 20):
        layer = Written(message, "sum", block_edges).double()
        torch.testing.assert_close(layer(adj, **rows), naive(layer, adj, **rows))


# memory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "mul", ["mean", "max"]])
def test_no_tensor_is_larger_than_a_block_even_at_a_hub(reduce):
    num_edges = 4000
    edges = random_edges(20, num_edges)
    edges[1, :3000] = 7
    adj = Adjacency.from_edge_index(edges, num_nodes=20)
    layer = Written(ANY["cat"], reduce, block_edges=100).double()
    x = (1 + 0.001 * torch.randn(20, FEATURES)).double().requires_grad_()
    layer(adj, x)  # what is kept of the structure
    with Allocations() as allocations:
        layer(adj, x).sum().backward()
    # The message of a block has 100 × 2F entries; index arrays have one an edge.
    assert allocations.largest <= num_edges


def test_nothing_of_a_block_is_kept_for_the_backward_pass():
    adj = Adjacency.from_edge_index(random_edges(20, 2000), num_nodes=20)
    layer = Written(ANY["mlp"], "max", block_edges=100).double()
    x, edge = torch.randn(20, FEATURES).double().requires_grad_(), torch.rand(2000).double()
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layer(adj, x, edge=edge)
    assert kept and max(t.numel() for t in kept) <= 2000


_PEAK = r"""
import re, sys
import torch
from torch import nn
from gnnlib import Adjacency, MessagePassing

torch.set_num_threads(1)
num_nodes, num_edges, features = 2000, 150_000, 64
edges = torch.randint(num_nodes, (2, num_edges))
adj = Adjacency.from_edge_index(edges, num_nodes=num_nodes)
x = torch.randn(num_nodes, features, requires_grad=True)
mlp = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, features))

class Layer(MessagePassing):
    block_bytes = 2**20
    def message(self, src, dst, edge):
        return mlp(src - dst)

def gathered(x):
    message = mlp(x[edges[0]] - x[edges[1]])
    index = edges[1].unsqueeze(1).expand_as(message)
    return torch.zeros_like(x).scatter_reduce(0, index, message, "amax", include_self=False)

def peak():  # getrusage would count the memory of the process that started this one
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])

def run(x):
    return Layer("max").propagate(adj, src=x) if sys.argv[1] == "blocks" else gathered(x)

small = Adjacency.from_edge_index(edges[:, :100], num_nodes=num_nodes)
Layer("max").propagate(small, src=x).sum().backward()  # what is loaded on first use
adj.transpose(), adj.row
before = peak()
run(x).sum().backward()
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_user_written_max_layer_peaks_far_below_the_gathered_one():
    peaks = [
        int(subprocess.run([sys.executable, "-W", "ignore", "-c", _PEAK, side], check=True,
                           capture_output=True, text=True).stdout)
        for side in ("blocks", "gathered")
    ]  # fmt: skip
    assert peaks[0] < peaks[1] / 4, peaks


# what runs once, and what runs again -------------------------------------------------------------


def test_dropout_in_a_message_has_the_same_mask_in_the_backward_pass():
    """The layer is linear in x for a fixed mask: <out, g> = <x, Jᵀ g>."""
    adj, (x, _) = _adjacency(), _inputs()
    x.requires_grad_()
    for reduce in ("sum", "mean", ["sum", "mean"]):
        for block_edges in (20, 10**6):
            layer = Written(lambda s, a, b, e: F.dropout(a - b, 0.5), reduce, block_edges).double()
            out = layer(adj, x)
            weights = torch.randn_like(out)
            state = torch.get_rng_state()
            (grad,) = torch.autograd.grad(out, x, weights, retain_graph=True)
            torch.testing.assert_close((out * weights).sum(), (x * grad).sum())
            assert torch.equal(torch.get_rng_state(), state)
            (again,) = torch.autograd.grad(out, x, weights, create_graph=True)
            torch.testing.assert_close(again, grad)
            assert not torch.equal(layer(adj, x), out)


def test_all_reducers_see_the_same_mask():
    adj, (x, _) = _adjacency(), _inputs()
    layer = Written(lambda s, a, b, e: F.dropout(a - b, 0.5), ["sum", "mean"], 20).double()
    total, mean = layer(adj, x).chunk(2, -1)
    torch.testing.assert_close(total / adj.degree(dtype=x.dtype).clamp(min=1)[:, None], mean)


def test_the_random_state_moves_on_with_each_call():
    adj, (x, _) = _adjacency(), _inputs()
    layer = Written(lambda s, a, b, e: F.dropout(a - b, 0.5), "sum", 20).double()
    torch.manual_seed(1)
    first, second = layer(adj, x), layer(adj, x)
    torch.manual_seed(1)
    assert torch.equal(layer(adj, x), first)
    assert torch.equal(layer(adj, x), second)


class _Normed(Written):
    def __init__(self):
        super().__init__(self.normed, "sum", block_edges=20)
        self.norm = nn.BatchNorm1d(FEATURES)
        self.sizes: list[int] = []

    def normed(self, layer, src, dst, edge):
        self.sizes.append(len(src))
        return self.norm(src - dst)


def test_batch_norm_in_training_sees_all_edges_in_one_block():
    adj, (x, _) = _adjacency(), _inputs()
    layer = _Normed().double()
    difference = x[adj.col.long()] - x[adj.row.long()]
    layer(adj, x)
    assert set(layer.sizes) == {EDGES}
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * difference.mean(0))
    layer.eval()
    layer.sizes.clear()
    out = layer(adj, x)
    assert max(layer.sizes[1:]) < EDGES  # the first call is the probe
    expected = torch.zeros_like(x).index_add(0, adj.row.long(), layer.norm(difference))
    torch.testing.assert_close(out, expected)


def test_a_layer_called_twice_has_the_gradients_of_both_calls():
    """The message is run again with the attributes of its own call, not of the last one."""
    adj, (x, _) = _adjacency(), _inputs()

    class Scaled(Written):
        def forward(self, graph, src, factor):
            self.factor = factor
            return self.propagate(graph, src=src)

    layer = Scaled(lambda s, a, b, e: (a - b).square() * s.factor, "sum", 20).double()
    x.requires_grad_()
    source = torch.tensor(3.0, requires_grad=True)
    factors = [2 * source, torch.tensor(5.0)]
    apart = [
        torch.autograd.grad(layer(adj, x, factor).sum(), x, retain_graph=True)[0]
        for factor in factors
    ]
    first, second = (layer(adj, x, factor) for factor in factors)
    grad, slope = torch.autograd.grad(first.sum() + second.sum(), (x, source))
    torch.testing.assert_close(grad, apart[0] + apart[1])
    torch.testing.assert_close(slope.double(), first.sum().detach() / 3)


def test_switching_to_evaluation_before_the_backward_pass_changes_nothing():
    adj, (x, _) = _adjacency(), _inputs()
    layer = Written(lambda s, a, b, e: F.dropout(a - b, 0.5, s.training), "sum", 20).double()
    x.requires_grad_()
    out = layer(adj, x)
    (expected,) = torch.autograd.grad(out.sum(), x, retain_graph=True)
    layer.eval()
    assert torch.equal(torch.autograd.grad(out.sum(), x)[0], expected)


def test_results_kept_on_the_module_do_not_keep_earlier_graphs():
    adj, (x, _) = _adjacency(), _inputs()
    layer = Written(ANY["several_captured"], "sum", 20).double()
    results = []
    for _ in range(4):
        layer.last = layer(adj, x)
        layer.last.sum().backward()
        results.append(weakref.ref(layer.last))
    gc.collect()
    assert [result() is None for result in results] == [True, True, True, False]


def test_a_tensor_changed_before_the_backward_pass_is_an_error():
    adj, (x, _) = _adjacency(), _inputs()
    layer = Written(ANY["several_captured"], "sum", 20).double()
    out = layer(adj, x.requires_grad_())
    with torch.no_grad():
        layer.scale.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@pytest.mark.parametrize("sort", [False, True])
def test_writing_into_the_rows_leaves_the_users_tensors_alone(sort):
    edges = power_law_edges(NODES, EDGES)
    if sort:
        edges = edges[:, edges[1].argsort(stable=True)]
    adj = Adjacency.from_edge_index(edges, num_nodes=NODES)
    x, edge = _inputs()
    for requires_grad in (False, True):
        for block_edges in (20, 10**6):
            x1, edge1 = x.clone(), edge.clone()
            layer = Written(ANY["written_into"], "sum", block_edges).double()
            out = layer(adj, x1.requires_grad_(requires_grad), edge=edge1)
            if out.requires_grad:
                out.sum().backward()
            assert torch.equal(x1, x) and torch.equal(edge1, edge)


def test_autocast_reaches_the_message_both_times():
    adj, (x, edge) = _adjacency(), _inputs()
    x, edge, seen = x.float().requires_grad_(), edge.float(), []

    def message(s, src, dst, edge):
        out = s.lin(src - dst)
        seen.append(out.dtype)
        return out * edge

    layer = Written(message, "sum", 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(adj, x, edge=edge)
        # The cast of the weight that autocast keeps has a gradient in and out of blocks.
        own = layer.lin(x)
    (out.float().sum() + own.float().sum()).backward()
    assert set(seen[1:]) == {torch.bfloat16}
    exact = Written(ANY["mlp"], "sum", 20)
    exact.load_state_dict(layer.state_dict())
    exact.f = lambda s, a, b, e: s.lin(a - b) * e
    (exact(adj, x, edge=edge).sum() + exact.lin(x).sum()).backward()
    for one, other in zip(layer.lin.parameters(), exact.lin.parameters()):
        assert one.grad is not None and other.grad is not None
        scale = other.grad.abs().max()
        assert (one.grad - other.grad).abs().max() < 0.05 * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_have_the_dtype_of_their_tensors(dtype):
    adj, (x, edge) = _adjacency(), _inputs()
    layer = Written(ANY["mlp"], "sum", 20).to(dtype)
    x, edge = x.to(dtype).requires_grad_(), edge.to(dtype).requires_grad_()
    layer(adj, x, edge=edge).sum().backward()
    for tensor in (x, edge, layer.lin.weight):
        assert tensor.grad is not None and tensor.grad.dtype == dtype


def test_parameters_that_need_no_gradient_get_none():
    adj, (x, edge) = _adjacency(), _inputs()
    layer = Written(ANY["mlp"], "sum", 20).double()
    layer.lin.weight.requires_grad_(False)
    layer(adj, x, edge=edge).sum().backward()
    assert layer.lin.weight.grad is None and layer.lin.bias.grad is not None


# the plan ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("name", [*GRAPHS])
def test_a_plan_covers_every_edge_once_in_whole_rows(name, split):
    edges, num_nodes = GRAPHS[name]
    adj = Adjacency.from_edge_index(edges, num_nodes=num_nodes)
    for max_edges in (1, 2, 7, 10**6):
        plan = make_plan(adj, max_edges, split)
        ends = [(block.begin, block.end) for block in plan.blocks]
        assert [begin for begin, _ in ends] == [0, *(end for _, end in ends[:-1])]
        assert ends[-1][1] == adj.num_edges
        ptr = plan.ptr.tolist()
        for block in plan.blocks:
            assert (ptr[block.first], ptr[block.last]) == (block.begin, block.end)
            lengths = plan.ptr[block.first : block.last + 1].diff()
            assert lengths.any() or adj.num_edges == 0
            assert lengths.sum() <= max_edges or ((lengths > 0).sum() == 1 and not split)
        rows = plan.ptr if plan.rows_ptr is None else plan.ptr[plan.rows_ptr.long()]
        assert torch.equal(rows, adj.ptr)


def test_a_plan_is_made_once():
    adj, (x, _) = _adjacency(), _inputs()
    layer = Written(ANY["difference"], "sum", 20).double()
    layer(adj, x)
    kept = dict(adj._memo)
    layer(adj, x)
    assert adj._memo.keys() == kept.keys()


class _NetMessage(MessagePassing):
    def __init__(self, net: torch.nn.Module):
        super().__init__("sum")
        self.net = net

    def forward(self, x, graph):
        return self.propagate(graph, src=x)

    def message(self, src, dst, edge):
        return self.net(src)


def _graph_and_rows() -> tuple[Graph, torch.Tensor]:
    edge_index = torch.randint(0, 20, (2, 100))
    return Graph(edge_index, num_nodes=20), torch.randn(20, 4, dtype=torch.float64)


def test_parameters_swapped_for_one_call_are_those_of_its_backward_pass():
    graph, x = _graph_and_rows()
    layer = _NetMessage(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())).double()
    layer.block_bytes = 320
    other = {name: torch.randn_like(p) for name, p in layer.named_parameters()}
    given = {name: p.clone().requires_grad_() for name, p in other.items()}
    torch.func.functional_call(layer, given, (x, graph)).square().sum().backward()
    layer.load_state_dict(other)
    layer(x, graph).square().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(given[name].grad, parameter.grad)


def test_the_backward_pass_drops_what_the_forward_pass_dropped_also_after_eval():
    graph, x = _graph_and_rows()
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
    layer = _NetMessage(net).double()
    layer.block_bytes = 320
    grads = []
    for switch in (False, True):
        layer.train()
        rows = x.clone().requires_grad_()
        torch.manual_seed(1)
        out = layer(rows, graph)
        if switch:
            layer.eval()
        grads.append(torch.autograd.grad(out.sum(), rows)[0])
        assert layer.training != switch and net[1].training != switch
    assert torch.equal(*grads)
