import pytest
import torch
from torch import nn

from gnnlib import Linear, SparseFeatures
from gnnlib.linear import glorot_


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(9, 6, dtype=torch.float64).relu()


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_torchs_linear_on_dense_features(x, bias):
    mine, theirs = Linear(6, 4, bias).double(), nn.Linear(6, 4, bias).double()
    mine.load_state_dict(theirs.state_dict())
    assert torch.equal(mine(x), theirs(x))
    assert torch.equal(mine.without_bias(x), nn.functional.linear(x, theirs.weight))
    assert mine(x.expand(2, 9, 6)).shape == (2, 9, 4)


@pytest.mark.parametrize("bias", [True, False])
def test_sparse_features_have_the_results_and_gradients_of_dense_ones(x, bias):
    layer = Linear(6, 4, bias).double()
    nn.init.normal_(layer.bias) if bias else None
    dense = x.clone().requires_grad_()
    sparse = SparseFeatures.from_dense(x)
    values = sparse.values.clone().requires_grad_()
    weights = torch.randn(9, 4, dtype=torch.float64)
    out, expected = layer(sparse.with_values(values)), layer(dense)
    torch.testing.assert_close(out, expected)
    grads = torch.autograd.grad(out, [*layer.parameters(), values], weights)
    wanted = torch.autograd.grad(expected, [*layer.parameters(), dense], weights)
    for actual, one in zip(grads[:-1], wanted[:-1], strict=True):
        torch.testing.assert_close(actual, one)
    torch.testing.assert_close(grads[-1], wanted[-1][x > 0])
    torch.testing.assert_close(layer.without_bias(sparse), layer.without_bias(x))


@pytest.mark.parametrize("shape", [(0, 6), (3, 6)])
def test_features_without_rows_or_entries_are_taken(shape):
    layer = Linear(6, 4)
    out = layer(SparseFeatures.from_dense(torch.zeros(shape)))
    assert torch.equal(out, layer.bias.expand(shape[0], 4))
    out.sum().backward()
    assert layer.weight.grad is not None and not layer.weight.grad.any()


def test_autocast_gives_its_dtype_for_both_kinds_of_features(x):
    layer, x = Linear(6, 4), x.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outs = [layer(x), layer(SparseFeatures.from_dense(x))]
    assert [out.dtype for out in outs] == [torch.bfloat16] * 2
    torch.testing.assert_close(*outs, rtol=0.02, atol=0.02)


def test_it_starts_as_glorot_and_bengio_have_it():
    layer = Linear(300, 100)
    bound = (6 / 400) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not layer.bias.any()
    stacked = glorot_(torch.empty(5, 300, 100))
    assert 0.99 * bound < stacked.abs().max() <= bound


@pytest.mark.parametrize("sparse", [True, False])
def test_wrong_in_channels_are_named(x, sparse):
    rows = SparseFeatures.from_dense(x) if sparse else x
    layer = Linear(5, 4).double()
    for call in (layer, layer.without_bias):
        with pytest.raises(ValueError, match=r"in_channels=5 features, got x of shape \(9, 6\)"):
            call(rows)


def test_it_shows_its_sizes():
    assert repr(Linear(6, 4, bias=False)) == "Linear(6, 4, bias=False)"
