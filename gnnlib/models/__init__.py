"""Networks built from convs; each is called as `model(x, graph)` and gives one row per node."""

from .gat import GAT as GAT
from .gcn import GCN as GCN
from .gin import GIN as GIN
from .graph_sage import GraphSAGE as GraphSAGE
