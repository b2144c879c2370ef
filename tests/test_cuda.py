"""Layers and trainings on a GPU: as on the CPU, the same bits each time, captured in a CUDA graph.

The operators are tested there by tests/ops, the kernels without a GPU by their emulation.
"""

import json
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnlib import Graph, _extension, ops
from gnnlib.models import GAT, GCN, GIN, GraphSAGE
from tests.cli.program import gnnlib
from tests.conv.test_memory import FEATURES, LAYERS
from tests.graphs import power_law_edges

pytestmark = pytest.mark.skipif(
    not (torch.cuda.is_available() and _extension.has_cuda_kernels()),
    reason="no GPU, or built without CUDA kernels",
)
NODES, EDGES = 500, 6000
MODELS: dict[str, Callable[[], nn.Module]] = {
    "GCN": lambda: GCN(FEATURES, 16, 5),
    "GAT": lambda: GAT(FEATURES, 8, 5, heads=4),
    "GIN": lambda: GIN(FEATURES, 16, 5),
    "GraphSAGE": lambda: GraphSAGE(FEATURES, 16, 5),
}


def _graph(device: str = "cuda") -> Graph:
    # The CPU's generator: the same graph on every device.
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(NODES, FEATURES, generator=generator)
    y = torch.randint(5, (NODES,), generator=generator)
    return Graph(power_law_edges(NODES, EDGES), x=x, y=y).to(device)


def _step(name: str, graph: Graph, dtype: torch.dtype) -> list[Tensor]:
    """The output of a layer and all gradients; its dropout is off."""
    make, edge_shape = LAYERS[name]
    torch.manual_seed(0)
    layer = make().to(dtype).eval()
    given = [] if edge_shape is None else [torch.rand(EDGES, *edge_shape, dtype=dtype)]
    layer, given = layer.to(graph.device), [t.to(graph.device) for t in given]
    x = graph.x.to(dtype, copy=True).requires_grad_()
    out = layer(x, graph, *given)
    weights = torch.linspace(-1, 1, out.numel(), dtype=dtype, device=out.device).view_as(out)
    return [out, *torch.autograd.grad((out * weights).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_what_it_gives_on_the_cpu(name):
    for mine, right in zip(
        _step(name, _graph(), torch.float64), _step(name, _graph("cpu"), torch.float64), strict=True
    ):
        torch.testing.assert_close(mine.cpu(), right, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_the_same_bits_each_time(name):
    graph = _graph()
    first, again = (_step(name, graph, torch.float32) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_graph_goes_to_the_gpu_and_back():
    graph = _graph("cpu")
    graph.adj.transpose()
    there = graph.to("cuda")
    assert there.device.type == there.adj.ptr.device.type == "cuda"
    back = there.to("cpu")
    assert torch.equal(back.edge_index, graph.edge_index)
    assert all(torch.equal(a, b) for a, b in zip(back.adj.transpose(), graph.adj.transpose()))


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, graph: Graph) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(graph.x, graph), graph.y)
    loss.backward()
    optimizer.step()
    return loss.detach()


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_can_be_captured(name):
    """What is replayed is the step that was captured: to the bit, where nothing is drawn."""
    graph = _graph()

    def made() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = MODELS[name]().cuda()
        for module in model.modules():
            if hasattr(module, "dropout"):
                module.dropout = 0.0  # pyright: ignore[reportArgumentType]
        return model, torch.optim.Adam(model.parameters(), lr=0.01, capturable=True)

    model, optimizer = made()
    eager = [_train(model, optimizer, graph).item() for _ in range(8)]

    model, optimizer = made()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        losses = [_train(model, optimizer, graph).item() for _ in range(3)]
    torch.cuda.current_stream().wait_stream(stream)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        loss = _train(model, optimizer, graph)
    for _ in range(5):
        captured.replay()
        losses.append(loss.item())
    assert losses == eager


def test_dropout_in_a_captured_step_is_drawn_anew_each_time():
    graph = _graph()
    model = GAT(FEATURES, 8, 5, heads=4, dropout=0.5).cuda()
    model(graph.x, graph)
    captured = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(captured):
        out = model(graph.x, graph)
    seen = []
    for _ in range(3):
        captured.replay()
        seen.append(out.clone())
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_bf16_is_near_float32():
    graph = _graph()
    for name, make in MODELS.items():
        torch.manual_seed(0)
        model = make().cuda().eval()
        exact = model(graph.x, graph)
        with torch.autocast("cuda", torch.bfloat16):
            rough = model(graph.x, graph)
        assert (rough.float() - exact).norm() < 0.03 * exact.norm(), name


def test_tensors_of_two_devices_are_refused():
    graph = _graph()
    adj = graph.adj
    with pytest.raises(ValueError, match=r"spmm: all tensors must be on one device: ptr is on cpu"):
        ops.spmm(adj.ptr.cpu(), adj.col, graph.x)
    with pytest.raises(ValueError, match=r"ptr is on cuda:0, x on cpu"):
        ops.spmm(adj.ptr, adj.col, graph.x.cpu())


def test_a_structure_that_leads_nowhere_is_refused():
    ptr, col = torch.tensor([0, 2, 1, 3]).cuda(), torch.tensor([0, 1, 0]).cuda()
    x = torch.ones(2, 4).cuda()
    with pytest.raises(ValueError, match=r"ptr must never decrease: ptr\[1\] is 2, ptr\[2\] is 1"):
        ops.spmm(ptr, col, x)
    with pytest.raises(ValueError, match="ptr must run from 0 to the number of edges 3, got 0"):
        ops.spmm(torch.tensor([0, 9]).cuda(), col, x)
    with pytest.raises(ValueError, match="scatter: index must be below 3 .* position 1 is 7"):
        ops.scatter(x, torch.tensor([0, 7]).cuda(), 3)
    with pytest.raises(ValueError, match="gather_rows: index must be below 2 .* position 0 is -1"):
        ops.gather_rows(x, torch.tensor([-1]).cuda())


def test_the_program_trains_on_the_gpu(tmp_path):
    run = ("train", "--dataset", "digits", "--epochs", "20", "--device", "cuda", "--quiet")
    for extra in ((), ("--amp", "bf16")):
        folder = tmp_path / f"run{len(extra)}"
        result = gnnlib(*run, *extra, "--json", "--run-dir", folder)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["metric"] == "accuracy"
