"""Norms of node features: one formula a file. All are called `norm(x, graph)`."""

from .batch_norm import BatchNorm as BatchNorm
from .graph_norm import GraphNorm as GraphNorm
from .layer_norm import LayerNorm as LayerNorm
