"""Datasets by name: safe to load, with their licence and citation."""

from ._dataset import Dataset as Dataset
from ._errors import CacheError as CacheError
from ._errors import DatasetError as DatasetError
from ._errors import DownloadError as DownloadError
from .blogcatalog import BlogCatalog as BlogCatalog
from .blogcatalog3 import BlogCatalog3 as BlogCatalog3
from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import Entry as Entry
from .chains import Chains as Chains
from .clique_detection import CliqueDetection as CliqueDetection
from .deezer_europe import DeezerEurope as DeezerEurope
from .digits import Digits as Digits
from .email_eu_core import EmailEuCore as EmailEuCore
from .facebook100 import Facebook100 as Facebook100
from .facebook_pages import FacebookPages as FacebookPages
from .half_hot import HalfHot as HalfHot
from .karate import Karate as Karate
from .neighbor_count import NeighborCount as NeighborCount
from .parity import Parity as Parity
from .planetoid import Planetoid as Planetoid
from .polblogs import Polblogs as Polblogs
from .subgraph_matching import SubgraphMatching as SubgraphMatching
from .tree_depth import TreeDepth as TreeDepth
from .twitch import Twitch as Twitch
from .web_page_ranking import WebPageRanking as WebPageRanking
