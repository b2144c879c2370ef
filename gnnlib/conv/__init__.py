"""Graph layers: one formula a file. All are called `conv(x, graph, …)`."""

from ..message_passing import MessagePassing as MessagePassing
from .appnp import APPNP as APPNP
from .cheb_conv import ChebConv as ChebConv
from .gat_conv import GATConv as GATConv
from .gated_graph_conv import GatedGraphConv as GatedGraphConv
from .gatv2_conv import GATv2Conv as GATv2Conv
from .gcn_conv import GCNConv as GCNConv
from .gin_conv import GINConv as GINConv
from .gine_conv import GINEConv as GINEConv
from .gnn_conv import GNNConv as GNNConv
from .graph_conv import GraphConv as GraphConv
from .ignn_conv import IGNNConv as IGNNConv
from .ppnp import PPNP as PPNP
from .sage_conv import SAGEConv as SAGEConv
from .sg_conv import SGConv as SGConv
from .tag_conv import TAGConv as TAGConv
from .transformer_conv import TransformerConv as TransformerConv
