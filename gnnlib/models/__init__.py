"""Networks built from convs: `model(x, graph)` gives a row per node, a `Readout` one per graph."""

from .appnp import APPNP as APPNP
from .chebnet import ChebNet as ChebNet
from .gat import GAT as GAT
from .gcn import GCN as GCN
from .gin import GIN as GIN
from .gnn import GNN as GNN
from .graph_sage import GraphSAGE as GraphSAGE
from .ignn import IGNN as IGNN
from .jumping_knowledge import JumpingKnowledge as JumpingKnowledge
from .ppnp import PPNP as PPNP
from .readout import Readout as Readout
from .rescaled import Rescaled as Rescaled
from .sgc import SGC as SGC
from .tagcn import TAGCN as TAGCN
