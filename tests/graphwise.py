"""The properties of what treats each graph of a batch on its own, as checks of a `Part`: readouts,
which give a row per graph, and norms, which give one per node. They are those of tests.properties
where the two have something in common.

A part takes 4 features. `CHECKS` lists the checks; a test module runs them all.
"""

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from gnnlib import Batch, Graph
from tests.graphs import GRAPHS, random_edges

FEATURES = 4
SIZES = (3, 1, 0, 7, 5)  # nodes of the graphs of a batch


class Part(NamedTuple):
    """make: builds it, with random parameters. per_node: it gives a row per node, not per graph."""

    make: Callable[[], nn.Module]
    per_node: bool = False

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """In evaluation mode, with no parameter at its first value."""
        module = self.make()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.rand_like(parameter))
        return module.to(dtype).eval()


class Call(nn.Module):
    """A function of (x, graph) as a module."""

    def __init__(self, function: Callable[[Tensor, Graph], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return self.function(x, graph)


def batch_of(sizes: Sequence[int] = SIZES, dtype: torch.dtype = torch.float64) -> Batch:
    return Batch.from_graphs(
        [
            Graph(
                random_edges(n, 2 * n) if n else torch.empty(2, 0, dtype=torch.long),
                x=torch.randn(n, FEATURES, dtype=dtype),
                edge_attr=torch.randn(2 * n, 3, dtype=dtype),
            )
            for n in sizes
        ]
    )


def corner_graphs(dtype: torch.dtype = torch.float64) -> list[Graph]:
    return [
        Graph(
            edges,
            x=torch.randn(n, FEATURES, dtype=dtype),
            edge_attr=torch.randn(edges.shape[1], 3, dtype=dtype),
        )
        for edges, n in GRAPHS.values()
    ]


def name_of(check: Callable) -> str:
    return check.__name__


# what is computed --------------------------------------------------------------------------------


def nodes_may_be_renumbered(part: Part) -> None:
    """Within their graph."""
    module = part.build()
    graphs = corner_graphs()
    orders = [torch.randperm(graph.num_nodes) for graph in graphs]
    renumbered = [
        Graph(order.argsort()[graph.edge_index], x=graph.x[order], edge_attr=graph.edge_attr)
        for graph, order in zip(graphs, orders)
    ]
    batch, other = Batch.from_graphs(graphs), Batch.from_graphs(renumbered)
    expected = module(batch.x, batch)
    if part.per_node:
        shifted = [order + begin for order, begin in zip(orders, batch.graph_ptr)]
        expected = expected[torch.cat(shifted)]
    _close(module(other.x, other), expected)


def a_batch_gives_what_its_graphs_give(part: Part) -> None:
    module = part.build()
    graphs = corner_graphs()
    batch = Batch.from_graphs(graphs)
    _close(module(batch.x, batch), torch.cat([module(graph.x, graph) for graph in graphs]))


def every_corner_graph_has_finite_results_and_gradients(part: Part) -> None:
    module = part.build()
    for graph in (*corner_graphs(), batch_of(), batch_of().select([]), batch_of((0, 0))):
        out, grads = _grads_of(module, module, graph)
        assert out.shape[0] == (graph.num_nodes if part.per_node else graph.num_graphs)
        for key, value in {"out": out, **grads}.items():
            assert value.isfinite().all(), key


def gradients_are_right(part: Part) -> None:
    """First and second ones, against finite differences."""
    module = part.build()
    batch = batch_of()
    x = batch.x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: module(x, batch), x)
    assert torch.autograd.gradgradcheck(lambda x: module(x, batch), x)


# how it is called --------------------------------------------------------------------------------


def inputs_need_not_be_contiguous(part: Part) -> None:
    module = part.build()
    batch = batch_of()
    x = batch.x.t().contiguous().t()
    assert not x.is_contiguous()
    _close(module(x, batch), module(batch.x, batch))


def every_floating_type_is_taken_and_given_back(part: Part) -> None:
    module = part.build()
    batch = batch_of()
    expected = module(batch.x, batch)
    for dtype, bound in {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.1}.items():
        x = batch.x.to(dtype, copy=True).requires_grad_()
        out = copy.deepcopy(module).to(dtype)(x, batch.to(dtype))
        assert out.dtype == dtype
        assert (out - expected).abs().max() <= bound * (1 + expected.abs().max())
        out.sum().backward()
        assert x.grad is not None and x.grad.dtype == dtype


def autocast_gives_float32_gradients(part: Part) -> None:
    module = part.build(torch.float32)
    batch = batch_of(dtype=torch.float32)
    expected = module(batch.x, batch)
    x = batch.x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(x, batch)
    assert (out - expected).abs().max() <= 0.1 * (1 + expected.abs().max())
    out.float().sum().backward()
    for tensor in (x, *module.parameters()):
        assert tensor.grad is not None and tensor.grad.dtype == torch.float32
        assert tensor.grad.isfinite().all()


def results_do_not_vary(part: Part) -> None:
    module = part.build(torch.float32)
    batch = batch_of((5000, 20_000, 1, 0, 3000), torch.float32)
    out, grads = _grads_of(module, module, batch)
    again, grads_again = _grads_of(module, module, batch)
    assert torch.equal(again, out)
    for key, grad in grads.items():
        assert torch.equal(grads_again[key], grad), key


def a_module_is_copied_pickled_and_loaded(part: Part) -> None:
    module = part.build()
    batch = batch_of()
    expected = module(batch.x, batch)
    assert torch.equal(copy.deepcopy(module)(batch.x, batch), expected)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = part.build()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(batch.x, batch), expected)


def torch_func_gives_the_same_gradients(part: Part) -> None:
    module = part.build()
    batch = batch_of()
    weights = _weights_of(module(batch.x, batch))

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return (torch.func.functional_call(module, parameters, (x, batch)) * weights).sum()

    found = torch.func.grad(loss, argnums=(0, 1))(dict(module.named_parameters()), batch.x)
    _, grads = _grads_of(module, module, batch)
    for key, grad in {**found[0], "x": found[1]}.items():
        _close(grad, grads[key])
    several = torch.stack([batch.x, 2 * batch.x])
    mapped = torch.func.vmap(lambda x: module(x, batch))(several)
    _close(mapped[1], module(2 * batch.x, batch))


# compile and export ------------------------------------------------------------------------------


def it_compiles_to_one_graph_for_all_sizes(part: Part) -> None:
    """Forward and backward, given a Batch and given a Graph."""
    # torch itself makes an object of our autograd.Functions when it traces them.
    warnings.filterwarnings("ignore", ".*should not be instantiated", DeprecationWarning)
    for one in (False, True):
        torch._dynamo.reset()
        module = part.build()
        backend = CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=backend)
        compilations = []
        # B + 1 is not the number of features: torch takes equal first sizes for the same one.
        for sizes in ((5, 2, 6, 8), (4, 9, 3, 3, 2, 2), (7, 11)):
            graph = batch_of(sizes)[0] if one else batch_of(sizes)
            out, grads = _grads_of(module, compiled, graph)
            expected, expected_grads = _grads_of(module, module, graph)
            _close(out, expected)
            for key, grad in expected_grads.items():
                _close(grads[key], grad)
            compilations.append(backend.frame_count)
        assert compilations[0] == compilations[-1], f"compiled again for another size: {one}"
    torch._dynamo.reset()


def it_exports_for_all_sizes(part: Part) -> None:
    module = part.build()

    def inputs(*sizes: int) -> tuple[Any, ...]:
        batch = batch_of(sizes)
        return batch.x, batch

    examples: Any = torch.export.AdditionalInputs()
    for sizes in ((4, 9, 3, 3, 2, 2), (7, 11)):
        examples.add(inputs(*sizes))
    program = torch.export.export(module, inputs(5, 2, 6, 8), dynamic_shapes=examples, strict=False)
    for sizes in ((5, 2, 6, 8), (2, 3, 0, 6, 1)):
        x, batch = inputs(*sizes)
        _close(program.module()(x, batch), module(x, batch))


CHECKS: list[Callable[[Part], None]] = [
    nodes_may_be_renumbered,
    a_batch_gives_what_its_graphs_give,
    every_corner_graph_has_finite_results_and_gradients,
    gradients_are_right,
    inputs_need_not_be_contiguous,
    every_floating_type_is_taken_and_given_back,
    autocast_gives_float32_gradients,
    results_do_not_vary,
    a_module_is_copied_pickled_and_loaded,
    torch_func_gives_the_same_gradients,
    it_compiles_to_one_graph_for_all_sizes,
    it_exports_for_all_sizes,
]


def _grads_of(module: nn.Module, call: Callable, graph: Graph) -> tuple[Tensor, dict[str, Tensor]]:
    """The result, and the gradients of x and of the parameters by name."""
    leaves: dict[str, Tensor] = {"x": graph.x.clone().requires_grad_()}
    out = call(leaves["x"], graph)
    leaves |= dict(module.named_parameters())
    grads = torch.autograd.grad(out, list(leaves.values()), _weights_of(out))
    return out.detach(), dict(zip(leaves, grads))


def _weights_of(out: Tensor) -> Tensor:
    """A gradient for out: the same for the same shape, different in every entry."""
    return torch.arange(1, out.numel() + 1, dtype=out.dtype).cos().reshape(out.shape)


def _close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
