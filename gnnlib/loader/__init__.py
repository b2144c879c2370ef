"""Mini-batches of graphs."""

from .data_loader import DataLoader as DataLoader
