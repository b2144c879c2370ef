"""In which dtype sums are accumulated."""

import torch


def accumulate_dtype(dtype: torch.dtype) -> torch.dtype:
    """float32 for the half types, and every other dtype itself."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
