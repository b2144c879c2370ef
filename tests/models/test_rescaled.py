import pytest
import torch
from torch import nn

from gnnlib.models import GCN, GNN, IGNN, Readout, Rescaled
from gnnlib.train.convergence import reports_of
from tests.graphwise import CHECKS, Part, batch_of, name_of

SHIFT, SCALE = torch.tensor([20.0, -3.0]), torch.tensor([5.0, 0.25])


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check):
    check(Part(lambda: Rescaled(Readout(GCN(4, 5, 2)), SHIFT, SCALE)))


def test_the_outputs_are_those_of_the_model_in_another_unit():
    batch = batch_of()
    inner = Readout(GCN(4, 5, 2)).double().eval()
    model = Rescaled(inner, SHIFT.double(), SCALE.double())
    expected = SHIFT + SCALE * inner(batch.x, batch)
    torch.testing.assert_close(model(batch.x, batch), expected)


def test_shift_and_scale_are_kept_and_not_trained():
    shift = SHIFT.clone()
    model = Rescaled(GCN(4, 5, 2), shift, SCALE)
    shift.zero_()  # the caller's tensor stays the caller's
    other = Rescaled(GCN(4, 5, 2), torch.zeros(2), torch.ones(2))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.shift, SHIFT) and torch.equal(other.scale, SCALE)
    batch = batch_of()
    x = batch.x.float()
    assert torch.equal(other.eval()(x, batch), model.eval()(x, batch))
    assert {name for name, _ in model.named_parameters()} == {
        f"model.{name}" for name, _ in model.model.named_parameters()
    }


def test_reset_draws_the_parameters_and_leaves_shift_and_scale():
    model = Rescaled(Readout(GCN(4, 5, 2)), SHIFT, SCALE)
    before = {name: value.clone() for name, value in model.named_parameters()}
    model.reset_parameters()
    changed = {name for name, value in model.named_parameters() if (value != before[name]).any()}
    assert changed == {name for name in before if not name.endswith("bias")}
    assert torch.equal(model.shift, SHIFT) and torch.equal(model.scale, SCALE)


def test_it_is_trained_as_the_model_inside():
    inner = GNN(4, 5, 2)
    model = Rescaled(Readout(inner), SHIFT, SCALE)
    assert model.convs is inner.convs
    slow = model.transition_parameters()
    assert slow and list(map(id, slow)) == list(map(id, inner.transition_parameters()))
    assert Rescaled(GCN(4, 5, 2), SHIFT, SCALE).transition_parameters() == []
    batch = batch_of()
    model(batch.x.float(), batch)
    assert reports_of(model)


def test_the_penalty_is_that_of_the_model_inside():
    batch = batch_of()
    batch = batch.replace(x=batch.x.float())
    inner = GNN(4, 5, 2, contraction="penalty", transition="mlp")
    model = Rescaled(Readout(inner), SHIFT, SCALE)
    model(batch.x, batch)
    found, expected = model.penalty(batch), inner.penalty(batch)
    assert found is not None and expected is not None and torch.equal(found, expected)
    assert Rescaled(GCN(4, 5, 2), SHIFT, SCALE).penalty(batch) is None


def test_a_model_without_convs_has_none():
    class Flat(nn.Module):
        def forward(self, x, graph):
            return x

    assert getattr(Rescaled(Flat(), SHIFT, SCALE), "convs", None) is None


@pytest.mark.parametrize(
    ("shift", "scale"), [(SHIFT, SCALE[:1]), (SHIFT[None], SCALE[None]), (SHIFT[0], SCALE[0])]
)
def test_shift_and_scale_must_be_one_number_per_output(shift, scale):
    with pytest.raises(ValueError, match="one number per output, got shapes"):
        Rescaled(IGNN(4, 5, 2), shift, scale)
