"""The properties that every conv and model must have, as checks of one `Layer` description.

`CHECKS` lists those that any layer passes; a test module runs them all:

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_every_layer(check): check(Layer(lambda: GCNConv(4, 3), edges=("edge_weight",)))

The layer takes 4 features (`make_graph` of tests.graphs has them) and, for `edge_attr`, 3.
"""

import copy
import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from gnnlib import Batch, Graph
from gnnlib.features import SparseFeatures
from tests.graphs import GRAPHS, make_graph, power_law_edges, random_edges

SOME = ["isolated_nodes", "self_loops", "repeated_edges", "unsorted", "sorted", "power_law"]
FEATURES = 4


class Layer(NamedTuple):
    """A layer to be checked.

    make: builds it, with random parameters.
    edges: the edge tensors of a graph that it takes: edge_weight, edge_attr.
    """

    make: Callable[[], nn.Module]
    edges: tuple[str, ...] = ()

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """In evaluation mode, with no parameter at its first value of zero."""
        module = self.make()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.rand_like(parameter))
        return module.to(dtype).eval()

    def edge_tensors(self, graph: Graph) -> dict[str, Tensor]:
        return {name: graph[name] for name in self.edges}


def corner_graph(name: str, dtype: torch.dtype = torch.float64) -> Graph:
    """`make_graph`, with features that do not tie: where they do, edges in another order may give
    a max another gradient."""
    graph = make_graph(name, dtype=dtype)
    return graph.replace(x=torch.randn(graph.num_nodes, FEATURES, dtype=dtype))


def name_of(check: Callable) -> str:
    return check.__name__


# what is computed --------------------------------------------------------------------------------


def nodes_may_be_renumbered(layer: Layer) -> None:
    module = layer.build()
    for name in SOME:
        graph = corner_graph(name)
        order = torch.randperm(graph.num_nodes)
        rank = torch.argsort(order)
        edges: dict[str, Any] = layer.edge_tensors(graph)
        renumbered = Graph(rank[graph.edge_index], x=graph.x[order], **edges)
        _close(module(renumbered.x, renumbered), _run(layer, module, graph)[order])


def edges_may_come_in_any_order(layer: Layer) -> None:
    """And what belongs to an edge, its gradient too, stays with it."""
    module = layer.build()
    for name in SOME:
        graph = corner_graph(name)
        order = torch.randperm(graph.num_edges)
        edges: dict[str, Any] = {
            key: value[order] for key, value in layer.edge_tensors(graph).items()
        }
        shuffled = Graph(graph.edge_index[:, order], num_nodes=graph.num_nodes, **edges)
        out, grads = _run_with_grads(layer, module, graph)
        shuffled_out, shuffled_grads = _run_with_grads(layer, module, shuffled.replace(x=graph.x))
        _close(shuffled_out, out)
        for key in grads:
            expected = grads[key][order] if key in layer.edges else grads[key]
            _close(shuffled_grads[key], expected)


def a_batch_gives_what_its_graphs_give(layer: Layer) -> None:
    module = layer.build()
    graphs = [corner_graph(name) for name in GRAPHS]
    together = module((batch := Batch.from_graphs(graphs)).x, batch)
    _close(together, torch.cat([module(graph.x, graph) for graph in graphs]))


def a_graph_an_adjacency_and_an_edge_index_give_the_same(layer: Layer) -> None:
    module = layer.build()
    for name in SOME:
        graph = corner_graph(name)
        edges = layer.edge_tensors(graph)
        expected = module(graph.x, graph)
        for form in (graph.adj, graph.edge_index, graph.edge_index.int()):
            assert torch.equal(module(graph.x, form, **edges), expected)
        assert torch.equal(
            module(graph.x, Graph(graph.edge_index.int(), x=graph.x), **edges), expected
        )


def every_corner_graph_has_finite_results_and_gradients(layer: Layer) -> None:
    module = layer.build()
    for name in GRAPHS:
        graph = corner_graph(name)
        out, grads = _run_with_grads(layer, module, graph)
        assert out.shape[0] == graph.num_nodes
        for key, value in {"out": out, **grads}.items():
            assert value.isfinite().all(), (name, key)


def sparse_features_give_what_dense_ones_give(layer: Layer) -> None:
    module = layer.build()
    for name in ("isolated_nodes", "unsorted", "power_law", "no_edges"):
        graph = make_graph(name, dtype=torch.float64)
        out, grads = _run_with_grads(layer, module, graph)
        sparse = SparseFeatures.from_dense(graph.x)
        values = sparse.values.clone().requires_grad_()
        sparse_out = _run(layer, module, graph, x=sparse.with_values(values))
        _close(sparse_out, out)
        wanted = [values, *module.parameters()]
        found = torch.autograd.grad(sparse_out, wanted, _weights_of(out))
        _close(found[0], grads["x"][sparse.structure.row.long(), sparse.structure.col.long()])
        for parameter, grad in zip(module.named_parameters(), found[1:], strict=True):
            _close(grad, grads[parameter[0]])
        _close(module(graph.x.to_sparse(), graph), out)
        _close(module(sparse.to_scipy(), graph), out)


def gradients_are_right(layer: Layer) -> None:
    """First and second ones, against finite differences."""
    module = layer.build()
    graph = corner_graph("unsorted")
    x = graph.x.requires_grad_()
    edges = [graph[name].clone().requires_grad_() for name in layer.edges]

    def call(x: Tensor, *edges: Tensor) -> Tensor:
        return module(x, graph.adj, **dict(zip(layer.edges, edges)))

    assert torch.autograd.gradcheck(call, (x, *edges))
    assert torch.autograd.gradgradcheck(call, (x, *edges))


# how it is called --------------------------------------------------------------------------------


def inputs_need_not_be_contiguous(layer: Layer) -> None:
    module = layer.build()
    graph = corner_graph("directed_random")
    edges = layer.edge_tensors(graph)
    expected = module(graph.x, graph.adj, **edges)
    for spread in (_by_columns, _every_second):
        apart = {key: spread(value) for key, value in edges.items()}
        x = spread(graph.x)
        assert not x.is_contiguous()
        _close(module(x, graph.adj, **apart), expected)
        _close(module(x, spread(graph.edge_index), **apart), expected)


def every_floating_type_is_taken_and_given_back(layer: Layer) -> None:
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.1}
    module = layer.build()
    graph = corner_graph("directed_random")
    expected = _run(layer, module, graph)
    for dtype, bound in tolerance.items():
        x = graph.x.to(dtype, copy=True).requires_grad_()
        edges = {key: value.to(dtype) for key, value in layer.edge_tensors(graph).items()}
        out = copy.deepcopy(module).to(dtype)(x, graph.adj, **edges)
        assert out.dtype == dtype
        assert (out - expected).abs().max() <= bound * (1 + expected.abs().max())
        out.sum().backward()
        assert x.grad is not None and x.grad.dtype == dtype


def autocast_gives_its_dtype_and_float32_gradients(layer: Layer) -> None:
    module = layer.build(torch.float32)
    graph = corner_graph("directed_random", torch.float32)
    expected = _run(layer, module, graph)
    x = graph.x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = _run(layer, module, graph, x=x)
    assert out.dtype == torch.bfloat16
    assert (out - expected).abs().max() <= 0.1 * (1 + expected.abs().max())
    out.float().sum().backward()
    for tensor in (x, *module.parameters()):
        assert tensor.grad is not None and tensor.grad.dtype == torch.float32
        assert tensor.grad.isfinite().all()


def a_hub_under_autocast_stays_close_to_float32(layer: Layer) -> None:
    """100 000 edges in and out of one node: sums of bfloat16 numbers must not be bfloat16 sums.

    The parameters and tensors are numbers of bfloat16, so that what is compared is the arithmetic;
    and a row is judged by its largest entry, since the others may be differences of large numbers.
    """
    module = layer.build(torch.float32)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.bfloat16())
    num_leaves = 100_000
    leaves, hub = torch.arange(1, num_leaves + 1), torch.zeros(num_leaves, dtype=torch.long)
    both_ways = torch.stack([torch.cat([leaves, hub]), torch.cat([hub, leaves])])
    tensors: dict[str, Any] = {
        "x": torch.rand(num_leaves + 1, FEATURES),
        "edge_weight": torch.rand(2 * num_leaves),
        "edge_attr": torch.rand(2 * num_leaves, 3),
    }
    graph = Graph(both_ways, **{key: t.bfloat16().float() for key, t in tensors.items()})
    x = graph.x.clone().requires_grad_()
    expected = _run(layer, module, graph, x=x)
    expected_grad = torch.autograd.grad(expected.sum(), x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = _run(layer, module, graph, x=x)
    grad = torch.autograd.grad(out.sum(dtype=torch.float32), x)[0]
    for actual, wanted in ((out[0], expected[0]), (grad[0], expected_grad[0])):
        assert (actual - wanted).abs().max() <= 1e-2 * wanted.abs().max().clamp(min=1)


def results_do_not_vary(layer: Layer) -> None:
    """From call to call, bit by bit; and of what is no matrix product, with the threads either."""
    module = layer.build(torch.float32)
    num_nodes, num_edges = 3000, 200_000  # above the serial threshold
    graph = Graph(
        power_law_edges(num_nodes, num_edges),
        x=torch.randn(num_nodes, FEATURES),
        edge_weight=torch.rand(num_edges),
        edge_attr=torch.randn(num_edges, 3),
    )
    torch.set_num_threads(1)
    out, grads = _run_with_grads(layer, module, graph)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        again, grads_again = _run_with_grads(layer, module, graph)
        assert torch.equal(again, out)
        for key, grad in grads.items():
            # A parameter's gradient is a sum over nodes inside torch's matrix product.
            if threads == 1 or key == "x" or key in layer.edges:
                assert torch.equal(grads_again[key], grad), key
            else:
                torch.testing.assert_close(grads_again[key], grad, rtol=1e-4, atol=1e-3)


def a_module_is_copied_pickled_and_loaded(layer: Layer) -> None:
    module = layer.build()
    graph = corner_graph("unsorted")
    expected = _run(layer, module, graph)
    assert torch.equal(_run(layer, copy.deepcopy(module), graph), expected)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = layer.build()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(_run(layer, other, graph), expected)


def torch_func_gives_the_same_gradients(layer: Layer) -> None:
    module = layer.build()
    graph = corner_graph("directed_random")
    parameters: dict[str, Tensor] = dict(module.named_parameters())
    edges = layer.edge_tensors(graph)
    weights = _weights_of(_run(layer, module, graph))

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        out = torch.func.functional_call(module, parameters, (x, graph.adj), edges)
        return (out * weights).sum()

    found = torch.func.grad(loss, argnums=(0, 1))(parameters, graph.x)
    _, grads = _run_with_grads(layer, module, graph)
    for key, grad in {**found[0], "x": found[1]}.items():
        _close(grad, grads[key])
    several = torch.stack([graph.x, 2 * graph.x])
    mapped = torch.func.vmap(lambda x: module(x, graph.adj, **edges))(several)
    _close(mapped[1], module(2 * graph.x, graph.adj, **edges))


# compile and export ------------------------------------------------------------------------------


def it_compiles_to_one_graph_for_all_sizes(layer: Layer) -> None:
    """Forward and backward, given a Graph and given an Adjacency."""
    # torch itself makes an object of our autograd.Functions when it traces them.
    warnings.filterwarnings("ignore", ".*should not be instantiated", DeprecationWarning)
    for form in ("graph", "adjacency"):
        torch._dynamo.reset()
        module = layer.build()
        backend = CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=backend)
        compilations = []
        for num_nodes, num_edges in ((23, 57), (31, 97), (18, 12)):
            graph = _random_graph(num_nodes, num_edges)
            args = (graph,) if form == "graph" else (graph.adj,)
            edges = {} if form == "graph" else layer.edge_tensors(graph)
            out, grads = _grads_of(module, compiled, graph.x, args, edges)
            expected, expected_grads = _grads_of(module, module, graph.x, args, edges)
            _close(out, expected)
            for key, grad in expected_grads.items():
                _close(grads[key], grad)
            compilations.append(backend.frame_count)
        assert compilations[0] == compilations[-1], f"compiled again for another size: {form}"
    torch._dynamo.reset()


def it_exports_for_all_sizes(layer: Layer) -> None:
    module = layer.build()

    def inputs(num_nodes: int, num_edges: int) -> tuple[Any, ...]:
        graph = _random_graph(num_nodes, num_edges)
        return graph.x, graph

    sizes: Any = torch.export.AdditionalInputs()
    for num_nodes, num_edges in ((31, 97), (18, 12)):
        sizes.add(inputs(num_nodes, num_edges))
    program = torch.export.export(module, inputs(23, 57), dynamic_shapes=sizes, strict=False)
    for num_nodes, num_edges in ((23, 57), (40, 71)):
        x, graph = inputs(num_nodes, num_edges)
        _close(program.module()(x, graph), module(x, graph))


CHECKS: list[Callable[[Layer], None]] = [
    nodes_may_be_renumbered,
    edges_may_come_in_any_order,
    a_batch_gives_what_its_graphs_give,
    a_graph_an_adjacency_and_an_edge_index_give_the_same,
    every_corner_graph_has_finite_results_and_gradients,
    sparse_features_give_what_dense_ones_give,
    gradients_are_right,
    inputs_need_not_be_contiguous,
    every_floating_type_is_taken_and_given_back,
    autocast_gives_its_dtype_and_float32_gradients,
    a_hub_under_autocast_stays_close_to_float32,
    results_do_not_vary,
    a_module_is_copied_pickled_and_loaded,
    torch_func_gives_the_same_gradients,
    it_exports_for_all_sizes,
    it_compiles_to_one_graph_for_all_sizes,
]


def _random_graph(num_nodes: int, num_edges: int) -> Graph:
    return Graph(
        random_edges(num_nodes, num_edges),
        x=torch.randn(num_nodes, FEATURES, dtype=torch.float64),
        edge_weight=torch.rand(num_edges, dtype=torch.float64),
        edge_attr=torch.randn(num_edges, 3, dtype=torch.float64),
    )


def _run(layer: Layer, module: nn.Module, graph: Graph, x: Any = None) -> Tensor:
    return module(graph.x if x is None else x, graph.adj, **layer.edge_tensors(graph))


def _run_with_grads(
    layer: Layer, module: nn.Module, graph: Graph
) -> tuple[Tensor, dict[str, Tensor]]:
    return _grads_of(module, module, graph.x, (graph.adj,), layer.edge_tensors(graph))


def _grads_of(
    module: nn.Module, call: Callable, x: Tensor, args: tuple, edges: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The result, and the gradients of x, the edge tensors and the parameters by name."""
    leaves = {key: value.clone().requires_grad_() for key, value in {"x": x, **edges}.items()}
    out = call(leaves["x"], *args, **{key: leaves[key] for key in edges})
    leaves.update(module.named_parameters())
    grads = torch.autograd.grad(out, list(leaves.values()), _weights_of(out))
    return out.detach(), dict(zip(leaves, grads))


def _weights_of(out: Tensor) -> Tensor:
    """A gradient for out: the same for the same shape, different in every entry."""
    return torch.arange(1, out.numel() + 1, dtype=out.dtype).cos().reshape(out.shape)


def _by_columns(tensor: Tensor) -> Tensor:
    return tensor.t().contiguous().t() if tensor.dim() == 2 else _every_second(tensor)


def _every_second(tensor: Tensor) -> Tensor:
    return torch.stack([tensor, tensor], -1)[..., 0]


def _close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
