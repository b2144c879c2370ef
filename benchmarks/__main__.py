"""Every benchmark, one after the other: `python -m benchmarks` or `make bench`."""

from benchmarks import imports
from benchmarks.layers import max_memory
from benchmarks.ops import spmm
from benchmarks.training import cora_gcn

for benchmark in (imports, spmm, cora_gcn, max_memory):
    benchmark.main()
