"""propagate and softmax: what may be given, under which transformations, and what is refused."""

import threading
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounterWithBackend

from gnnlib import Adjacency, Graph, MessagePassing
from tests.graphs import make_graph, random_edges
from tests.messages import ANY, FEATURES, Written, naive

TRACED = {
    "src": lambda s, src, dst, edge: src,
    "src_edge": lambda s, src, dst, edge: src * edge,
    "dot": lambda s, src, dst, edge: (src * dst).sum(-1),
    "attention": lambda s, src, dst, edge: s.softmax((src * dst).sum(-1, keepdim=True)) * src,
    "mlp": lambda s, src, dst, edge: s.lin(src - dst),
    "cat": lambda s, src, dst, edge: torch.cat([src, dst], -1),
    "difference": lambda s, src, dst, edge: F.relu(src - dst) / 2,
    "factors": lambda s, src, dst, edge: -src * edge * (1 - edge).sigmoid(),
    "pair": lambda s, src, dst, edge: src * dst,
    "gate": lambda s, src, dst, edge: (
        F.leaky_relu((src * dst).sum(-1, keepdim=True) + edge, 0.2) * src
    ),
    "sum_with_edge": lambda s, src, dst, edge: (src + edge).relu(),
    "softmax_of_gathered": lambda s, src, dst, edge: s.softmax(src + edge) * dst,
}


def _random(num_nodes: int, num_edges: int) -> tuple[Adjacency, torch.Tensor, torch.Tensor]:
    adj = Adjacency.from_edge_index(random_edges(num_nodes, num_edges), num_nodes=num_nodes)
    x = torch.randn(num_nodes, FEATURES, dtype=torch.float64, requires_grad=True)
    return adj, x, torch.rand(num_edges, dtype=torch.float64, requires_grad=True)


# what may be given -------------------------------------------------------------------------------


def test_a_graph_an_adjacency_and_an_edge_index_are_the_same():
    graph = make_graph("directed_random", dtype=torch.float64)
    layer = Written(ANY["mlp"])
    layer.lin = torch.nn.Linear(4, 4).double()
    forms = (graph, graph.adj, graph.edge_index, graph.edge_index.int())
    outs = [layer.propagate(form, src=graph.x, edge=graph.edge_weight) for form in forms]
    assert all(torch.equal(out, outs[0]) for out in outs)


def test_the_default_message_is_the_source():
    graph = make_graph("unsorted")
    out = MessagePassing("sum").propagate(graph, src=graph.x)
    expected = torch.zeros_like(graph.x).index_add(
        0, graph.edge_index[1], graph.x[graph.edge_index[0]]
    )
    torch.testing.assert_close(out, expected)


def test_edges_come_in_the_users_order_and_numbers_as_a_column():
    graph = make_graph("unsorted")
    seen = []

    def message(s, src, dst, edge):
        assert edge.shape == (len(edge), 1)
        seen.append(edge)
        return (edge + 0 * src).sin()

    number = torch.arange(7.0)
    Written(message).propagate(graph, src=graph.x, edge=number)
    assert graph.adj.eid is not None
    assert torch.equal(seen[-1][:, 0].long(), graph.adj.eid.long())


def test_the_destination_is_the_source_where_there_is_one_set_of_nodes():
    graph = make_graph("unsorted")
    layer = Written(lambda s, src, dst, edge: dst)
    out = layer.propagate(graph, src=graph.x)
    torch.testing.assert_close(out, graph.x * graph.adj.degree().unsqueeze(1))


def test_messages_may_be_made_of_destinations_alone():
    graph = make_graph("unsorted")

    def message(s, src, dst, edge):
        assert src is None and edge is None
        return dst

    out = Written(message).propagate(graph, dst=graph.x)
    torch.testing.assert_close(out, graph.x * graph.adj.degree().unsqueeze(1))


def test_there_is_no_destination_between_two_sets_of_nodes_unless_given():
    adj = Adjacency.from_edge_index([[0, 1], [1, 0]], num_src=3, num_dst=2)

    def message(s, src, dst, edge):
        assert dst is None
        return src * 1.5

    out = Written(message).propagate(adj, src=torch.ones(3, 2))
    torch.testing.assert_close(out, torch.full((2, 2), 1.5))


def test_results_of_several_reducers_stand_side_by_side():
    graph = make_graph("unsorted")
    several = MessagePassing(["sum", "max", "std"])
    out = several.propagate(graph, src=graph.x)
    single = [MessagePassing(name).propagate(graph, src=graph.x) for name in several.reduce]
    assert torch.equal(out, torch.cat(single, -1))
    assert several.reduce == ["sum", "max", "std"]
    dots = Written(TRACED["dot"], ["sum", "mean"]).propagate(graph, src=graph.x)
    assert dots.shape == (5, 2)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_node_without_edges_gets_zero_and_one_for_mul(value):
    graph = make_graph("no_edges")
    for message in ("src", "mlp"):
        for reduce in ("sum", "mean", "max", "min", "mul", "std"):
            layer = Written(TRACED[message], reduce)
            out = layer.propagate(graph, src=torch.full((5, FEATURES), value))
            assert torch.equal(out, torch.full((5, FEATURES), float(reduce == "mul")))


def test_the_backward_pass_may_run_twice():
    adj, x, edge = _random(9, 40)
    layer = Written(ANY["mlp"], "sum", 5).double()
    out = layer(adj, x, edge=edge).sum()
    first = torch.autograd.grad(out, x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(out, x)[0], first)


# compile, export, torch.func ---------------------------------------------------------------------


@pytest.mark.parametrize("name", TRACED)
def test_a_message_compiles_to_one_graph_for_all_sizes(name):
    warnings.filterwarnings("ignore", ".*should not be instantiated", DeprecationWarning)
    torch._dynamo.reset()
    layer = Written(TRACED[name], ["mean", "max"] if name == "mlp" else "sum").double()
    backend = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=backend)
    counts = []
    for sizes in ((23, 57), (31, 97), (18, 12)):
        adj, x, edge = _random(*sizes)
        leaves = [x, edge, *layer.parameters()]
        results = []
        for call in (compiled, layer):
            out = call(adj, x, edge=edge)
            weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
            grads = torch.autograd.grad(
                out, leaves, weights, allow_unused=True, materialize_grads=True
            )
            results.append([out, *grads])
        for actual, expected in zip(*results, strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
        counts.append(backend.frame_count)
    assert counts[0] == counts[-1]
    torch._dynamo.reset()


def test_messages_export_for_all_sizes():
    class Exported(Written):
        def forward(self, graph, src, edge):  # which writes no attributes
            return self.propagate(graph, src=src, edge=edge)

    def inputs(num_nodes: int, num_edges: int) -> tuple[Any, ...]:
        adj, x, edge = _random(num_nodes, num_edges)
        return adj, x.detach(), edge.detach()

    for name in ("attention", "mlp"):
        layer = Exported(TRACED[name]).double()
        sizes: Any = torch.export.AdditionalInputs()
        for size in ((31, 97), (18, 12)):
            sizes.add(inputs(*size))
        program = torch.export.export(layer, inputs(23, 57), dynamic_shapes=sizes, strict=False)
        other = inputs(40, 71)
        torch.testing.assert_close(program.module()(*other), layer(*other))


@pytest.mark.parametrize("name", [*TRACED, "for_tensors_only", "columns", "no_leaf"])
def test_torch_func_takes_any_message(name):
    adj, x, edge = _random(9, 40)
    layer = Written({**ANY, **TRACED}[name], "sum", block_edges=5).double()
    for reduce in ("sum", ["mean", "max"]):
        layer.reduce = reduce

        def loss(x, edge):
            return layer(adj, x, edge=edge).sin().sum()

        found = torch.func.grad(loss, argnums=(0, 1))(x.detach(), edge.detach())
        expected = torch.autograd.grad(loss(x, edge), (x, edge), allow_unused=True)
        for actual, wanted in zip(found, expected, strict=True):
            wanted = torch.zeros_like(actual) if wanted is None else wanted
            torch.testing.assert_close(actual, wanted, rtol=1e-9, atol=1e-9)
        several = torch.stack([x.detach(), x.detach().cos()])
        mapped = torch.func.vmap(lambda x: layer(adj, x, edge=edge))(several)
        for actual, one in zip(mapped, several, strict=True):
            torch.testing.assert_close(actual, layer(adj, one, edge=edge), rtol=1e-9, atol=1e-9)


def test_two_threads_have_a_softmax_each():
    """Both are inside `message` at the same time, with other graphs."""
    together = threading.Barrier(2, timeout=30)

    def message(s, src, dst, edge):
        together.wait()
        weights = s.softmax(src + edge)
        together.wait()
        return weights * dst

    inputs = [_random(9, 40), _random(15, 25)]
    layer = Written(message).double()
    results: dict[int, torch.Tensor] = {}

    def work(n: int) -> None:
        adj, x, edge = inputs[n]
        results[n] = layer.propagate(adj, src=x, edge=edge)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plain = Written(TRACED["softmax_of_gathered"]).double()
    for n, (adj, x, edge) in enumerate(inputs):
        torch.testing.assert_close(results[n], naive(plain, adj, x, edge=edge))


def test_a_message_may_propagate_on_another_graph():
    inner, x, edge = _random(9, 40)
    other, y, _ = _random(7, 20)
    second = Written(lambda s, src, dst, edge: s.softmax(src + dst)).double()

    def message(s, src, dst, edge):
        scale = second.propagate(other, src=y).mean()
        return s.softmax(src + edge) * scale

    layer = Written(message).double()
    out = layer.propagate(inner, src=x, edge=edge)
    torch.testing.assert_close(out, naive(layer, inner, x, edge=edge))


# what is refused ---------------------------------------------------------------------------------


def test_an_unknown_reduce_lists_the_choices_nearest_first():
    with pytest.raises(ValueError, match="reduce must be one of 'max', .*; got 'maxx'"):
        MessagePassing("maxx")
    with pytest.raises(ValueError, match="reduce must be one of 'mean', .*; got 'means'"):
        MessagePassing(["sum", "means"])
    with pytest.raises(ValueError, match="reduce must name at least one of sum, mean"):
        MessagePassing([])


def test_sparse_features_are_refused_with_the_way_out():
    graph = make_graph("unsorted", sparse=True)
    dense = graph.x.to_dense()
    for sparse in (graph.x, dense.to_sparse(), {"a": graph.x}):
        for side in ("src", "dst"):
            with pytest.raises(TypeError, match=rf"{side} must be dense.*x\.to_dense\(\)"):
                MessagePassing().propagate(graph, **{side: sparse})
    with pytest.raises(TypeError, match="edge must be dense"):
        MessagePassing().propagate(graph, src=dense, edge=graph.edge_attr.to_sparse())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, TypeError, "propagate needs src or dst"),
        ({"src": torch.ones(4, 2)}, ValueError,
         "src must have one row per source node: graph has 5, got src of shape (4, 2)"),
        ({"src": torch.ones(5, 2), "dst": torch.ones(6, 2)}, ValueError,
         "dst must have one row per destination node: graph has 5, got dst of shape (6, 2)"),
        ({"src": {"a": torch.ones(5, 2), "b": torch.ones(6, 2)}}, ValueError,
         "src must have one row per source node: graph has 5, got src of shape (6, 2)"),
        ({"src": torch.ones(5, 2), "edge": torch.ones(6)}, ValueError,
         "edge must have one row per edge: graph has 7, got edge of shape (6,)"),
        ({"src": torch.ones(5)}, ValueError,
         "src must have shape [num_nodes, num_features], got (5,)"),
        ({"src": [1.0, 2.0]}, TypeError, "src must be a tensor or a dict of tensors, got list"),
        ({"src": torch.ones(5, 2), "edge": 2.0}, TypeError,
         "edge must be a tensor or a dict of tensors, got float"),
    ],
)  # fmt: skip
def test_bad_input_is_named(given, error, message):
    with pytest.raises(error) as caught:
        MessagePassing().propagate(make_graph("unsorted"), **given)
    assert message in str(caught.value)
    assert caught.value.__context__ is None


def test_a_graph_of_another_kind_is_named():
    edges: Any = [[0], [0]]
    with pytest.raises(TypeError, match="must be a Graph, an Adjacency or an edge_index tensor"):
        MessagePassing().propagate(edges, src=torch.ones(1, 2))


@pytest.mark.parametrize("grad", [False, True])
def test_a_message_that_is_no_tensor_or_has_other_rows_is_named(grad):
    graph = make_graph("unsorted")
    src = graph.x.clone().requires_grad_(grad)
    with pytest.raises(TypeError, match="message must return a tensor, got NoneType"):
        Written(lambda s, src, dst, edge: None).propagate(graph, src=src)
    with pytest.raises(ValueError, match="message must return one row per edge"):
        Written(lambda s, src, dst, edge: src.sum(0)).propagate(graph, src=src)
    with pytest.raises(ValueError, match="message must return one row per edge"):
        Written(lambda s, src, dst, edge: src.sum()).propagate(graph, src=src)


def test_an_error_in_a_message_arrives_as_it_is():
    def message(s, src, dst, edge):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        Written(message).propagate(make_graph("unsorted"), src=torch.ones(5, 2))
    assert caught.value.__context__ is None


def test_softmax_is_for_use_inside_message():
    layer = MessagePassing()
    with pytest.raises(RuntimeError, match="softmax is for use inside message"):
        layer.softmax(torch.ones(3))
    layer.propagate(Graph([[0], [0]], num_nodes=1), src=torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="softmax is for use inside message"):
        layer.softmax(torch.ones(3))
