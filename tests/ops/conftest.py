"""The operators are tested on one thread: the sizes are tiny, and threads only wait for another."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread(_same_start: None) -> None:
    torch.set_num_threads(1)  # tests/conftest.py puts back what was set before
