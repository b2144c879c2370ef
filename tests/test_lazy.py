"""The messages that run as one operator: they do, and give what gathered rows give."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gnnlib import Adjacency
from gnnlib._edge_rows import Unfused
from gnnlib._lazy import EdgeTensor
from tests.graphs import GRAPHS, power_law_edges
from tests.messages import FEATURES, Large, Written, naive

NODES, EDGES, HEADS = 12, 300, 2
WIDE, WIDE_HEADS = (FEATURES,), (HEADS, FEATURES // HEADS)
REDUCES = ["sum", "mean", "max", "min"]


def _attention(s, src, dst, edge):
    return s.softmax((src * dst).sum(-1, keepdim=True) / 2) * src


def _of_dots(s, src, dst, edge):
    return torch.sigmoid((src * dst).sum(1) * 2 - 1).exp()


# message, whether src and dst have heads [N, H, D], shape of the edge behind E
FUSED: dict[str, tuple[Callable, bool, tuple[int, ...] | None]] = {
    "src": (lambda s, src, dst, edge: src, False, None),
    "src_with_heads": (lambda s, src, dst, edge: src, True, None),
    "edge": (lambda s, src, dst, edge: edge, False, (2,)),
    "src_edge": (lambda s, src, dst, edge: src * edge, False, ()),
    "src_edge_column": (lambda s, src, dst, edge: src * edge, False, (1,)),
    "edge_src": (lambda s, src, dst, edge: edge * src, False, ()),
    "mul_method": (lambda s, src, dst, edge: src.mul(edge), False, ()),
    "torch_mul": (lambda s, src, dst, edge: torch.mul(edge, src), False, ()),
    "per_head": (lambda s, src, dst, edge: src * edge, True, (HEADS, 1)),
    "one_for_all_heads": (lambda s, src, dst, edge: src * edge, True, (1, 1)),
    "per_head_unsqueezed": (lambda s, src, dst, edge: src * edge[..., None], True, (HEADS,)),
    "dicts": (lambda s, src, dst, edge: src["a"] * edge["w"], False, ()),
    "dot": (lambda s, src, dst, edge: (src * dst).sum(-1), False, None),
    "dot_kept": (lambda s, src, dst, edge: (dst * src).sum(-1, keepdim=True), False, None),
    "torch_sum": (lambda s, src, dst, edge: torch.sum(src * dst, -1), True, None),
    "function_of_dots": (_of_dots, False, None),
    "softmax_of_dots": (
        lambda s, src, dst, edge: s.softmax((src * dst).sum(-1)), False, None
    ),
    "attention": (_attention, False, None),
    "attention_with_heads": (_attention, True, None),
    "gate": (
        lambda s, src, dst, edge: (src * dst).sum(-1).sigmoid()[:, None] * src, False, None
    ),
    "gate_unsqueezed": (
        lambda s, src, dst, edge: src * (src * dst).sum(-1).unsqueeze(-1), True, None
    ),
    "softmax_of_edge": (lambda s, src, dst, edge: s.softmax(edge) * src, False, ()),
    # sums of the ends and the edge
    "dst": (lambda s, src, dst, edge: dst, False, None),
    "src_minus_dst": (lambda s, src, dst, edge: src - dst, False, None),
    "dst_minus_src": (lambda s, src, dst, edge: torch.sub(dst, src), True, None),
    "src_plus_dst": (lambda s, src, dst, edge: dst + src, True, None),
    "relu_of_difference": (lambda s, src, dst, edge: F.relu(src - dst), False, None),
    "src_plus_edge": (lambda s, src, dst, edge: src + edge, False, WIDE),
    "edge_plus_src": (lambda s, src, dst, edge: edge.add(src), True, WIDE_HEADS),
    "src_minus_edge": (lambda s, src, dst, edge: src - edge, False, WIDE),
    "edge_minus_src": (lambda s, src, dst, edge: edge - src, False, WIDE),
    "relu_of_sum": (lambda s, src, dst, edge: (src + edge).relu(), False, WIDE),
    "relu_of_sum_with_heads": (lambda s, src, dst, edge: torch.relu(edge + src), True, WIDE_HEADS),
    "relu_of_src_minus_edge": (lambda s, src, dst, edge: F.relu(src - edge), False, WIDE),
    "relu_of_edge_minus_src": (lambda s, src, dst, edge: torch.relu(edge - src), False, WIDE),
    "all_three": (lambda s, src, dst, edge: src + dst + edge, False, WIDE),
    "relu_of_all_three": (lambda s, src, dst, edge: (dst - edge + src).relu(), False, WIDE),
    "halves": (lambda s, src, dst, edge: (src / 2 - 0.5 * edge + 1).relu() * 3, False, WIDE),
    "negative_of_relu": (lambda s, src, dst, edge: -2 * (src + edge).relu() / 3, False, WIDE),
    "sum_with_a_number": (lambda s, src, dst, edge: (src + edge).relu(), False, ()),
    "sum_with_a_number_and_heads": (lambda s, src, dst, edge: src - edge + dst, True, (1, 1)),
    "sum_with_a_score": (
        lambda s, src, dst, edge: src + (src * dst).sum(-1, keepdim=True), False, None
    ),
    # numbers
    "twice": (lambda s, src, dst, edge: src * 2, False, None),
    "half": (lambda s, src, dst, edge: src / 2, True, None),
    "negative": (lambda s, src, dst, edge: -src, False, None),
    "negative_dst": (lambda s, src, dst, edge: 1 - torch.neg(dst), False, None),
    "relu_of_src": (lambda s, src, dst, edge: F.leaky_relu(F.relu(src - 1) - 2), False, None),
    "number_minus_src": (lambda s, src, dst, edge: 1 - src, False, None),
    "weighted_twice": (lambda s, src, dst, edge: 2 * src * edge, False, ()),
    "negative_weighted": (lambda s, src, dst, edge: -(src * edge) / 4, True, (HEADS, 1)),
    "wide_edge_times_a_number": (lambda s, src, dst, edge: -3 * edge, False, WIDE),
    # factors
    "two_factors": (
        lambda s, src, dst, edge: src * edge * s.softmax((src * dst).sum(-1, keepdim=True)),
        False, (),
    ),
    "edge_twice": (lambda s, src, dst, edge: src * edge * edge, True, (HEADS, 1)),
    "sigmoid_of_edge": (lambda s, src, dst, edge: src * edge.sigmoid(), False, ()),
    "complement": (lambda s, src, dst, edge: (1 - edge) * src, False, ()),
    "exp_of_edge": (lambda s, src, dst, edge: torch.exp(-edge / 2) * src, True, (HEADS, 1)),
    "quotient": (lambda s, src, dst, edge: src / (edge + 1), False, ()),
    "heads_of_edge": (lambda s, src, dst, edge: src * edge[..., None].tanh(), True, (HEADS,)),
    # scores
    "scaled_dot": (lambda s, src, dst, edge: (src * dst / 2).sum(-1), True, None),
}  # fmt: skip
# Those of no sign or order: not for max and min.
LINEAR: dict[str, tuple[Callable, bool, tuple[int, ...] | None]] = {
    "pair": (lambda s, src, dst, edge: src * dst, False, None),
    "scaled_pair": (lambda s, src, dst, edge: dst * -src / 3, True, None),
}
FUSED |= LINEAR


def _inputs(name: str, sort: bool) -> tuple[Adjacency, dict[str, Tensor]]:
    _, heads, edge_shape = FUSED[name]
    edges = power_law_edges(NODES, EDGES)
    if sort:
        edges = edges[:, edges[1].argsort(stable=True)]
    shape = (HEADS, FEATURES // HEADS) if heads else (FEATURES,)
    tensors = {"src": torch.randn(NODES, *shape, dtype=torch.float64)}
    if edge_shape is not None:
        tensors["edge"] = torch.rand(EDGES, *edge_shape, dtype=torch.float64)
    return Adjacency.from_edge_index(edges, num_nodes=NODES), tensors


def _call(call: Callable, layer: Written, adj: Adjacency, tensors: dict[str, Tensor], name: str):
    leaves = {key: value.detach().requires_grad_() for key, value in tensors.items()}
    given: dict[str, Any] = dict(leaves)
    if name == "dicts":
        given = {"src": {"a": leaves["src"]}, "edge": {"w": leaves["edge"]}}
    out = call(layer, adj, given)
    weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
    return [out, *torch.autograd.grad(out, list(leaves.values()), weights, allow_unused=True)]


def _forbidden(*args, **kwargs):
    raise AssertionError("rows were gathered")


@pytest.mark.parametrize("sort", [False, True], ids=["any_order", "sorted"])
@pytest.mark.parametrize("name", FUSED)
def test_a_fused_message_is_never_gathered_and_gives_the_same(name, sort, monkeypatch):
    f, *_ = FUSED[name]
    adj, tensors = _inputs(name, sort)
    adj.transpose()
    wide = tensors.get("edge", tensors["src"]).shape == (EDGES, *tensors["src"].shape[1:])
    for reduce in [*REDUCES, ["mean", "max"]][: 2 if name in LINEAR else None]:
        layer = Written(f, reduce).double()
        expected = _call(lambda m, adj, g: naive(m, adj, **g), layer, adj, tensors, name)
        with monkeypatch.context() as patch, Large(8 * EDGES * FEATURES) as large:
            patch.setattr("gnnlib.message_passing.in_blocks", _forbidden)
            found = _call(lambda m, adj, g: m(adj, **g), layer, adj, tensors, name)
        # An E×F array has 1800 entries; what is one number an edge and head, 600. The gradient of
        # an edge tensor that is E×F is one, for each reducer, and their sum.
        assert len(large.found) <= (0 if not wide else 1 if isinstance(reduce, str) else 3), (
            large.found
        )
        for actual, wanted in zip(found, expected, strict=True):
            assert (actual is None) == (wanted is None)
            if wanted is not None:
                torch.testing.assert_close(actual, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["src", "src_edge", "attention", "dot"])
def test_corner_graphs_run_fused(name):
    f, _, edge_shape = FUSED[name]
    for edges, num_nodes in GRAPHS.values():
        adj = Adjacency.from_edge_index(edges, num_nodes=num_nodes)
        x = torch.randn(num_nodes, FEATURES, dtype=torch.float64)
        edge = None
        if edge_shape is not None:
            edge = torch.rand(edges.shape[1], dtype=torch.float64)
        for reduce in [*REDUCES, "mul"]:
            layer = Written(f, reduce).double()
            with torch.no_grad():
                out = layer(adj, x, edge=edge)
                if num_nodes:
                    expected = naive(layer, adj, x, edge=edge)
                    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)


def test_a_product_without_gradient_runs_fused(monkeypatch):
    adj, tensors = _inputs("src_edge", False)
    layer = Written(lambda s, src, dst, edge: src * edge, "mul").double()
    monkeypatch.setattr("gnnlib.message_passing.in_blocks", _forbidden)
    with torch.no_grad():
        out = layer(adj, **tensors)
        torch.testing.assert_close(out, naive(layer, adj, **tensors))


@pytest.mark.parametrize(
    "f",
    [
        lambda s, src, dst, edge: (src - dst).abs(),
        lambda s, src, dst, edge: (src - dst) * src,
        lambda s, src, dst, edge: (src + dst).relu() + 1,
        lambda s, src, dst, edge: (src + dst).relu().relu(),
        lambda s, src, dst, edge: (src * dst).relu(),
        lambda s, src, dst, edge: src.relu_(),
        lambda s, src, dst, edge: F.relu(src, inplace=True),
        lambda s, src, dst, edge: torch.add(src, dst, alpha=2),
        lambda s, src, dst, edge: torch.cat([src, dst], -1),
        lambda s, src, dst, edge: 1 / src,
        lambda s, src, dst, edge: src + torch.ones(FEATURES),
        lambda s, src, dst, edge: src.tanh(),
        lambda s, src, dst, edge: src * src,
        lambda s, src, dst, edge: (src * dst).sum(),
        lambda s, src, dst, edge: (src * dst).sum(0),
        lambda s, src, dst, edge: (src * dst).sum(-1).max(),
        lambda s, src, dst, edge: (src * dst).sum(-1).sort(),
        lambda s, src, dst, edge: src.T,
        lambda s, src, dst, edge: src[0],
        lambda s, src, dst, edge: src == dst,
        lambda s, src, dst, edge: [src.float()],
        lambda s, src, dst, edge: isinstance(src, Tensor),  # torch's C++ would believe a yes
        lambda s, src, dst, edge: 1 if src else 0,
    ],
)
def test_what_no_operator_does_ends_the_probe(f):
    adj, tensors = _inputs("src", False)
    src, dst = (EdgeTensor(adj, side, tensors["src"]) for side in ("src", "dst"))
    with pytest.raises(Unfused):
        f(None, src, dst, None)


def test_a_lazy_tensor_has_the_form_of_the_gathered_one():
    adj, tensors = _inputs("per_head", False)
    gathered = tensors["src"][adj.col.long()]
    lazy = EdgeTensor(adj, "src", tensors["src"])
    assert lazy.shape == gathered.shape
    assert (lazy.dtype, lazy.device, lazy.ndim) == (gathered.dtype, gathered.device, 3)
    assert (lazy.dim(), lazy.size(), lazy.size(1), len(lazy)) == (3, gathered.shape, HEADS, EDGES)
    assert torch.equal(lazy.gather(), gathered)
    assert not hasattr(lazy, "no_such_attribute")


@pytest.mark.parametrize("kind", ["src", "dst", "edge", "weighted", "pair", "value"])
def test_each_kind_gathers_its_rows(kind):
    adj, tensors = _inputs("src_edge_column", False)
    x, w = tensors["src"], tensors["edge"]
    src, dst = x[adj.col.long()], x[adj.row.long()]
    in_order = w if adj.eid is None else w[adj.eid.long()]
    other: Any = {"weighted": EdgeTensor(adj, "edge", w), "pair": x}.get(kind)
    tensor = {"edge": w, "value": in_order}.get(kind, x)
    expected = {
        "src": src, "dst": dst, "edge": in_order, "value": in_order,
        "weighted": src * in_order, "pair": src * dst,
    }[kind]  # fmt: skip
    assert torch.equal(EdgeTensor(adj, kind, tensor, other).gather(), expected)


# few numbers an edge -----------------------------------------------------------------------------


def _gat(s, src, dst, edge):
    return s.softmax(F.leaky_relu(src["score"] + dst["score"] + edge["w"])) * src["x"]


def _distance(s, src, dst, edge):
    return src["x"] * torch.exp(-(src["pos"] - dst["pos"]).square().sum(-1, keepdim=True))


def _gated(s, src, dst, edge):
    return src["x"] * (src["score"] * dst["score"]).sigmoid() * edge["w"] * torch.tanh(edge["v"])


# message, heads
SCORED: dict[str, tuple[Callable, int]] = {
    "gat": (_gat, 0),
    "gat_with_heads": (_gat, HEADS),
    "distance": (_distance, 0),
    "gated": (_gated, 0),
    "gated_with_heads": (_gated, HEADS),
    "scores_alone": (lambda s, src, dst, edge: (dst["score"] - src["score"]).exp(), 0),
    "softmax_of_scores": (lambda s, src, dst, edge: s.softmax(src["score"]) * src["x"], HEADS),
    "score_of_dst": (lambda s, src, dst, edge: dst["score"].cos() * src["x"], 0),
    "added_score": (lambda s, src, dst, edge: (src["x"] + dst["score"]).relu(), 0),
    "indexed": (lambda s, src, dst, edge: src["x"] * edge["few"][:, 1:2] * edge["w"], 0),
    "narrow": (lambda s, src, dst, edge: edge["few"].square().sum(-1, keepdim=True) * src["x"], 0),
}


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("name", SCORED)
def test_messages_of_few_numbers_an_edge_run_fused(name, index, monkeypatch):
    f, heads = SCORED[name]
    wide = (heads, 8) if heads else (16,)
    one = (heads, 1) if heads else (1,)
    edges = power_law_edges(NODES, EDGES).to(index)
    adj = Adjacency.from_edge_index(edges, num_src=NODES + 2, num_dst=NODES)
    adj.transpose()

    def rows(number, *shape):
        return torch.randn(number, *shape, dtype=torch.float64, requires_grad=True)

    given = {
        "src": {"x": rows(NODES + 2, *wide), "score": rows(NODES + 2, *one)},
        "dst": {"score": rows(NODES, *one)},
        "edge": {"w": rows(EDGES, *one), "v": rows(EDGES, *one), "few": rows(EDGES, 2)},
    }
    given["src"]["pos"], given["dst"]["pos"] = rows(NODES + 2, 3), rows(NODES, 3)
    leaves = [t for part in given.values() for t in part.values()]
    for reduce in REDUCES:
        layer = Written(f, reduce).double()
        expected = naive(layer, adj, **given)
        with monkeypatch.context() as patch, Large(8 * EDGES * 16) as large:
            patch.setattr("gnnlib.message_passing.in_blocks", _forbidden)
            out = layer(adj, **given)
            weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
            found = torch.autograd.grad(out, leaves, weights, allow_unused=True)
        assert large.found == []
        wanted = torch.autograd.grad(expected, leaves, weights, allow_unused=True)
        for a, b in zip((out, *found), (expected, *wanted), strict=True):
            assert (a is None) == (b is None)
            if b is not None:
                torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["relu_of_all_three", "src_minus_dst", "halves", "two_factors"])
def test_second_gradients_run_fused_too(name):
    f, _, edge_shape = FUSED[name]
    for edges, num_nodes in (GRAPHS["unsorted"], GRAPHS["repeated_edges"], GRAPHS["no_edges"]):
        adj = Adjacency.from_edge_index(edges, num_nodes=num_nodes)
        x = torch.randn(num_nodes, FEATURES, dtype=torch.float64, requires_grad=True)
        leaves = [x]
        if edge_shape is not None:
            shape = (edges.shape[1], *edge_shape)
            leaves.append(torch.randn(shape, dtype=torch.float64, requires_grad=True))
        for reduce in REDUCES:
            layer = Written(f, reduce).double()

            def call(x, edge=None, layer=layer, adj=adj):
                return layer.propagate(adj, src=x, edge=edge)

            assert torch.autograd.gradcheck(call, leaves)
            assert torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_dtypes_give_what_gathered_rows_give(dtype):
    adj, tensors = _inputs("all_three", False)
    for name in ("relu_of_all_three", "src_minus_dst", "halves"):
        layer = Written(FUSED[name][0], "mean")
        given = {key: value.to(dtype) for key, value in tensors.items()}
        out = layer.propagate(adj, **given)
        expected = naive(layer.double(), adj, **{k: v.double() for k, v in given.items()})
        assert out.dtype == dtype
        error = (out.double() - expected).abs().amax() / expected.abs().amax()
        assert error < (1e-5 if dtype == torch.float32 else 0.02)


def test_dtypes_that_differ_are_promoted_as_torch_does():
    adj, tensors = _inputs("all_three", False)
    src = tensors["src"].float()
    for f in (lambda s, src, dst, edge: src + edge, lambda s, src, dst, edge: src * edge[:, :1]):
        out = Written(f).propagate(adj, src=src, edge=tensors["edge"])
        assert out.dtype == torch.float64
        torch.testing.assert_close(out, naive(Written(f), adj, src, edge=tensors["edge"]))


def test_autocast_leaves_sums_as_torch_does():
    adj, tensors = _inputs("all_three", False)
    given = {key: value.float() for key, value in tensors.items()}
    layer = Written(FUSED["relu_of_all_three"][0])
    expected = layer.propagate(adj, **given)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.propagate(adj, **given), expected)


def test_a_message_that_writes_into_its_rows_leaves_the_given_ones():
    edges, num_nodes = GRAPHS["sorted"]
    adj = Adjacency.from_edge_index(edges[:, edges[1].argsort(stable=True)], num_nodes=num_nodes)
    x, w = torch.randn(num_nodes, FEATURES), torch.rand(adj.num_edges)
    before = x.clone(), w.clone()

    def message(s, src, dst, edge):
        edge.mul_(2)
        edge += 1
        src[:, 0] = 0
        return F.relu(src, inplace=True) * edge

    layer = Written(message)

    def plain(x, w):
        return layer.propagate(adj, src=x, edge=w)

    expected = naive(layer, adj, x, edge=w)
    torch.testing.assert_close(plain(x, w), expected)
    torch.testing.assert_close(torch.func.vmap(plain)(x[None], w[None])[0], expected)
    compiled = torch.compile(plain, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, w), expected)
    assert torch.equal(x, before[0]) and torch.equal(w, before[1])
