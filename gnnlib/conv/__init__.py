"""Graph layers: one formula a file. All are called `conv(x, graph, …)`."""

from ..message_passing import MessagePassing as MessagePassing
from .gat_conv import GATConv as GATConv
from .gcn_conv import GCNConv as GCNConv
from .gin_conv import GINConv as GINConv
from .sage_conv import SAGEConv as SAGEConv
