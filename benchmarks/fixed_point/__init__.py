"""The fixed-point solvers against torchdeq: `python -m benchmarks.fixed_point`."""
