"""From your own edges, features and labels to a trained model."""

import torch

from gnnlib import Graph
from gnnlib.models import GCN
from gnnlib.train import TrainConfig, Trainer
from gnnlib.transforms import RandomNodeSplit

torch.manual_seed(0)
group = torch.arange(300) % 3  # replace: what to predict, an integer per node
pairs = torch.randint(0, 300, (2, 9000))  # replace: who knows whom, two rows of node numbers
friends = pairs[:, (group[pairs[0]] == group[pairs[1]]) | (torch.rand(9000) < 0.2)]
features = torch.randn(300, 16) + 0.5 * torch.eye(3, 16)[group]  # replace: a row per node

graph = Graph(friends, x=features, y=group)
graph = RandomNodeSplit(num_train_per_class=10, num_val=60, num_test=200)(graph)
model = GCN(graph.num_features, 16, 3)
result = Trainer(model, graph, TrainConfig(epochs=100)).fit()
print(f"test accuracy {result.test['accuracy']:.3f}")
