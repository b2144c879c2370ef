"""One training step of a two-layer GCN on Cora, against PyG.

    python -m benchmarks.training.cora_gcn

Both sides: 16 hidden channels, dropout 0.5 on the input and between the layers, Adam, full batch.
PyG has `GCNConv(cached=True)` and dense x. gnnlib is timed with sparse x, as its datasets give it,
and with dense x, which shows the part of the gain that is due to the sparse features.
"""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.graphs import cora
from benchmarks.report import write
from benchmarks.timing import interleave
from gnnlib.models import GCN


class PyGGCN(nn.Module):
    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int):
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.conv1 = GCNConv(in_channels, hidden_channels, cached=True)
        self.conv2 = GCNConv(hidden_channels, out_channels, cached=True)

    def forward(self, x, edge_index):
        x = self.conv1(F.dropout(x, training=self.training), edge_index).relu()
        return self.conv2(F.dropout(x, training=self.training), edge_index)


def stepper(model: nn.Module, x, graph, y, mask):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, graph)[mask], y[mask])
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    torch.manual_seed(0)
    graph = cora()
    dense = graph.x.to_dense()
    sizes = (graph.num_features, 16, int(graph.y.max()) + 1)
    ours, pyg = GCN(*sizes), PyGGCN(*sizes)
    with torch.no_grad():
        for mine, theirs in zip(ours.parameters(), pyg.parameters(), strict=True):
            theirs.copy_(mine.reshape(theirs.shape))
    for model in (ours, pyg):
        model.eval()
    torch.testing.assert_close(ours(graph.x, graph), pyg(dense, graph.edge_index))

    rest = graph.y, graph.train_mask
    sides = {
        "gnnlib": stepper(ours, graph.x, graph, *rest),
        "gnnlib, dense x": stepper(GCN(*sizes), dense, graph, *rest),
        "PyG": stepper(pyg, dense, graph.edge_index, *rest),
    }
    seconds = interleave(sides, rounds=41, warm_up=5)
    rows: list[dict[str, object]] = [
        {"side": side, "ms a step": time * 1e3, "× slower than gnnlib": time / seconds["gnnlib"]}
        for side, time in seconds.items()
    ]
    command = "python -m benchmarks.training.cora_gcn"
    write("cora_gcn", "GCN on Cora, one training step, CPU", command, rows)


if __name__ == "__main__":
    main()
