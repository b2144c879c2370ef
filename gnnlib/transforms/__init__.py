"""Functions from a Graph to a Graph, for a dataset's `transform=`."""

from .normalize_features import NormalizeFeatures as NormalizeFeatures
