import pytest
import torch
from torch import nn

from gnnlib import Batch, Graph
from gnnlib.conv import GINEConv
from gnnlib.loader import DataLoader
from gnnlib.models import GAT, GCN, GIN, GNN, GraphSAGE, Readout
from gnnlib.pool import GlobalAttention, global_max_pool, global_mean_pool, global_sum_pool
from tests.graphwise import CHECKS, Part, batch_of, name_of

POOLS = {"sum": global_sum_pool, "mean": global_mean_pool, "max": global_max_pool}
MODELS = {
    "gin_bonds": lambda: Readout(GIN(4, 5, 3, jk="cat", edge_dim=3)),
    "gat_max": lambda: Readout(
        GAT(4, 5, 3, heads=2, edge_dim=3, jk="last"), "max", nn.Linear(3, 2)
    ),
    "sage_attention": lambda: Readout(GraphSAGE(4, 5, 6), GlobalAttention(nn.Linear(6, 1))),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_passes_every_shared_check(check, name):
    check(Part(MODELS[name]))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("jk", ["last", "cat", "max", "lstm"])
def test_with_jk_the_last_linear_reads_graphs(jk, pool):
    batch = batch_of()
    net = GIN(4, 5, 3, num_layers=3, jk=jk).double().eval()
    pooled = POOLS[pool](net.embed(batch.x, batch), batch)
    torch.testing.assert_close(Readout(net, pool)(batch.x, batch), net.read(pooled))


def test_with_cat_and_sum_it_is_the_readout_of_the_paper():
    """Σ over the layers k of W_k Σ over the nodes of h⁽ᵏ⁾, and a bias."""
    batch = batch_of()
    net = GIN(4, 5, 3, num_layers=2, jk="cat").double().eval()
    joined, bias = net.get_parameter("lin.weight"), net.get_parameter("lin.bias")
    h, expected = batch.x, bias
    for conv, weight in zip(net.convs, joined.split(5, dim=1), strict=True):
        h = conv(h, batch).relu()
        expected = expected + global_sum_pool(h, batch) @ weight.T
    torch.testing.assert_close(Readout(net)(batch.x, batch), expected)


@pytest.mark.parametrize("pool", POOLS)
def test_without_jk_the_rows_of_the_model_are_pooled(pool):
    batch = batch_of()
    for net in (GCN(4, 5, 3), GNN(4, 5, 3)):
        net = net.double().eval()
        rows = net(batch.x, batch)
        head = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 1)).double()
        model = Readout(net, pool, head)
        torch.testing.assert_close(model(batch.x, batch), head(POOLS[pool](rows, batch)))


def test_bonds_reach_every_layer():
    batch = batch_of()
    net = GIN(4, 5, 3, num_layers=3, edge_dim=3).double().eval()
    assert [type(conv) for conv in net.convs] == [GINEConv] * 3
    model = Readout(net)
    out = model(batch.x, batch)
    bare = batch.replace(edge_attr=None)
    assert torch.equal(model(batch.x, bare, edge_attr=batch.edge_attr), out)
    for layer in range(3):
        with torch.no_grad():
            net.get_parameter(f"convs.{layer}.lin.weight").zero_()
        changed = model(batch.x, batch)
        assert not torch.allclose(changed, out)
        out = changed


def test_every_part_is_reset():
    model = Readout(GCN(4, 5, 3), GlobalAttention(nn.Linear(3, 1)), nn.Sequential(nn.Linear(3, 2)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.reset_parameters()
    drawn = [name for name in before if not name.endswith("bias")]
    assert all(not torch.equal(model.state_dict()[name], before[name]) for name in drawn)


def test_an_unknown_pool_lists_the_choices():
    with pytest.raises(ValueError, match="pool must be one of 'mean', .*; got 'meen'"):
        Readout(GCN(4, 5, 3), "meen")  # pyright: ignore[reportArgumentType]
    assert Readout(GCN(4, 5, 3), "add").pool == "sum"  # pyright: ignore[reportArgumentType]


def test_a_model_learns_to_tell_triangles_from_paths():
    """What GIN's sum over neighbours and nodes sees, and no mean of equal features does."""
    triangle = Graph([[0, 1, 2], [1, 2, 0]], x=torch.ones(3, 1)).to_undirected()
    path = Graph([[0, 1], [1, 2]], x=torch.ones(3, 1)).to_undirected()
    graphs = [triangle.replace(graph_y=[1]), path.replace(graph_y=[0])] * 8
    loader = DataLoader(
        graphs, batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(0)
    )
    model = Readout(GIN(1, 8, 2, dropout=0.0, jk="cat"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        for batch in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch.x, batch), batch.graph_y)
            loss.backward()
            optimizer.step()
    everything = Batch.from_graphs(graphs)
    predicted = model.eval()(everything.x, everything).argmax(1)
    assert torch.equal(predicted, everything.graph_y)
