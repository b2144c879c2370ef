"""Readouts: one row per graph from the rows of its nodes."""

from .global_attention import GlobalAttention as GlobalAttention
from .readouts import global_max_pool as global_max_pool
from .readouts import global_mean_pool as global_mean_pool
from .readouts import global_sum_pool as global_sum_pool
