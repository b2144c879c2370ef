"""edge_dropout: a mask that is a hash of the seed, the edge and the head."""

import pytest
import torch

from gnnlib import ops
from gnnlib.ops import reference

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def seed(value: int) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("heads", [(), (1,), (3,), (8,)])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.6, 0.999, 1.0])
@pytest.mark.parametrize("index", [None, torch.int32, torch.int64])
def test_it_equals_the_reference(dtype, heads, p, index):
    x = torch.randn(257, *heads).to(dtype)
    eid = None if index is None else torch.randperm(257).to(index)
    for s in (0, 1, -7, 2**62 - 1):
        out = ops.edge_dropout(x, p, eid=eid, seed=seed(s))
        expected = reference.edge_dropout(x, eid, p, seed(s))
        torch.testing.assert_close(out, expected, rtol=0, atol=0)


def test_the_mask_belongs_to_the_edge_wherever_it_stands():
    x, order = torch.randn(500, 4), torch.randperm(500)
    out = ops.edge_dropout(x, 0.5, seed=seed(5))
    permuted = ops.edge_dropout(x[order], 0.5, eid=order, seed=seed(5))
    assert torch.equal(out[order], permuted)


def test_the_share_of_zeros_is_p_in_every_head_and_heads_are_independent():
    n, p = 200_000, 0.3
    zero = (ops.edge_dropout(torch.ones(n, 3), p, seed=seed(11)) == 0).double()
    bound = 5 * (p * (1 - p) / n) ** 0.5
    assert torch.all((zero.mean(0) - p).abs() < bound)
    both = (zero[:, 0] * zero[:, 1]).mean()
    assert abs(both - p * p) < 5 * (p * p * (1 - p * p) / n) ** 0.5
    shifted = (zero[1:, 0] * zero[:-1, 0]).mean()  # neighbouring edges
    assert abs(shifted - p * p) < 5 * (p * p * (1 - p * p) / n) ** 0.5


def test_different_seeds_give_different_masks_and_torchs_seed_decides_when_none_is_given():
    x = torch.ones(1000)
    assert not torch.equal(
        ops.edge_dropout(x, 0.5, seed=seed(1)), ops.edge_dropout(x, 0.5, seed=seed(2))
    )
    torch.manual_seed(3)
    first, second = ops.edge_dropout(x, 0.5), ops.edge_dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(first, ops.edge_dropout(x, 0.5))
    assert not torch.equal(first, second)


def test_gradients_use_the_same_mask():
    x = torch.randn(20, 3, dtype=torch.float64, requires_grad=True)

    def function(x):
        return ops.edge_dropout(x, 0.4, seed=seed(9))

    assert torch.autograd.gradcheck(function, (x,))
    assert torch.autograd.gradgradcheck(function, (x,))


def test_opcheck_vmap_and_autocast():
    x = torch.randn(30, 2)
    torch.library.opcheck(torch.ops.gnnlib.edge_dropout.default, (x, None, 0.5, seed(1)))
    torch.library.opcheck(
        torch.ops.gnnlib.edge_dropout.default, (x, torch.randperm(30), 0.5, seed(1))
    )
    batch = torch.ones(5, 30, 2)
    out = torch.vmap(lambda x: ops.edge_dropout(x, 0.5, seed=seed(1)))(batch)
    assert out.shape == batch.shape
    assert set(out.flatten().tolist()) == {0.0, 2.0}
    assert not torch.equal(out[0], out[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert ops.edge_dropout(x, 0.5).dtype == torch.float32


def test_it_compiles_whole():
    def step(x):
        return ops.edge_dropout(x, 0.5).square().sum()

    x = torch.randn(100, 4, requires_grad=True)
    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    torch.manual_seed(0)
    (expected,) = torch.autograd.grad(step(x), x)
    torch.manual_seed(0)
    (grad,) = torch.autograd.grad(compiled(x), x)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("p", [-0.1, 1.01, float("nan")])
def test_a_probability_outside_the_range_is_refused(p):
    with pytest.raises(ValueError, match=r"p must lie in"):
        ops.edge_dropout(torch.ones(3), p)


def test_edge_ids_of_wrong_length_are_refused():
    with pytest.raises(ValueError, match="eid must have shape"):
        ops.edge_dropout(torch.ones(3), 0.5, eid=torch.arange(4))
