"""PyG, imported past the deprecation warnings of its own import: `from tests.pyg import Data`."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch_geometric import datasets, io, nn, transforms
    from torch_geometric.data import Batch, Data, HeteroData
    from torch_geometric.io import read_tu_data
    from torch_geometric.loader import DataLoader
    from torch_geometric.utils import from_smiles

__all__ = [
    "Batch",
    "Data",
    "DataLoader",
    "HeteroData",
    "datasets",
    "from_smiles",
    "io",
    "nn",
    "read_tu_data",
    "transforms",
]
