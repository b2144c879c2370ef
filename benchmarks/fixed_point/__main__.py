from benchmarks.fixed_point import batch, memory, speed, steps

for benchmark in (steps, speed, memory, batch):
    benchmark.main()
