"""Graph neural networks on PyTorch: iterative and fixed-point, fused, deterministic."""

from . import ops as ops
from ._save import GraphFileError as GraphFileError
from .adjacency import Adjacency as Adjacency
from .batch import Batch as Batch
from .edge_list import EdgeList as EdgeList
from .edge_list import read_edge_list as read_edge_list
from .features import SparseFeatures as SparseFeatures
from .graph import Graph as Graph
from .linear import Linear as Linear
from .message_passing import MessagePassing as MessagePassing

__version__ = "0.1.0"
