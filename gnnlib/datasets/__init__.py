"""Datasets by name: safe to load, with their licence and citation."""

from ._dataset import Dataset as Dataset
from ._errors import CacheError as CacheError
from ._errors import DatasetError as DatasetError
from ._errors import DownloadError as DownloadError
from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import Entry as Entry
from .digits import Digits as Digits
from .karate import Karate as Karate
from .planetoid import Planetoid as Planetoid
