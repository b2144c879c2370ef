"""Several ranges of integers, one after the other."""

import torch
import torch.nn.functional as F
from torch import Tensor


def ranges(first: Tensor, count: Tensor) -> Tensor:
    """first[0], first[0] + 1, … (count[0] of them), then those of first[1], …

    Example:
        >>> ranges(torch.tensor([5, 0]), torch.tensor([2, 3]))
        tensor([5, 6, 0, 1, 2])
    """
    end = F.pad(count.long().cumsum(0), (1, 0))
    total = int(end[-1])
    # Position k of the result lies `shift` behind the number there.
    shift = torch.repeat_interleave(first.long() - end[:-1], count.long(), output_size=total)
    return torch.arange(total, device=first.device) + shift
