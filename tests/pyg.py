"""PyG, imported past the deprecation warnings of its own import: `from tests.pyg import Data`."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch_geometric import io, nn, transforms
    from torch_geometric.data import Batch, Data, HeteroData

__all__ = ["Batch", "Data", "HeteroData", "io", "nn", "transforms"]
