"""Benchmarks: symgrad, kernels written by hand, and its peers on the same work. `python -m benchmarks`."""
