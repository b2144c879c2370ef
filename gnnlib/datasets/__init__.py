"""Datasets by name: safe to load, with their licence and citation."""

from ._dataset import Dataset as Dataset
from ._errors import CacheError as CacheError
from ._errors import DatasetError as DatasetError
from ._errors import DownloadError as DownloadError
from ._molecules import from_smiles as from_smiles
from .breast_cancer import BreastCancer as BreastCancer
from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import Entry as Entry
from .chains import Chains as Chains
from .clique_detection import CliqueDetection as CliqueDetection
from .digits import Digits as Digits
from .graphsage import read_graphsage as read_graphsage
from .half_hot import HalfHot as HalfHot
from .karate import Karate as Karate
from .molecule_net import MoleculeNet as MoleculeNet
from .neighbor_count import NeighborCount as NeighborCount
from .node2vec_ppi import Node2VecPPI as Node2VecPPI
from .parity import Parity as Parity
from .planetoid import Planetoid as Planetoid
from .subgraph_matching import SubgraphMatching as SubgraphMatching
from .tree_depth import TreeDepth as TreeDepth
from .tu import TUDataset as TUDataset
from .web_page_ranking import WebPageRanking as WebPageRanking
