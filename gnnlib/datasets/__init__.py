"""Datasets by name: safe to load, with their licence and citation."""

from ._dataset import Dataset as Dataset
from ._errors import CacheError as CacheError
from ._errors import DatasetError as DatasetError
from ._errors import DownloadError as DownloadError
from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import Entry as Entry
from .chains import Chains as Chains
from .clique_detection import CliqueDetection as CliqueDetection
from .digits import Digits as Digits
from .geom_gcn import GeomGCN as GeomGCN
from .gnn_benchmark import Amazon as Amazon
from .gnn_benchmark import CitationFull as CitationFull
from .gnn_benchmark import Coauthor as Coauthor
from .half_hot import HalfHot as HalfHot
from .heterophilous import HeterophilousGraphs as HeterophilousGraphs
from .karate import Karate as Karate
from .neighbor_count import NeighborCount as NeighborCount
from .parity import Parity as Parity
from .planetoid import Planetoid as Planetoid
from .subgraph_matching import SubgraphMatching as SubgraphMatching
from .tree_depth import TreeDepth as TreeDepth
from .web_page_ranking import WebPageRanking as WebPageRanking
