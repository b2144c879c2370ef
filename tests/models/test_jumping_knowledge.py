import pytest
import torch

from gnnlib.models import JumpingKnowledge
from tests import pyg
from tests.conv.parity import assert_equal

MODES = {"cat": (), "max": (), "lstm": (6, 3)}


@pytest.mark.parametrize("mode", MODES)
def test_it_equals_pyg(mode):
    """Results and gradients, with PyG's parameters loaded."""
    mine = JumpingKnowledge(mode, *MODES[mode]).double()
    theirs = pyg.nn.models.JumpingKnowledge(mode, *MODES[mode]).double()
    mine.load_state_dict(theirs.state_dict())
    values = torch.randn(3, 10, 6, dtype=torch.float64)
    results = []
    for module in (mine, theirs):
        xs = values.clone().requires_grad_()
        out = module(list(xs.unbind()))
        weights = torch.arange(out.numel(), dtype=out.dtype).cos().reshape(out.shape)
        grads = torch.autograd.grad(out, [xs, *module.parameters()], weights)
        results.append((out, *grads))
    for found, expected in zip(*results, strict=True):
        assert_equal(found, expected)


@pytest.mark.parametrize(("channels", "num_layers"), [(5, 3), (1, 2), (4, 2)])
def test_the_lstm_equals_pyg_at_odd_sizes(channels, num_layers):
    mine = JumpingKnowledge("lstm", channels, num_layers).double()
    theirs = pyg.nn.models.JumpingKnowledge("lstm", channels, num_layers).double()
    mine.load_state_dict(theirs.state_dict())
    xs = [torch.randn(7, channels, dtype=torch.float64) for _ in range(num_layers)]
    assert_equal(mine(xs), theirs(xs))


@pytest.mark.parametrize("mode", MODES)
def test_no_nodes_give_no_rows(mode):
    xs = [torch.empty(0, 6)] * 3
    assert JumpingKnowledge(mode, *MODES[mode])(xs).shape == (0, 18 if mode == "cat" else 6)


def test_a_second_gradient_goes_through_the_lstm():
    layer = JumpingKnowledge("lstm", 2, 2).double()
    xs = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda xs: layer(list(xs.unbind())), xs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("maxx",), "mode must be one of 'max', .*; got 'maxx'"),
        (("lstm",), "mode 'lstm' needs channels and num_layers"),
        (("lstm", 4), "mode 'lstm' needs channels and num_layers"),
        (("lstm", 1, 1), r"num_layers \* channels must be at least 2 for mode 'lstm', got 1 \* 1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        JumpingKnowledge(*arguments)


def test_an_empty_list_is_named():
    with pytest.raises(ValueError, match="xs must hold the rows of at least one layer, got none"):
        JumpingKnowledge("max")([])


def test_its_parameters_are_reset():
    layer = JumpingKnowledge("lstm", 4, 2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.reset_parameters()
    after = layer.state_dict()
    assert before.keys() == after.keys()
    assert all(not torch.equal(after[name], value) for name, value in before.items())
    assert "'lstm'" in repr(layer)
    JumpingKnowledge("cat").reset_parameters()
