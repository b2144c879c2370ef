"""Graph neural networks on PyTorch: iterative and fixed-point, fused, deterministic."""

from . import ops as ops
from ._save import GraphFileError as GraphFileError
from .adjacency import Adjacency as Adjacency
from .batch import Batch as Batch
from .csv_files import read_csv as read_csv
from .edge_list import EdgeList as EdgeList
from .edge_list import read_edge_list as read_edge_list
from .features import SparseFeatures as SparseFeatures
from .graph import Graph as Graph
from .graph_files import read_gml as read_gml
from .graph_files import read_graphml as read_graphml
from .linear import Linear as Linear
from .message_passing import MessagePassing as MessagePassing
from .named_graph import NamedGraph as NamedGraph

__version__ = "0.1.0"
