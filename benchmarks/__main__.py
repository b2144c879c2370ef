"""Every benchmark, one after the other: `python -m benchmarks` or `make bench`."""

from benchmarks import imports
from benchmarks.fixed_point import batch, memory, speed, steps
from benchmarks.layers import max_memory
from benchmarks.ops import spmm
from benchmarks.training import cora_gcn

for benchmark in (imports, spmm, cora_gcn, max_memory, steps, speed, memory, batch):
    benchmark.main()
