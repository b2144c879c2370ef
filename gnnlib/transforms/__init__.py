"""Functions from a Graph to a Graph, for a dataset's `transform=`."""

from .add_self_loops import AddSelfLoops as AddSelfLoops
from .compose import Compose as Compose
from .knn_graph import KNNGraph as KNNGraph
from .largest_connected_component import LargestConnectedComponent as LargestConnectedComponent
from .normalize_features import NormalizeFeatures as NormalizeFeatures
from .one_hot_degree import OneHotDegree as OneHotDegree
from .one_hot_features import OneHotFeatures as OneHotFeatures
from .random_node_split import RandomNodeSplit as RandomNodeSplit
from .to_undirected import ToUndirected as ToUndirected
