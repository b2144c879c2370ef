import pytest, torch
from torch import nn
from gnnlib.conv import *
from tests.properties import *
LAYERS={
"gcn":Layer(lambda:GCNConv(4,3),("edge_weight",)),
"gcn_up":Layer(lambda:GCNConv(4,5,improved=True,normalize=True),("edge_weight",)),
"gcn_plain":Layer(lambda:GCNConv(4,3,normalize=False),("edge_weight",)),
"sage":Layer(lambda:SAGEConv(4,3)),
"sagemax":Layer(lambda:SAGEConv(4,3,aggr="max"),smooth=False),
"gin":Layer(lambda:GINConv(nn.Sequential(nn.Linear(4,3),nn.Tanh(),nn.Linear(3,3)),train_eps=True)),
"gin_wide":Layer(lambda:GINConv(nn.Sequential(nn.Linear(4,6),nn.Tanh(),nn.Linear(6,3)))),
"gat":Layer(lambda:GATConv(4,3,heads=2)),
"gate":Layer(lambda:GATConv(4,3,heads=2,edge_dim=3,concat=False),("edge_attr",)),
}
@pytest.mark.parametrize("check",CHECKS,ids=name_of)
@pytest.mark.parametrize("name",LAYERS)
def test_it(name,check): check(LAYERS[name])
