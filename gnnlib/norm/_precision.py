"""Means and variances of half precision numbers are computed in single precision."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
